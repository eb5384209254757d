"""Fitting a LoRA of Stable Diffusion: small matrices beside those of the attention."""
