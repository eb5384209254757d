"""The series of a study, out of the rows of its instances or out of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from isocenter.core.errors import UnreadableInput
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.dicom.reading.instance_facts import InstanceFacts, instance_facts
from isocenter.dicom.reading.listing import list_files
from isocenter.gateway.rules.description import Series


def series_of(instances: Iterable[Any]) -> list[Series]:
    """Series in the order of their number and UID.

    Args:
        instances: anything with ``series_uid`` and ``described``, such as rows.
    """
    grouped: dict[str, list[Mapping[str, str]]] = {}
    for each in instances:
        grouped.setdefault(each.series_uid, []).append(each.described)
    order = sorted(grouped, key=lambda uid: (_number(grouped[uid][0]), uid))
    return [
        Series(
            number=place,
            series_uid=uid,
            described=_merged(grouped[uid]),
            num_images=len(grouped[uid]),
        )
        for place, uid in enumerate(order, start=1)
    ]


def facts_below(folder: Path, *, limits: Limits = DEFAULT_LIMITS) -> dict[Path, InstanceFacts]:
    """What the readable DICOM files below a folder say of themselves.

    Raises:
        UnreadableInput: there is no such folder.
    """
    found = {}
    for path in list_files(folder, limits=limits).dicom:
        try:
            found[path] = instance_facts(path, limits=limits)
        except UnreadableInput:
            continue
    return found


def _number(described: Mapping[str, str]) -> int:
    text = described.get("SeriesNumber", "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _merged(described: list[Mapping[str, str]]) -> dict[str, str]:
    """Each different value of a keyword once, in the order in which they come."""
    values: dict[str, dict[str, None]] = {}
    for one in described:
        for keyword, text in one.items():
            values.setdefault(keyword, {}).update(dict.fromkeys(text.split("\\")))
    return {keyword: "\\".join(texts) for keyword, texts in values.items()}
