"""Diffusion in the headers of classic MR images: how strongly an image was weighted, and whence.

The b-value comes from the standard's element, else from that of the maker. Texts such as the
description of a series or the name of its sequence decide nothing: they only tell a refusal what
the series seems to be. Maps that a scanner calculated (ADC, fractional anisotropy, images of
b-values that were never measured) are told by Image Type and left out.

Where makers keep the b-value: GE MR DICOM conformance statements (0043,1039, since release 20 with
1e9 added), Siemens MR (0019,100C), Philips MR (2001,1003), United Imaging (0065,1009).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from isocenter.core.acquisition import MrAcquisition
from isocenter.dicom.reading.header_values import (
    PrivateElement,
    Values,
    lenient_number,
    plain_text,
    texts,
)
from isocenter.dicom.reading.mr_header import MR_HEADER
from isocenter.dicom.reading.mr_rules import MR_SERIES

MEASURED, MAP, CALCULATED = "measured", "map", "calculated"
"""What an image is: as the scanner measured it, a map, or at a b-value that never was measured."""

GE_OFFSET = 1e9
_NO_DIRECTION = 1e-6
MAX_B_S_PER_MM2 = 20_000.0
"""No scanner of people reaches it; what is larger is in another unit."""

_GE, _SIEMENS, _PHILIPS = "GEMS_PARM_01", "SIEMENS MR HEADER", "Philips Imaging DD 001"
_PHILIPS_SCALE, _UNITED = "Philips MR Imaging DD 005", "Image Private Header"
_PRIVATE = (
    PrivateElement(name="GE b", group=0x0043, element=0x39, creator=_GE),
    PrivateElement(name="Siemens b", group=0x0019, element=0x0C, creator=_SIEMENS),
    PrivateElement(name="Siemens kind", group=0x0019, element=0x0D, creator=_SIEMENS),
    PrivateElement(name="Siemens direction", group=0x0019, element=0x0E, creator=_SIEMENS),
    PrivateElement(name="Philips b", group=0x2001, element=0x03, creator=_PHILIPS),
    PrivateElement(name="Philips kind", group=0x2001, element=0x04, creator=_PHILIPS),
    PrivateElement(name="Philips scale", group=0x2005, element=0x0E, creator=_PHILIPS_SCALE),
    PrivateElement(
        name="Philips scale 1", group=0x2005, element=0x0E, creator="Philips MR Imaging DD 001"
    ),
    PrivateElement(name="United Imaging b", group=0x0065, element=0x09, creator=_UNITED),
    PrivateElement(name="United Imaging direction", group=0x0065, element=0x37, creator=_UNITED),
)
_B_ELEMENTS = {
    "DiffusionBValue": "(0018,9087)",
    "GE b": "GE (0043,1039)",
    "Siemens b": "Siemens (0019,100C)",
    "Philips b": "Philips (2001,1003)",
    "United Imaging b": "United Imaging (0065,1009)",
}
B_VALUE_ELEMENTS = ", ".join(_B_ELEMENTS.values())
"""Where a b-value is looked for, for a refusal."""

_MAP_WORDS = re.compile(r"E?ADC.*|E?FA|COLFA|RA|VR|TENSOR|EXP|E[123]|L[123]|DIFFUSION MAP|.*_ADC")
_CALCULATED_WORDS = re.compile(r"CALC.*|COMP_B.*")
_TRACE_WORDS = re.compile(r"TRACEW?|.*ISOTROPIC|COMBINED|SE_TRACE")
_CALLED_DIFFUSION = re.compile(
    r"dwi|dti|diff(?!erence)|trace|(?<![a-z])b\s*=?\s*\d{3,4}(?!\d)", re.I
)
_HINT = re.compile(r"(?<![a-z])(?:ep_)?b\s*=?\s*(\d{2,4})(?!\d)", re.I)


@dataclass(frozen=True, kw_only=True)
class DiffusionAcquisition(MrAcquisition):
    """What a header says of diffusion besides what every MR image says.

    Attributes:
        b_element: where the b-value stands, in words; "" where nowhere.
        stated_b: every b-value that the header states; several that do not agree are refused.
        image: MEASURED, MAP or CALCULATED.
        is_trace: whether the image is of no direction, as its header says.
        direction: unit vector of the gradient; None where there is none or it is not stated.
        called_diffusion: whether a text of the header calls the image diffusion.
        hinted_b: the b-value that a text names, which decides nothing; None for none.
        is_echo_planar: whether it was read by echo planar imaging, as nearly all diffusion is.
        maker_scale: Philips' scale slope, by which values of several images become comparable
            (Chenevert et al., Transl. Oncol. 7:65, 2014); None for all others.
    """

    b_element: str = ""
    stated_b: tuple[float, ...] = ()
    image: str = MEASURED
    is_trace: bool = False
    direction: tuple[float, ...] | None = None
    called_diffusion: bool = False
    hinted_b: float | None = None
    is_echo_planar: bool = False
    maker_scale: float | None = None


def _acquisition(values: Values) -> DiffusionAcquisition:
    plain = MR_HEADER.acquisition(values)
    stated = dict(_stated_b_values(values))
    words = [word.upper() for word in texts(values.get("ImageType"))]
    named = " ".join(
        plain_text(values.get(keyword), 64)
        for keyword in ("SeriesDescription", "ProtocolName", "SequenceName")
    )
    hint = _HINT.search(named)
    facts = {**asdict(plain), "b_value_s_per_mm2": next(iter(stated.values()), None)}
    return DiffusionAcquisition(
        **facts,
        b_element=next(iter(stated), ""),
        stated_b=tuple(stated.values()),
        image=_kind_of_image(words),
        is_trace=_is_trace(values, words),
        direction=_direction(values),
        called_diffusion="DIFFUSION" in words or bool(_CALLED_DIFFUSION.search(named)),
        hinted_b=float(hint[1]) if hint else None,
        is_echo_planar=_is_echo_planar(values),
        maker_scale=_maker_scale(values),
    )


def _stated_b_values(values: Values) -> Iterator[tuple[str, float]]:
    """b-values by where they stand, the standard's first; whatever number is stated."""
    for name, words in _B_ELEMENTS.items():
        value = values.get(name)
        parts = _parts(value) or (value,)
        b_value = lenient_number(parts[0])
        if b_value is None:
            continue
        if name == "GE b" and b_value >= GE_OFFSET:
            b_value -= GE_OFFSET
        yield words, b_value


