"""What a kind of single-frame image demands that other kinds do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from isocenter.core.acquisition import Acquisition
from isocenter.dicom.writing.scale import Scale


@dataclass(frozen=True, kw_only=True)
class ImageKind:
    """The images of one modality.

    Attributes:
        modality: DICOM Modality.
        sop_class_uid: of the single-frame object.
        flavors: what value 3 of Image Type may be; the first where nothing fits better.
        empty_where_unknown: type 2 elements that other kinds do not have.
        unit: that all values are in, "" where the output decides.
        rescale_type: Rescale Type of that unit.
        scale: how new values are stored; None takes what their range needs.
        window: lowest and highest value that viewers show at first; None takes what most values
            lie in.
        write_acquisition: writes in place how a new series was made, as far as that is true of it.
    """

    modality: str
    sop_class_uid: str
    flavors: tuple[str, ...]
    empty_where_unknown: tuple[str, ...]
    unit: str
    rescale_type: str
    scale: Scale | None
    window: tuple[float, float] | None
    write_acquisition: Callable[[Dataset, Acquisition], None]

    def image_type(self, word: str, *, flavor: str) -> list[str]:
        """Image Type of a derived image: ``word``, where it is not empty, is value 4."""
        known = flavor if flavor in self.flavors else self.flavors[0]
        return ["DERIVED", "SECONDARY", known, *([word] if word else [])]


def decimal(value: float) -> str:
    """A number as a decimal string of at most 16 characters."""
    text: str = format_number_as_ds(float(value))
    return text


def decimal_or_empty(value: float | None) -> str | None:
    """The same; None, which is written as an empty element, where the number is unknown."""
    return None if value is None else decimal(value)
