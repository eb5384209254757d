"""Heads as label maps: those of ``mri/synthseg_label_maps``, files of one's own, or made up.

The maps of that folder are those that SynthSeg was trained on: Billot et al., Med. Image Anal. 86,
2023, 102789 (Apache-2.0).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.core.files import sha256_of
from isocenter.core.seeds import generator_for
from isocenter.core.volume import Volume
from isocenter.datasets.splits import CALIBRATION, TEST, TRAIN, VALIDATION
from isocenter.image.orientation import transverse
from isocenter.image.volume_files import read_volume_file, stated
from isocenter.physics.phantom.analytic_head import analytic_head
from isocenter.physics.phantom.head_tissues import TISSUE_OF

MAPS = Path("mri") / "synthseg_label_maps"
_PATTERN = "*_seg_*.nii.gz"
_NAMES = "lut.json"
# Heads by their place in the sorted folder.
PART_OF_HEAD: Mapping[int, str] = MappingProxyType(
    {3: TEST, 7: TEST, 11: TEST, 5: VALIDATION, 14: CALIBRATION}
)
_NUM_MAPS = 17
_SPACING_MM = (0.3, 3.0)
_MOST_SHOWN = 8
_LABELS = 65536
_NOT_KNOWN = 255


@dataclass(frozen=True, kw_only=True)
class LabelMap:
    """One head.

    Attributes:
        name: of its file, or of the one that was made up.
        part: where its images belong.
        path: of the file; None for a head of ellipsoids.
    """

    name: str
    part: str
    path: Path | None

    def tissues(self) -> NDArray[np.uint8]:
        """(slice, row, column) numbers of tissues (see ``head_tissues``), 1 mm, LPS.

        Raises:
            UnreadableInput: the file cannot be read, or holds labels that are not known.
        """
        if self.path is None:
            return analytic_head(generator_for(0, self.name))
        return read_label_map(self.path)

    def digest(self) -> str:
        """Hexadecimal, of what decides the tissues."""
        if self.path is None:
            return self.name
        names = self.path.parent / _NAMES
        return sha256_of(self.path) + (sha256_of(names) if names.is_file() else "")


def label_maps(data: Path) -> list[LabelMap]:
    """The maps of a data folder, in the order of their names.

    Raises:
        UnreadableInput: there are none.
    """
    paths = sorted((data / MAPS).glob(_PATTERN))
    if not paths:
        raise UnreadableInput(f"no label maps named {_PATTERN} in {MAPS}; name the data folder")
    return [
        LabelMap(
            name=path.name.removesuffix(".nii.gz"),
            part=PART_OF_HEAD.get(place, TRAIN),
            path=path,
        )
        for place, path in enumerate(paths)
    ]


def made_up_maps(number: int) -> list[LabelMap]:
    """So many heads of ellipsoids, for where there is no data."""
    return [made_up_map(place) for place in range(number)]


def made_up_map(seed: int) -> LabelMap:
    """One head of ellipsoids; parts of a split go round as those of the data folder's maps do."""
    part = PART_OF_HEAD.get(seed % _NUM_MAPS, TRAIN)
    return LabelMap(name=f"ellipsoids {seed}", part=part, path=None)


def read_label_map(path: Path) -> NDArray[np.uint8]:
    """A file of labels as tissues.

    Args:
        path: NIfTI or MetaImage of FreeSurfer's numbers, with those that SynthSeg adds from 502 on;
            or of places in the list "index_to_label" of a lut.json beside it.

    Returns:
        (slice, row, column) numbers of tissues (see ``head_tissues``), resampled to 1 mm, with
        slices from the feet up, rows from the front and columns from the right.

    Raises:
        UnreadableInput: no such file, labels that are not known, or a spacing that no head has.
    """
    noted = stated(path).unit  # by files that Isocenter wrote
    unit = "label" if noted is None else noted
    volume = transverse(read_volume_file(path, unit=unit, length_unit="mm"))
    spacing = volume.geometry.spacing_mm
    if not (_SPACING_MM[0] <= min(spacing) and max(spacing) <= _SPACING_MM[1]):
        raise UnreadableInput(
            f"the label map has voxels of {' x '.join(f'{mm:g}' for mm in spacing)} mm; from "
            f"{_SPACING_MM[0]:g} to {_SPACING_MM[1]:g} mm are taken"
        )
    numbers = _whole_numbers(volume)
    names = path.parent / _NAMES
    table = table_of_places(names) if names.is_file() else None
    if table is not None and numbers.max() < len(table):
        tissues: NDArray[np.uint8] = table[numbers]
    else:
        tissues = tissues_of_labels(numbers)
    if max(abs(mm - 1) for mm in spacing) < 1e-3:
        return tissues
    return ndimage.zoom(tissues, spacing, order=0, grid_mode=True, mode="nearest")


def table_of_places(names: Path) -> NDArray[np.uint8]:
    """Tissues by place in the list "index_to_label" of a file.

    Raises:
        UnreadableInput: it is missing or damaged, or names a label that is not known.
    """
    try:
        labels = json.loads(names.read_text())["index_to_label"]
        return np.array([TISSUE_OF[label] for label in labels], np.uint8)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableInput(
            f"{_NAMES} of {MAPS} is missing, damaged or names a label that is not known "
            f"({type(error).__name__})"
        ) from error


def tissues_of_labels(labels: NDArray) -> NDArray[np.uint8]:
    """Tissues of FreeSurfer's numbers.

    Raises:
        UnreadableInput: a number is not known.
    """
    table = np.full(_LABELS, _NOT_KNOWN, np.uint8)
    for label, tissue in TISSUE_OF.items():
        table[label] = tissue
    tissues: NDArray[np.uint8] = table[labels]
    if (tissues == _NOT_KNOWN).any():
        unknown = np.unique(labels[tissues == _NOT_KNOWN])
        shown = ", ".join(str(one) for one in unknown[:_MOST_SHOWN])
        raise UnreadableInput(
            f"the label map holds {len(unknown)} labels that are not known, such as {shown}; those "
            "of FreeSurfer and SynthSeg are, as docs/simulate_brain.md lists them"
        )
    return tissues


def _whole_numbers(volume: Volume) -> NDArray[np.int64]:
    array = volume.array
    if not np.isfinite(array).all() or (array != np.rint(array)).any():
        raise InputRefused("the file holds other than whole numbers, so it is no label map")
    if array.min() < 0 or array.max() >= _LABELS:
        raise InputRefused(f"a label is from 0 to {_LABELS - 1}; the file holds others")
    return array.astype(np.int64)
