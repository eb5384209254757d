"""Fitting networks: the loop, what it keeps, and what each task needs besides."""
