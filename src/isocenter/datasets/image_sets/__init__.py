"""Sets of images that generative models are trained on, one file a family."""
