"""The runs that make the shipped generators."""
