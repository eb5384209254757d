"""What is to be made of a study: rules that a person can read, and reasons in words."""
