"""Stable Diffusion (1.x, 2.x, XL) of anybody's, through diffusers, told by text alone.

Weights come from a folder in the layout of diffusers or from a hub of models by name. Such a model
was made for photographs; what is here makes of its pictures gray images with values, and says so.
"""
