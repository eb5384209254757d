"""What a generator of other images is worth where there are few patients."""
