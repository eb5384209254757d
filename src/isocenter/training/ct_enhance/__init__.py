"""What fitting the CT enhancement model needs beyond the loop."""
