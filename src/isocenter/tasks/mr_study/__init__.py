"""One session of MR images, one for each contrast."""
