"""New images: what is asked of a model that draws, the copies it must not give, and the files."""
