"""Experience: learning to learn from other tasks."""
