"""Board games: one family of thousands of games, whose rules are data, with rule texts and drawings for people."""
