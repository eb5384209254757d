"""A low-dose CT series in, an enhanced series with its uncertainty and a report out."""
