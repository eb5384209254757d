"""The hash-locked constraints, read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = (ROOT / "constraints-hashed.txt", ROOT / "constraints-hashed-cpu.txt")


@dataclass(frozen=True)
class Locked:
    """One package: its version and the SHA-256 of each file that may be installed."""

    version: str
    sha256: tuple[str, ...]


def read_lock(path: Path) -> dict[str, Locked]:
    """Every package of a lock, by its normalized name.

    Raises:
        ValueError: a line is something else than a pinned package with its hashes.
    """
    found = {}
    for block in re.sub(r"\\\n", " ", path.read_text()).splitlines():
        words = block.split()
        if not words or words[0].startswith("#"):
            continue
        name, _, version = words[0].partition("==")
        hashes = [re.fullmatch(r"--hash=sha256:([0-9a-f]{64})", word) for word in words[1:]]
        if not version or not hashes or not all(hashes):
            raise ValueError(f"{path.name} has a line that pins no files: {block[:60]}")
        found[normalized(name)] = Locked(version, tuple(each[1] for each in hashes if each))
    return found


def normalized(name: str) -> str:
    """A package's name as the registry writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()
