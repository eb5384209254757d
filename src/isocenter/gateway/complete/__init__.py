"""When a study is complete: evidence, in the order of what it is worth."""
