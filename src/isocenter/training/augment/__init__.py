"""Changed images of the same anatomy: drawn, written down, applied, and rebuilt from the record."""
