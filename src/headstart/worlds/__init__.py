"""Worlds: families of tasks to learn in."""
