"""Judging a denoiser, any function from HU to HU, against a better scan."""
