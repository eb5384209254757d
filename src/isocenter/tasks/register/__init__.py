"""One MR image of a head brought onto the grid of another, with a check that may refuse."""
