"""UIDs that are made from what they name, so that a second run gives the same ones."""

from __future__ import annotations

import hashlib
import uuid


def derived_uid(role: str, *parts: str) -> str:
    """A UID under 2.25, the same for the same role and parts in any process.

    The SHA-256 of the parts fills a UUID of version 8 (RFC 9562, made by its own rule), written as
    one decimal number as PS3.5 B.2 asks for. It cannot be turned back into the parts.
    """
    text = "\x1f".join(["isocenter", role, *parts])
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
    number = number & ~(0xF << 76) | (8 << 76)  # version
    number = number & ~(0x3 << 62) | (2 << 62)  # variant
    return f"2.25.{uuid.UUID(int=number).int}"


def series_uid(source_series_uid: str, record_digest: str, *, role: str = "series") -> str:
    """Series Instance UID of what one run made from one source series."""
    return derived_uid(role, source_series_uid, record_digest)


def instance_uid(source_instance_uid: str, record_digest: str, *, role: str = "image") -> str:
    """SOP Instance UID of what one run made from one source instance."""
    return derived_uid(role, source_instance_uid, record_digest)


def device_uid(weights_sha256: str) -> str:
    """Device UID of one build of a model: other weights are another device."""
    return derived_uid("device", weights_sha256)


IMPLEMENTATION_CLASS_UID = derived_uid("implementation class", "1")
CODING_SCHEME_UID = derived_uid("coding scheme", "99ISOCENTER")
