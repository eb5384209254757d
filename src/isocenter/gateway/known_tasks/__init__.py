"""The tasks that rules can ask for: every registered one, and one to try the way with."""
