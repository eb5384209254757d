"""The version of Isocenter, and of the libraries that can change a pixel."""

from __future__ import annotations

from collections.abc import Iterable

__version__ = "0.1.0"

DECISIVE_LIBRARIES = ("torch", "numpy", "scipy", "pydicom", "highdicom")


def library_versions(names: Iterable[str] = DECISIVE_LIBRARIES) -> dict[str, str]:
    """Installed version of each library, by name."""
    from importlib import metadata

    return {name: metadata.version(name) for name in names}
