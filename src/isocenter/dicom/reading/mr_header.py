"""What an MR header says besides: the sequence, its times, the magnet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

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

_DESCRIPTIONS = ("SeriesDescription", "ProtocolName")
_NO_AGENT = re.compile(
    r"NO|NON|NONE|NEIN|NATIVE?|NIL|N/?A|NOT GIVEN|NO CONTRAST.*|WITHOUT.*|[-0. ]+"
)
# Words that technologists use; "+C" and the like stand for a contrast agent.
_WORDS = {
    word: re.compile(rf"(?<![a-z])(?:{pattern})(?![a-z])")
    for word, pattern in {
        "t1": r"t1(?:w|wi)?(?!\d)",
        "t2": r"t2(?:w|wi)?(?!\d|\s?\*|\s?star)",
        "t2*": r"t2\s?(?:\*|star|s(?![a-z]))|hemo|gre",
        "pd": r"pd(?:w|wi)?|dp|proton",
        "flair": r"(?:t[12])?flair|tirm|dark[ _-]?fluid|da-fl|darkfl",
        "stir": r"stir",
        "mprage": r"mp2?rage|bravo|fspgr|spgr|tfl|mpr",
        "agent": r"post|gd|gado|gad|km|\+c|c\+|\+gd|\+km|ce|contrast|enhanced|dotarem|gadovist",
        "native": r"pre|native?|w/?o|without|non[ _-]?contrast",
        "swi": r"swi|swan|swip|venobold",
        "mra": r"mra|tof|angio|pca",
        "dwi": r"dwi|dti|diff|diffusion|trace|b\s?\d{3,4}",
        "adc": r"adc|dadc|eadc",
        "localizer": r"loc|localizer|localiser|scout|survey|3[ -]?plane|aahead",
    }.items()
}


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
        echo_train_length=_whole(values.get("EchoTrainLength")),
        scanning_sequence=_terms(values.get("ScanningSequence")),
        sequence_variant=_terms(values.get("SequenceVariant")),
        scan_options=_terms(values.get("ScanOptions")),
        image_type=_terms(values.get("FrameType") or values.get("ImageType")),
        is_3d={"2D": False, "3D": True}.get(plain_text(values.get("MRAcquisitionType"), 16)),
        is_angiography={"Y": True, "N": False}.get(plain_text(values.get("AngioFlag"), 16)),
        has_contrast_agent=_has_agent(values.get("ContrastBolusAgent")),
        described_as=described_as(values.get(keyword) for keyword in _DESCRIPTIONS),
    )


def _whole(value: Any) -> int | None:
    known = positive(value)
    return None if known is None else int(known)


def _terms(value: Any) -> tuple[str, ...]:
    return tuple(text.upper() for text in texts(value) if text)


def _has_agent(value: Any) -> bool | None:
    """None where the element is absent or empty: many scanners write it only where there is one."""
    text = plain_text(value, 64)
    return None if not text else not _NO_AGENT.fullmatch(text.upper())


def described_as(descriptions: Iterable[Any]) -> tuple[str, ...]:
    """The known words that free texts hold, each once, in the order of the list of words."""
    text = " ".join(plain_text(one, 64).lower() for one in descriptions)
    return tuple(word for word, pattern in _WORDS.items() if pattern.search(text))


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
        "EchoTrainLength",
        "ScanOptions",
        "MRAcquisitionType",
        "AngioFlag",
        "ContrastBolusAgent",
        *_DESCRIPTIONS,
    ),
    acquisition=_acquisition,
)
