"""Images altered by a model that draws: in whole, inside a region, or between two."""
