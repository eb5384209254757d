"""A gateway that is killed again and again at random points, and what it lost."""
