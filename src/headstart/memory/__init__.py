"""Memory: parts of networks that remember."""
