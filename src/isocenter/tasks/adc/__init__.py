"""The apparent diffusion coefficient of a diffusion-weighted study of the head."""
