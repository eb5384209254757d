"""Heads made of labels: their tissues, lesions and the images that a scanner would show of them."""
