"""Stored pixels to integers; compressed ones in a process of their own."""
