"""What an MR header says besides: the sequence, its times, the magnet."""

from __future__ import annotations

from isocenter.core.acquisition import MrAcquisition
from isocenter.dicom.reading.header_kind import HeaderKind
from isocenter.dicom.reading.header_values import (
    Values,
    lenient_number,
    plain_text,
    positive,
    texts,
)

CLASSIC_MR = "1.2.840.10008.5.1.4.1.1.4"


def _acquisition(values: Values) -> MrAcquisition:
    b_value = lenient_number(values.get("DiffusionBValue"))
    return MrAcquisition(
        modality=plain_text(values.get("Modality"), 16),
        sequence=_sequence(values),
        echo_time_ms=positive(values.get("EchoTime")),
        repetition_time_ms=positive(values.get("RepetitionTime")),
        inversion_time_ms=positive(values.get("InversionTime")),
        flip_deg=positive(values.get("FlipAngle")),
        field_strength_t=positive(values.get("MagneticFieldStrength")),
        b_value_s_per_mm2=b_value if b_value is not None and b_value >= 0 else None,
        slice_thickness_mm=positive(values.get("SliceThickness")),
        manufacturer=plain_text(values.get("Manufacturer"), 64),
        manufacturer_model=plain_text(values.get("ManufacturerModelName"), 64),
        body_part=plain_text(values.get("BodyPartExamined"), 16),
    )


def _sequence(values: Values) -> str:
    """The name that the scanner gives; where it gives none, the kinds that DICOM knows."""
    if name := plain_text(values.get("SequenceName"), 64):
        return name
    kinds = (*texts(values.get("ScanningSequence")), *texts(values.get("SequenceVariant")))
    return plain_text("\\".join(kinds), 64)


MR_HEADER = HeaderKind(
    modality="MR",
    sop_classes=(CLASSIC_MR,),
    keywords=(
        "SequenceName",
        "ScanningSequence",
        "SequenceVariant",
        "EchoTime",
        "RepetitionTime",
        "InversionTime",
        "FlipAngle",
        "MagneticFieldStrength",
        "DiffusionBValue",
    ),
    acquisition=_acquisition,
)
