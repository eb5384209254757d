"""Registration of heads: planted motions found again, and what the check says of them."""
