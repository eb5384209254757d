"""What fitting generators and what belongs to them needs beyond the loop."""
