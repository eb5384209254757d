"""Samplers. A denoiser is any callable of an image and a time."""
