"""Models that draw new images: what they can be told, one image's wish, the model folder."""
