"""Cases, pairs and how they are split by patient."""
