"""Axial FLAIR slices of the few real heads there are, as a folder of one's own images.

No shipped generator has seen a real FLAIR image. Some of these heads may be used for checking
alone, so nothing that is fitted here may ship.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from isocenter.core.image_folders import IMAGES, LABELS

SIDE = 256
PIXEL_MM = 1.0
FOLDERS = (
    "brats_t1_t2_flair_t1c",
    "kirby21_t1_t2_flair",
    "ms_ljubljana_crosssectional_mni",
    "ms_ljubljana_longitudinal",
)
_CONTRAST = "flair"
_LEAST_CM2 = 60.0
_DARK = 20
_BRIGHTEST_PERCENT = 99.8


def write_folder(data: Path, folder: Path) -> dict[str, int]:
    """Write ``images`` and ``labels.csv``; a folder that is there already is kept.

    Args:
        data: folder that holds ``mri``.
        folder: to write; it holds images of real patients.

    Returns:
        How many slices there are of each head, numbered.

    Raises:
        SystemExit: there is no FLAIR image below ``data``.
    """
    table = folder / LABELS
    if not table.is_file():
        _write(data, folder, table)
    with table.open(newline="", encoding="utf-8") as file:
        patients = [row["patient"] for row in csv.DictReader(file)]
    return {one: patients.count(one) for one in dict.fromkeys(patients)}


def _write(data: Path, folder: Path, table: Path) -> None:
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    rows = []
    for patient, paths in heads(data).items():
        for path in paths:
            for number, image in enumerate(slices(path)):
                name = f"{path.stem}-{number:03d}.png"
                Image.fromarray(image).save(folder / IMAGES / name)
                rows.append({"file": name, "patient": patient})
    if not rows:
        raise SystemExit(f"no FLAIR images below {data / 'mri'}")
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=("file", "patient"))
        writer.writeheader()
        writer.writerows(rows)


def heads(data: Path) -> dict[str, list[Path]]:
    """Files by patient; sessions of one patient are named ``PATIENT_s1`` and so on."""
    found: dict[str, list[Path]] = {}
    for folder in FOLDERS:
        for path in sorted((data / "mri" / folder).glob("*.npz")):
            patient, _, session = path.stem.rpartition("_s")
            named = patient if patient and session.isdigit() else path.stem
            found.setdefault(named, []).append(path)
    return {f"head{number}": paths for number, paths in enumerate(found.values())}


def slices(path: Path) -> Iterator[NDArray]:
    """(256, 256) uint8 at 1 mm, of the slices that show enough of the head."""
    with np.load(path, allow_pickle=False) as held:
        if _CONTRAST not in held.files:
            return
        volume, spacing_mm = held[_CONTRAST].astype(np.float32), held["spacing_mm"]
    volume *= 255 / max(1.0, float(np.percentile(volume[volume > 0], _BRIGHTEST_PERCENT)))
    for image in volume:
        drawn = _on_grid(image, [PIXEL_MM / float(step) for step in spacing_mm[1:]])
        if (drawn > _DARK).sum() * PIXEL_MM**2 / 100 >= _LEAST_CM2:
            yield drawn


def _on_grid(image: NDArray, ratios: list[float]) -> NDArray:
    starts = [
        (count - 1) / 2 - ratio * (SIDE - 1) / 2
        for count, ratio in zip(image.shape, ratios, strict=True)
    ]
    drawn = ndimage.affine_transform(image, ratios, starts, (SIDE, SIDE), order=1)
    return np.rint(drawn.clip(0, 255)).astype(np.uint8)
