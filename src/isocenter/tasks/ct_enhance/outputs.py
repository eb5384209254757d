"""What CT enhancement writes."""

from __future__ import annotations

from isocenter.core.outputs import HOUNSFIELD, Code, MapOutput, SeriesOutput

ENHANCED = SeriesOutput(
    name="enhanced",
    label="Enhanced series",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=Code("DLNR", "99ISOCENTER", "Deep learning noise reduction"),
    image_type="AI_ENHANCED",
    flag="AI ENHANCED",
)
UNCERTAINTY = MapOutput(
    name="uncertainty",
    label="Uncertainty map",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=Code("DLUQ", "99ISOCENTER", "Deep learning uncertainty estimation"),
    content_label="UNCERTAINTY_90",
    meaning=(
        "Half-width in HU of the 90 % interval of the standard-dose value, around the model's mean "
        "estimate; 0 where the scanner measured nothing."
    ),
    quantity=Code("PIHW90", "99ISOCENTER", "Half-width of 90 % prediction interval"),
    window=(0.0, 40.0),
)
