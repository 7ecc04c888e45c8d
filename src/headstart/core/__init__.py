"""The nouns that every room shares: types, worlds, networks, learners, sources and processes. Imports no room."""
