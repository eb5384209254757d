"""The ways in: C-STORE and STOW-RS, which end in one intake."""
