"""What may be asked of a simulated head, in words; nothing heavy is imported for it."""

from __future__ import annotations

NO_LESION = "none"
LESIONS = (NO_LESION, "plaques", "tumor", "infarct")
"""What may grow in a head."""
PLAQUE, EDEMA, ENHANCING_PART, NECROTIC_PART, INFARCT = LESION_NAMES = (
    "plaque", "edema", "enhancing tumor", "necrosis", "infarct",
)  # fmt: skip
"""What a mask of lesions calls them, by number from 1."""
ARTERIES = ("MCA", "ACA", "PCA", "deep MCA")
"""Territories of infarcts."""
MOST_HOURS = 720.0
"""Age of an infarct up to which its look is known."""
CONTRASTS = ("T1", "T1c", "T2", "PD", "FLAIR", "b0", "b1000")
"""What is acquired; ADC is worked out from b0 and b1000."""
DIFFUSION = ("b0", "b1000")
ADC = "ADC"
ALL_CONTRASTS = (*CONTRASTS, ADC)
