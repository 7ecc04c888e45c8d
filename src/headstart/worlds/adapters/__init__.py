"""Worlds that others wrote, as ours. Each adapter imports its library only when it is used."""
