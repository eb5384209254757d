"""The index of a training collection: ``ct/index.json``, which says what each folder holds.

The only place that knows its form. An entry names a folder of one series, or lists single slices of
several patients in ``per_slice``; entries whose folder is not there are passed over, so that a part
of a collection can be used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocenter.core.errors import UnreadableInput

INDEX = Path("ct") / "index.json"
TRAIN = Path("ct") / "train"


@dataclass(frozen=True, kw_only=True)
class ListedScan:
    """One scan of a collection.

    Attributes:
        name: what the collection calls it.
        patient: what patients are told apart by.
        kernel: of the reconstruction.
        path: a folder of one series, or the file of a single slice.
        source: citation and licence of the collection that it comes from.
    """

    name: str
    patient: str
    kernel: str
    path: Path
    source: str = ""

    @property
    def is_single(self) -> bool:
        """Whether it is one slice in a file of its own."""
        return self.path.is_file()


def has_index(data: Path) -> bool:
    """Whether a folder says what it holds."""
    return (data / INDEX).is_file()


def read_index(data: Path) -> list[ListedScan]:
    """The scans that ``ct/index.json`` lists and ``ct/train`` holds, in the index's order.

    Raises:
        UnreadableInput: there is no such index, or it is damaged.
    """
    if not has_index(data):
        raise UnreadableInput(
            "no ct/index.json in the data folder; name the folder that holds ct/index.json and "
            "ct/train"
        )
    try:
        entries = json.loads((data / INDEX).read_text())
        return [one for entry in entries for one in _listed(data / TRAIN, entry)]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableInput(
            f"ct/index.json cannot be understood ({type(error).__name__}); it is a list of entries "
            "that each name `id`, `patient_id` and `kernel`, or `id` and `per_slice`"
        ) from error


def _listed(train: Path, entry: dict[str, Any]) -> list[ListedScan]:
    folder = train / entry["id"]
    if not folder.is_dir():
        return []
    source = f"{entry['citation']} ({entry['licence']})" if "citation" in entry else ""
    if "per_slice" not in entry:
        return [
            ListedScan(
                name=entry["id"],
                patient=entry["patient_id"],
                kernel=str(entry["kernel"]),
                path=folder,
                source=source,
            )
        ]
    return [
        ListedScan(
            name=Path(one["file"]).stem,
            patient=one["patient"],
            kernel=str(one["kernel"]),
            path=folder / one["file"],
            source=source,
        )
        for one in entry["per_slice"]
    ]
