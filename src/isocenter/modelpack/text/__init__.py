"""Sentences as conditions: encoders behind one interface."""
