"""Damaged and odd inputs by the hundred, each run through the command line and judged."""
