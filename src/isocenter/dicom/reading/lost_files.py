"""Which files were images once, and which series they may belong to.

A file that is empty, cut short or closed to us cannot say what it was; its name and its neighbors
can. Archives name images by UID, by counting (``IM3``, ``I1000000``, ``1-05.dcm``) or by digest,
all images of a folder in one way. So a file counts as an image where its name is built as that of
an image beside it, whatever numbers it holds, or ends as DICOM files do. What bears another name
(``README.txt``, ``DICOMDIR``, ``Thumbs.db``, a checksum file, an archive) never was one.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from isocenter.dicom.reading.frames import ImageFile

DICOM_SUFFIXES = (".dcm", ".dicom", ".dic", ".ima")
UNFINISHED_SUFFIXES = (".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp")
"""What programs that copy or download append until a file is whole."""

NO_IMAGES = frozenset(
    """
    authors autorun changelog changes checksum checksums contents copying dicomdir index install
    licence license lockfile manifest md5sum md5sums news notice readme sha1sum sha1sums sha256sum
    sha256sums sha512sums todo version
    """.split()
)
"""Names without ending of what lies beside images on discs and in archives."""

NO_SCANS = frozenset(("lost+found", "system volume information", "$recycle.bin"))
"""Folders that systems make and close."""

_NUMBER = re.compile(r"\d+(\.\d+)*")
_HEX = r"(?<![0-9A-Z])[0-9A-F]{%s}(?![0-9A-Z])"
_DIGEST = re.compile(_HEX % "8" + r"(-[0-9A-F]{4}){3}-[0-9A-F]{12}|" + _HEX % "6,")


def shapes_of_name(name: str) -> set[str]:
    """How a name is built, whatever numbers ("IM#") or digests ("CT_%") are in it.

    Two names are built alike if they have one shape in common. The endings that DICOM files bear
    do not count, as archives add and drop them.
    """
    name = name.upper()
    for suffix in DICOM_SUFFIXES:
        name = name.removesuffix(suffix.upper())
    shapes = {_NUMBER.sub("#", name)}
    if _DIGEST.search(name):
        shapes.add(_NUMBER.sub("#", _DIGEST.sub("%", name)))
    return shapes


def may_hold_scans(folder: Path) -> bool:
    """Whether a folder that cannot be listed may hold images, by its name."""
    return not folder.name.startswith(".") and folder.name.lower() not in NO_SCANS


@dataclass(frozen=True)
class _Images:
    """What images beside a file tell of it: their series and how they are named."""

    series: frozenset[str]
    shapes: frozenset[str]
    have_endings: bool


class Neighbors:
    """The images of a tree by folder: they tell what the other files there may have been.

    A folder's neighbors are the images in it; where it has none, those below it, else those below
    the nearest folder above, as some archives give every image a folder of its own.
    """

    def __init__(self, top: Path, images: Iterable[ImageFile]) -> None:
        self._top = top
        self._images: dict[Path, list[ImageFile]] = defaultdict(list)
        self._below: dict[Path, list[Path]] = defaultdict(list)
        self._known: dict[tuple[Path, bool], _Images] = {}
        for image in images:
            self._images[image.path.parent].append(image)
        for folder in self._images:
            for above in self._up_from(folder):
                self._below[above].append(folder)

    def series_beside(self, path: Path) -> frozenset[str]:
        """Series that a file may belong to."""
        return self._beside(path.parent).series

    def series_near(self, folder: Path) -> frozenset[str]:
        """Series that the images in a closed folder may belong to: all those around it."""
        return self._around(folder.parent).series

    def may_be_image(self, path: Path) -> bool:
        """Whether a file that cannot be read was an image, by its name."""
        name = path.name
        if name.startswith("."):
            return False
        stem, suffix = path.stem, path.suffix.lower()
        if suffix in UNFINISHED_SUFFIXES:
            whole = path.with_name(stem)
            return not os.path.exists(whole) and self.may_be_image(whole)
        if suffix in DICOM_SUFFIXES:
            return True
        return name.lower() not in NO_IMAGES and self._is_named_as_images(path)

    def _is_named_as_images(self, path: Path) -> bool:
        images = self._beside(path.parent)
        if shapes_of_name(path.name) & images.shapes:
            return True
        # Codes of letters and digits have no shape; where they are used, no name has an ending.
        has_number = any(letter.isdecimal() for letter in path.name)
        return has_number and not images.have_endings and "." not in path.name

    def _beside(self, folder: Path) -> _Images:
        return self._told(folder, [folder]) if folder in self._images else self._around(folder)

    def _around(self, folder: Path) -> _Images:
        for above in self._up_from(folder):
            if above in self._below:
                return self._told(above, self._below[above], deep=True)
        return _Images(frozenset(), frozenset(), have_endings=False)

    def _told(self, place: Path, folders: Iterable[Path], *, deep: bool = False) -> _Images:
        if (place, deep) not in self._known:
            images = [image for folder in folders for image in self._images[folder]]
            names = [image.path.name for image in images]
            self._known[place, deep] = _Images(
                frozenset(image.series_uid for image in images),
                frozenset(shape for name in names for shape in shapes_of_name(name)),
                have_endings=any("." in name for name in names),
            )
        return self._known[place, deep]

    def _up_from(self, folder: Path) -> Iterator[Path]:
        yield folder
        while folder not in (self._top, folder.parent):
            folder = folder.parent
            yield folder
