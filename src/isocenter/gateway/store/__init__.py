"""What must not be lost: files in a spool, and rows that say what they are and what is due."""
