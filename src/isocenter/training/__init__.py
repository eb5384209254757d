"""Fit networks: pairs to learn from, losses, the loop and what it keeps on disk."""
