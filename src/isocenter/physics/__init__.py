"""Physics of image formation, for simulation: CT dose, projections and phantoms."""
