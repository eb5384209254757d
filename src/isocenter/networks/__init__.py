"""Architectures, one a file. A network knows nothing of what it is used for."""
