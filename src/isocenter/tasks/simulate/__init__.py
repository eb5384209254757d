"""Examinations of heads that nobody has: simulated, with everything about them known."""
