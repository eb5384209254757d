"""How fast heads are simulated, and how their contrast compares with that of real ones."""
