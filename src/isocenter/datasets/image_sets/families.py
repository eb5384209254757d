"""All families of a data folder, read once and kept as arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from isocenter.core.errors import InputRefused
from isocenter.core.progress import Say, say_nothing
from isocenter.datasets.image_sets import brain_labels, brain_t1c, chest_ct, chest_radiograph
from isocenter.datasets.image_sets.image_set import ImageLabels, ImageSet
from isocenter.datasets.index import INDEX, TRAIN

# Raise it when a loader or the simulation changes what it returns.
_CACHE_VERSION = 3


@dataclass(frozen=True, kw_only=True)
class _Source:
    """How to read one family, and which files decide what is read."""

    read: Callable[[Path], ImageSet]
    files: tuple[Path, ...]


SOURCES: Mapping[str, _Source] = MappingProxyType(
    {
        brain_t1c.FAMILY: _Source(
            read=brain_t1c.read_brain_t1c, files=(brain_t1c.IMAGES, brain_t1c.TABLE)
        ),
        chest_radiograph.FAMILY: _Source(
            read=chest_radiograph.read_chest_radiographs,
            files=(
                chest_radiograph.CHILDREN,
                chest_radiograph.CHILDREN_TABLE,
                chest_radiograph.ADULTS,
            ),
        ),
        chest_ct.FAMILY: _Source(read=chest_ct.read_chest_ct, files=(INDEX, TRAIN)),
        brain_labels.FAMILY: _Source(
            read=brain_labels.read_brain_labels, files=(brain_labels.MAPS,)
        ),
    }
)
FAMILIES = tuple(SOURCES)


def read_families(
    data: Path,
    names: Sequence[str] | None = None,
    *,
    cache: Path | None = None,
    say: Say = say_nothing,
) -> dict[str, ImageSet]:
    """Read the sets of images below a data folder.

    Args:
        data: folder that holds ``mri``, ``cxr`` and ``ct``.
        names: of :data:`FAMILIES`; all where absent.
        cache: folder in which arrays are kept for the next time, as real patients' images: keep it
            out of version control. It is read where sources are the same by name, size and time.
        say: is told what happens.

    Raises:
        InputRefused: a name is none of the families.
        UnreadableInput: a source is missing or damaged.
    """
    wanted = FAMILIES if names is None else tuple(names)
    if unknown := [name for name in wanted if name not in SOURCES]:
        raise InputRefused(
            f"no family is called {', '.join(unknown)}; there are {', '.join(FAMILIES)}"
        )
    return {name: _read(data, name, cache, say) for name in wanted}


def _read(data: Path, name: str, cache: Path | None, say: Say) -> ImageSet:
    source = SOURCES[name]
    kept = None if cache is None else cache / f"{name}-{_fingerprint(data, source)}.npz"
    if kept is not None and kept.is_file():
        say(f"{name}: reading what was kept")
        return load_set(kept)
    say(f"{name}: reading its sources")
    found = source.read(data)
    say(f"{name}: {len(found):,} images")
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_set(found, kept)
    return found


def _fingerprint(data: Path, source: _Source) -> str:
    told = hashlib.sha256(f"version {_CACHE_VERSION}".encode())
    for path in _files_of(data, source):
        about = path.stat()
        told.update(f"{path.relative_to(data)}/{about.st_size}/{about.st_mtime_ns}".encode())
    told.update((Path(__file__).parent / brain_t1c.PLANES).read_bytes())
    return told.hexdigest()[:16]


def _files_of(data: Path, source: _Source) -> Iterable[Path]:
    for name in source.files:
        path = data / name
        yield from sorted(one for one in path.rglob("*") if one.is_file())
        if path.is_file():
            yield path


def save_set(images: ImageSet, path: Path) -> None:
    """Write a set to one .npz file, whole or not at all."""
    partial = path.with_suffix(".partial")
    head = {
        "family": images.family,
        "low": images.low,
        "high": images.high,
        "guide_names": list(images.guide_names),
        "labels": [one.described() for one in images.labels],
    }
    arrays = {"stored": images.stored, "head": np.frombuffer(json.dumps(head).encode(), np.uint8)}
    if images.guides is not None:
        arrays["guides"] = images.guides
    with partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    partial.replace(path)


def load_set(path: Path) -> ImageSet:
    """What :func:`save_set` wrote."""
    with np.load(path, allow_pickle=False) as held:
        head = json.loads(held["head"].tobytes())
        return ImageSet(
            family=head["family"],
            stored=held["stored"],
            low=head["low"],
            high=head["high"],
            labels=tuple(ImageLabels.from_description(one) for one in head["labels"]),
            guides=held["guides"] if "guides" in held.files else None,
            guide_names=tuple(head["guide_names"]),
        )
