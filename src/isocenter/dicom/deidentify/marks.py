"""What a de-identified object says of its de-identification, in coded elements."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

from isocenter.core.outputs import Code
from isocenter.core.version import __version__
from isocenter.dicom.marking import DEIDENTIFYING_EQUIPMENT, PRODUCT, code_item, fitted

_STRENGTH = ("UNMODIFIED", "MODIFIED", "REMOVED")
"""Of Longitudinal Temporal Information Modified: what was taken away is never said to be there."""


def mark_deidentified(
    dataset: Dataset, codes: Sequence[Code], *, method: str, temporal: str
) -> None:
    """Write in place who removed the identity, how, and what became of dates.

    What an earlier de-identification said stays in front.

    Args:
        codes: of the profile and its options, CID 7050.
        method: in words, at most 64 characters.
        temporal: REMOVED, MODIFIED or UNMODIFIED.
    """
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = _with(_methods(dataset), fitted(method, 64))
    known = list(dataset.get("DeidentificationMethodCodeSequence") or ())
    values = [item.get("CodeValue") for item in known]
    known += [code_item(code) for code in codes if code.value not in values]
    dataset.DeidentificationMethodCodeSequence = known
    before = dataset.get("LongitudinalTemporalInformationModified")
    states = [one for one in (before, temporal) if one in _STRENGTH]
    dataset.LongitudinalTemporalInformationModified = max(states, key=_STRENGTH.index)
    _name_equipment(dataset)


def _methods(dataset: Dataset) -> list[str]:
    value = dataset.get("DeidentificationMethod")
    if not value:
        return []
    return [value] if isinstance(value, str) else [str(one) for one in value]


def _with(texts: list[str], text: str) -> list[str] | str:
    joined = [*texts, *([] if text in texts else [text])]
    return joined[0] if len(joined) == 1 else joined


def _name_equipment(dataset: Dataset) -> None:
    """Add what de-identified to Contributing Equipment (PS3.3 C.12.1.1.5), once."""
    item = Dataset()
    item.Manufacturer = PRODUCT
    item.ManufacturerModelName = f"{PRODUCT} deidentify"
    item.SoftwareVersions = f"{PRODUCT} {__version__}"
    item.PurposeOfReferenceCodeSequence = [code_item(DEIDENTIFYING_EQUIPMENT)]
    known = list(dataset.get("ContributingEquipmentSequence") or ())
    if item not in known:
        dataset.ContributingEquipmentSequence = [*known, item]
