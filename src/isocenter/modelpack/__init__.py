"""A model on disk and in memory: weights, preparation of its input, card and checks."""
