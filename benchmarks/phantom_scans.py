"""Write phantom scans of given lengths: ``python -m benchmarks.phantom_scans FOLDER 1 20``.

One folder a scan, named by its number of slices. A process of its own, so that the one that
measures others stays small: on Linux a child's peak memory counts from its parent's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from isocenter.core.volume import Volume
from isocenter.dicom.writing.phantom_scan import write_phantom_scan
from isocenter.physics.ct_phantom import low_dose_phantom

MOST_DRAWN = 10


def main() -> None:
    """Parse the command line and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("slices", type=int, nargs="+")
    arguments = parser.parse_args()
    write_scans(arguments.folder, arguments.slices)


def write_scans(folder: Path, lengths: Sequence[int]) -> None:
    """A scan of each length below the folder."""
    drawn, _ = low_dose_phantom(num_slices=min(MOST_DRAWN, max(lengths)))
    for count in lengths:
        scan = folder / str(count)
        scan.mkdir(parents=True)
        write_phantom_scan(_longer(drawn, count), scan)


def _longer(volume: Volume, count: int) -> Volume:
    """Repeat the slices back and forth until there are enough."""
    there = np.arange(len(volume.array))
    order = np.concatenate([there, there[-2:0:-1]])
    chosen = np.resize(order, count)
    geometry = replace(volume.geometry, shape=(count, *volume.geometry.shape[1:]))
    return replace(volume, array=volume.array[chosen], geometry=geometry, valid=None)


if __name__ == "__main__":
    main()
