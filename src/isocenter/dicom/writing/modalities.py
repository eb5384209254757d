"""The modalities that images are written in."""

from __future__ import annotations

from isocenter.dicom.writing.ct_image import CT_IMAGE
from isocenter.dicom.writing.image_kind import ImageKind
from isocenter.dicom.writing.mr_image import MR_IMAGE

_KINDS = {kind.modality: kind for kind in (CT_IMAGE, MR_IMAGE)}


def image_kind(modality: str) -> ImageKind:
    """What images of a modality demand.

    Raises:
        ValueError: images of this modality are not written.
    """
    if modality not in _KINDS:
        raise ValueError(
            f"images of modality {modality!r} cannot be written; {' and '.join(_KINDS)} can"
        )
    return _KINDS[modality]
