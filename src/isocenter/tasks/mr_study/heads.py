"""Whether the images of a study are of a head, with or without skull alike, and what they say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import numpy as np

from isocenter.core.errors import UnsuitableScan
from isocenter.core.volume import Volume
from isocenter.dicom.reading.mr_contrast import Contrast
from isocenter.image.head_mask import brain_mask, head_mask
from isocenter.image.head_shape import check_is_head, is_skull_stripped

_OTHER_PARTS = re.compile(
    r".*(?:KNEE|SPINE|ABDO|PELVI|CHEST|THORAX|BREAST|SHOULDER|HIP|WRIST|ANKLE|FOOT|HAND|ELBOW|"
    r"HEART|CARDIAC|PROSTATE|LIVER|EXTREM|LEG|ARM|THIGH|UTERUS|RECTUM|KIDNEY|PANCREAS|WHOLEBODY).*"
)
_HEAD_TOO = re.compile(r".*(?:HEAD|BRAIN|SKULL).*")
# How far the ends of the brain's values lie from its median, upper less lower, in quartile ranges.
# Over 37 images of 13 heads: T2 1.1 to 3.8, T1 -1.8 to -0.4, T1c -2.5 to 0.4, FLAIR -2.5 to 1.2.
_LEAST_TAIL: Mapping[str, float] = {"T2": 0.0}
_MOST_TAIL: Mapping[str, float] = {"T1": 0.75, "T1c": 0.75, "FLAIR": 2.0}


def check_heads(
    images: Mapping[Contrast, tuple[str, Volume]], *, named: AbstractSet[Contrast]
) -> tuple[list[str], bool]:
    """Refuse what is no head, and images with and without skull together.

    Args:
        images: label and volume, by contrast.
        named: contrasts that no header told, but a name; their values are looked at.

    Returns:
        Notes, and whether the skull was taken away.

    Raises:
        UnsuitableScan: as said above, or an image whose values are not those of its name.
    """
    notes, stripped = [], {}
    for contrast, (label, volume) in images.items():
        part = volume.acquisition.body_part.upper()
        if _OTHER_PARTS.fullmatch(part) and not _HEAD_TOO.fullmatch(part):
            raise UnsuitableScan(
                f"{label} is of another part of the body, as Body Part Examined says; give images "
                "of a head",
                reason="body_part",
                can_be_forced=True,
            )
        head = head_mask(volume)
        check_is_head(volume, head)
        stripped[label] = is_skull_stripped(volume, head)
        if contrast in named:
            _check_values(contrast, label, volume)
    if not any(one.acquisition.body_part for _, one in images.values()):
        notes.append("No header names the part of the body; size and shape are those of a head.")
    if len(set(stripped.values())) > 1:
        bare = ", ".join(label for label, is_bare in stripped.items() if is_bare)
        raise UnsuitableScan(
            f"the skull was taken away from {bare} and not from the others; give all images with "
            "it or all without",
            reason="skull",
        )
    return notes, any(stripped.values())


def _check_values(contrast: Contrast, label: str, volume: Volume) -> None:
    """CSF is by far the brightest in T2, and dark in T1 and FLAIR: gross mistakes show."""
    tail = tail_of_brain(volume)
    is_dark = tail < _LEAST_TAIL.get(contrast, -np.inf)
    is_bright = tail > _MOST_TAIL.get(contrast, np.inf)
    if is_dark or is_bright:
        shown = "dark" if is_dark else "bright"
        raise UnsuitableScan(
            f"{label} was named {contrast}, but the extremes of its brain are {shown} ones, as of "
            f"another contrast; name it rightly or leave it out",
            reason="contrast",
            can_be_forced=True,
        )


def tail_of_brain(volume: Volume) -> float:
    """By how much the brightest of the brain lie further from its median than the darkest.

    In interquartile ranges, of the 98th and the 2nd percentile.
    """
    values = volume.array[brain_mask(volume)]
    low, first, middle, third, high = np.percentile(values, (2, 25, 50, 75, 98))
    return float((high + low - 2 * middle) / max(third - first, 1e-12))
