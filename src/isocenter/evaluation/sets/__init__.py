"""Sets of images against sets of images."""
