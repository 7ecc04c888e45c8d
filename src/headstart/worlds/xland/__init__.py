"""XLand-MiniGrid: its worlds, rulesets made as its benchmarks are, a network that sees tiles, and its metric."""
