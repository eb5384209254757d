"""What produced every published figure of the generators, beside what a reader would compare."""
