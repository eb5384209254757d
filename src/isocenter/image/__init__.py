"""Measurements and changes of images that need no model: tissue, noise, windows."""
