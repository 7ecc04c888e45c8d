"""Learning from being told: text encoders and instruction following."""
