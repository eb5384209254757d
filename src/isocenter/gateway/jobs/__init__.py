"""Jobs that end: queued once, done in recorded steps, in processes with limits."""
