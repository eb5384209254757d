"""What Isocenter does for its users, each task whole: from a scan on disk to a result on disk."""
