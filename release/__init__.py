"""What is made for a release beside the package: the bill of materials."""
