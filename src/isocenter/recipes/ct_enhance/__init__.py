"""The run that makes the shipped CT enhancement model."""
