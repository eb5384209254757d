"""What the answers of an archive mean; an answer is a claim, not a proof."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["accepted", "transient", "permanent", "unknown"]

_REFERENCED, _FAILED = "00081199", "00081198"
_SOP_UID, _FAILURE_REASON = "00081155", "00081197"
_BAD_REQUEST = (400, 405, 406, 409, 411, 413, 415, 422)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an archive said of one instance.

    Attributes:
        kind: "accepted"; "transient" may pass; "permanent" does not; "unknown" says nothing.
        message: for people.
    """

    kind: Kind
    message: str = ""


def of_status(status: int) -> Answer:
    """Meaning of a C-STORE status, or of a Failure Reason of STOW-RS (PS3.4 B.2.3, PS3.18 I.2)."""
    text = f"status {status:04X}H"
    if status == 0 or status & 0xF000 == 0xB000:
        return Answer(kind="accepted", message="" if status == 0 else f"stored with {text}")
    if status == 0x0111:  # the UID is there; only reading back tells with which pixels
        return Answer(kind="unknown", message=f"{text}: it says that it has this instance")
    permanent = status >> 8 in (0xA9, 0xC1) or status >> 12 == 0xC or status in (0x0122, 0x0124)
    return Answer(kind="permanent" if permanent else "transient", message=text)


def of_stow(status: int, body: bytes | None, sop_uids: Sequence[str]) -> dict[str, Answer]:
    """Meaning of a STOW-RS answer for each instance that was sent.

    The body is read whatever the status: a 400 may have stored half, a 200 may hold failures.

    Args:
        status: of HTTP.
        body: None where it did not come whole.
        sop_uids: that were sent.
    """
    said = _said(body)
    return {uid: said.get(uid) or _not_mentioned(status, len(sop_uids)) for uid in sop_uids}


def _said(body: bytes | None) -> dict[str, Answer]:
    """Answers by UID out of a Store Instances Response; none where it is something else."""
    try:
        document = json.loads(body or b"")
    except (ValueError, RecursionError):
        return {}
    if isinstance(document, list) and len(document) == 1:
        (document,) = document  # some wrap it
    if not isinstance(document, Mapping):
        return {}
    said = {uid: Answer(kind="accepted") for uid, _ in _items(document, _REFERENCED)}
    for uid, reason in _items(document, _FAILED):
        said[uid] = of_status(reason) if reason else Answer(kind="transient", message="it failed")
    return said


def _items(document: Mapping[str, Any], tag: str) -> list[tuple[str, int]]:
    """UID and failure reason (0 for none) of each item of a sequence."""
    found = []
    for item in _values(document, tag):
        if isinstance(item, Mapping):
            uids, reasons = _values(item, _SOP_UID), _values(item, _FAILURE_REASON)
            if uids and isinstance(uids[0], str):
                is_code = bool(reasons) and isinstance(reasons[0], int)
                found.append((uids[0], int(reasons[0]) & 0xFFFF if is_code else 0))
    return found


def _values(table: Mapping[str, Any], tag: str) -> list[Any]:
    element = table.get(tag)
    values = element.get("Value") if isinstance(element, Mapping) else None
    return values if isinstance(values, list) else []


def _not_mentioned(status: int, num_sent: int) -> Answer:
    """Meaning of a status alone."""
    message = f"HTTP {status} without a word on this instance"
    if 200 <= status < 300:
        return Answer(kind="unknown", message=message)
    if status in _BAD_REQUEST and num_sent == 1:
        return Answer(kind="permanent", message=message)
    return Answer(kind="transient", message=message)
