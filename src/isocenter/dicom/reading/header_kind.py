"""What is read of the headers of one modality besides what every image has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from isocenter.core.acquisition import Acquisition
from isocenter.dicom.reading.header_values import PrivateElement, Values


@dataclass(frozen=True, kw_only=True)
class HeaderKind:
    """Where a modality keeps its facts.

    Attributes:
        modality: DICOM Modality.
        sop_classes: kinds of object that are read, multi-frame ones among them.
        multiframe_classes: those whose frames have headers of their own.
        keywords: of the elements that are read, of the image or of each frame.
        groups: functional group sequences that hold them.
        private: elements of makers that are read of the image, beside those of the standard.
        acquisition: makes acquisition facts of the values of a frame.
    """

    modality: str
    sop_classes: tuple[str, ...]
    multiframe_classes: tuple[str, ...] = ()
    keywords: tuple[str, ...]
    groups: tuple[str, ...] = ()
    private: tuple[PrivateElement, ...] = ()
    acquisition: Callable[[Values], Acquisition]
