"""Results on their way: sent at least once, read back, repeated with pauses, or listed as dead."""
