"""Models of the world as a source of knowledge."""
