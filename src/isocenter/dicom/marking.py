"""The coded marks that tell every later reader that a model made these pixels.

De-identification removes texts, dates and private elements (PS3.15, Basic Profile). The marks
therefore live in coded and enumerated elements; texts only repeat them for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from isocenter.core.record import RunRecord

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PRODUCT = "Isocenter"
CODING_SCHEME = "99ISOCENTER"
AI_ENHANCED = "AI_ENHANCED"

Code = tuple[str, str, str]
"""Code value, coding scheme designator and meaning."""

NOISE_REDUCTION: Code = ("DLNR", CODING_SCHEME, "Deep learning noise reduction")
ACQUISITION_EQUIPMENT: Code = ("109101", "DCM", "Acquisition Equipment")
PROCESSING_EQUIPMENT: Code = ("109102", "DCM", "Processing Equipment")
SYNTHESIZING_EQUIPMENT: Code = ("109100", "DCM", "Synthesizing Equipment")


def _now() -> datetime:
    return datetime.now().astimezone()


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a derived object says of its making.

    Attributes:
        record: the run; its digest decides all UIDs.
        model_description: one sentence on the method, for people.
        synthetic: value of Synthetic Data; False only for a model whose faithfulness was validated
            and signed off. A source that is synthetic makes the result synthetic in any case.
        limits: one sentence on what the result is not for.
        forced_warnings: rules that were overridden, in words; empty takes those of ``record``.
        series_description: words after the flag; empty takes those of the source series.
        context: neighbouring slices on each side that a slice was computed from.
        clock: the time written into dates and times; never into pixels or UIDs.
    """

    record: RunRecord
    model_description: str
    synthetic: bool = True
    limits: str = "Not for primary diagnosis."
    forced_warnings: tuple[str, ...] = ()
    series_description: str = ""
    context: int = 0
    clock: Callable[[], datetime] = _now

    @property
    def warnings(self) -> tuple[str, ...]:
        """Overridden rules, in words."""
        return self.forced_warnings or self.record.warnings


def is_enhanced(dataset: Dataset) -> bool:
    """Whether an Isocenter model made or changed these pixels.

    Looks at what survives de-identification: Image Type, Derivation Code Sequence (of the image
    or of its frames) and Contributing Equipment. Synthetic Data alone does not count, as
    a software phantom is synthetic too and may be enhanced.
    """
    kinds = (_texts(dataset, "ImageType"), _texts(dataset, "FrameType"))
    if any(AI_ENHANCED in kind for kind in kinds):
        return True
    if any(_is_code(item, NOISE_REDUCTION) for item in _derivation_codes(dataset)):
        return True
    return any(_is_our_processor(item) for item in _items(dataset, "ContributingEquipmentSequence"))


def _derivation_codes(dataset: Dataset) -> Iterator[Dataset]:
    yield from _items(dataset, "DerivationCodeSequence")
    shared = _items(dataset, "SharedFunctionalGroupsSequence")
    per_frame = _items(dataset, "PerFrameFunctionalGroupsSequence")[:1]
    for group in [*shared, *per_frame]:
        for derivation in _items(group, "DerivationImageSequence"):
            yield from _items(derivation, "DerivationCodeSequence")


def _is_our_processor(item: Dataset) -> bool:
    purposes = _items(item, "PurposeOfReferenceCodeSequence")
    ours = PRODUCT in _texts(item, "Manufacturer")
    return ours and any(_is_code(purpose, PROCESSING_EQUIPMENT) for purpose in purposes)


def _is_code(item: Dataset, code: Code) -> bool:
    return (str(item.get("CodeValue", "")), str(item.get("CodingSchemeDesignator", ""))) == code[:2]


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    return list(dataset.get(keyword) or ())


def _texts(dataset: Dataset, keyword: str) -> list[str]:
    value = dataset.get(keyword)
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(part) for part in value]
