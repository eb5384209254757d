"""A LoRA of anybody's Stable Diffusion, fitted to a folder of images and reports."""