def _parts(value: Any) -> tuple[Any, ...]:
    """The values of an element that has several; none of one that has a single value."""
    is_several = not isinstance(value, str | bytes) and hasattr(value, "__iter__")
    return tuple(value) if is_several else ()


def _kind_of_image(words: list[str]) -> str:
    if any(_CALCULATED_WORDS.fullmatch(word) for word in words):
        return CALCULATED
    return MAP if any(_MAP_WORDS.fullmatch(word) for word in words) else MEASURED


def _is_trace(values: Values, words: list[str]) -> bool:
    if any(_TRACE_WORDS.fullmatch(word) for word in words):
        return True
    kinds = (values.get("DiffusionDirectionality"), values.get("Siemens kind"))
    if any(plain_text(kind, 16).upper() == "ISOTROPIC" for kind in kinds):
        return True
    return plain_text(values.get("Philips kind"), 16).upper() == "I"


def _direction(values: Values) -> tuple[float, ...] | None:
    """Of the standard, else of the maker; None where it is no vector."""
    candidates = [values.get("DiffusionGradientOrientation")]
    for item in values.get("DiffusionGradientDirectionSequence") or ():
        candidates.append(item.get("DiffusionGradientOrientation"))
    candidates += [values.get("Siemens direction"), values.get("United Imaging direction")]
    for candidate in candidates:
        parts = [lenient_number(part) for part in _parts(candidate)]
        known = [part for part in parts if part is not None]
        length = sum(part**2 for part in known) ** 0.5
        if len(parts) == len(known) == 3 and length > _NO_DIRECTION:
            return tuple(round(part / length, 3) for part in known)
    return None


def _is_echo_planar(values: Values) -> bool:
    if "EP" in texts(values.get("ScanningSequence")):
        return True
    return plain_text(values.get("SequenceName"), 64).lower().lstrip("*").startswith("ep")


def _maker_scale(values: Values) -> float | None:
    scale = lenient_number(values.get("Philips scale", values.get("Philips scale 1")))
    return scale if scale is not None and scale > 0 else None


DIFFUSION_HEADER = replace(
    MR_HEADER,
    keywords=(
        *MR_HEADER.keywords,
        "SeriesDescription",
        "ProtocolName",
        "DiffusionDirectionality",
        "DiffusionGradientOrientation",
        "DiffusionGradientDirectionSequence",
    ),
    private=_PRIVATE,
    acquisition=_acquisition,
)
DIFFUSION_SERIES = replace(MR_SERIES, header=DIFFUSION_HEADER)
