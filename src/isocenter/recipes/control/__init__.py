"""The recipe of a ControlNet beside a generator."""
