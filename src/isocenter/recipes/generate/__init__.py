"""Everything that decides the weights of generators and of what belongs to them."""
