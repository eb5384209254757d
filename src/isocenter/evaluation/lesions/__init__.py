"""Are lesions still seen: lesions of known place, and an observer who looks for them."""
