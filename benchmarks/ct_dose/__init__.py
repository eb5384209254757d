"""Simulated against real dose reduction: noise level, spectrum and streaks."""
