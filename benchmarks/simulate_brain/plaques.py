"""Compare planted plaques with those of real masks, by numbers, volumes and shapes.

    python -m benchmarks.simulate_brain.plaques --data FOLDER [--output FOLDER] [--heads N]

Lesions are connected in all 26 directions, and of at least 3 mm³, in real and in planted masks
alike. It writes plaques.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.datasets.label_maps import label_maps
from isocenter.image.volume_files import read_volume_file
from isocenter.physics.phantom.head import make_head

_MASKS = "mri/ms_lesion_masks_mni"
_LEAST_MM3, _LEAST_FOR_SHAPE = 3, 30
_LEAST_VARIANCE = 1 / 12  # of places within one voxel
_PERCENTILES = (10, 50, 90, 99)


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("runs/simulate_brain"))
    parser.add_argument("--heads", type=int, default=17)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    figures = {
        "real": measured(_real(options.data)),
        "planted": measured(_planted(options.data, options.heads)),
    }
    text = json.dumps(figures, indent=2)
    (options.output / "plaques.json").write_text(text)
    print(text)


def _real(data: Path) -> Iterator[NDArray]:
    for path in sorted((data / _MASKS).glob("*.nii.gz")):
        yield read_volume_file(path, unit="label", length_unit="mm").array > 0.5


def _planted(data: Path, count: int) -> Iterator[NDArray]:
    maps = label_maps(data)
    for number in range(count):
        head = make_head(maps[number % len(maps)].tissues(), seed=number, lesion="plaques")
        yield head.lesion_share("plaque") > 0.5


def measured(masks: Iterable[NDArray]) -> dict[str, list[float]]:
    """10th, 50th, 90th and 99th percentiles over patients, and over all lesions.

    Args:
        masks: of one patient each, (slice, row, column) bool in voxels of 1 mm.
    """
    counts: list[float] = []
    loads: list[float] = []
    volumes: list[float] = []
    shapes: list[NDArray] = []
    for mask in masks:
        labeled, _ = ndimage.label(mask, np.ones((3, 3, 3)))
        sizes = np.bincount(labeled.ravel())[1:]
        kept = np.flatnonzero(sizes >= _LEAST_MM3)
        counts.append(float(len(kept)))
        loads.append(float(mask.sum()) / 1000)
        volumes += sizes[kept].tolist()
        boxes = ndimage.find_objects(labeled)
        for one in kept[sizes[kept] >= _LEAST_FOR_SHAPE]:
            shapes.append(_axes(labeled[boxes[one]] == one + 1))
    middle = np.median(shapes, axis=0) if shapes else np.zeros(3)
    return {
        "lesions_of_a_patient": _percentiles(counts),
        "load_ml": _percentiles(loads),
        "volume_mm3": _percentiles(volumes),
        "second_and_third_axis": [round(float(one), 2) for one in middle[1:]],
    }


def _axes(mask: NDArray) -> NDArray:
    """Lengths along the principal axes over the first."""
    variances = np.linalg.eigvalsh(np.cov(np.argwhere(mask).T))[::-1]
    lengths = np.sqrt(np.maximum(variances, _LEAST_VARIANCE))
    share: NDArray = lengths / lengths[0]
    return share


def _percentiles(values: list[float]) -> list[float]:
    return [round(float(one), 2) for one in np.percentile(values, _PERCENTILES)]


if __name__ == "__main__":
    main()
