"""Fitting networks that generate: losses, weights of images and regions, and penalties."""
