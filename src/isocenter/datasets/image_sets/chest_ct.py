"""Chest CT slices in HU from ``ct/train``, on one grid, with body and lungs marked.

Only what ``ct/index.json`` lists below ``ct/train`` is read; its sources and licences stand there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import convex_hull_image

from isocenter.core.errors import InputRefused
from isocenter.core.progress import Progress, silent
from isocenter.datasets.image_sets.image_set import ImageLabels, ImageSet
from isocenter.datasets.index import ListedScan, read_index
from isocenter.datasets.splits import SplitRule
from isocenter.dicom.reading.ct_series import CtSeries
from isocenter.dicom.reading.runs import open_even_runs
from isocenter.image.ct_lung import lung_mask
from isocenter.image.ct_noise import measure_noise
from isocenter.image.ct_tissue import body_mask

FAMILY = "chest_ct"
SIZE = (256, 256)
PIXEL_MM = 1.5
LOW_HU, HIGH_HU = -1024, 1024
GUIDE = ("body", "lung")
# Less is the apex or the last recess beside the liver, where little of a chest is seen.
LEAST_LUNG_CM2 = 40.0
# By the words that makers use; numbers of Siemens kernels rise with their sharpness.
_SHARP = frozenset({"LUNG", "BONE", "BONEPLUS", "EDGE", "ULTRA", "D", "YC", "L"})
_SHARP_FROM = 50
# Room air is darker than a lung that lies open to it, and folds beside a body are smaller.
_DARKEST_OPEN_LUNG_HU = -960.0
_LEAST_OPEN_LUNG_CM2 = 12.0
# The seed was chosen so that the two annotated series are trained on and no part is too small.
SPLIT = SplitRule(validation_share=0.08, calibration_share=0.08, test_share=0.20, seed=352)


def read_chest_ct(data: Path, *, rule: SplitRule = SPLIT, progress: Progress = silent) -> ImageSet:
    """Every chest slice that may be trained on.

    Args:
        data: folder that holds ``ct/index.json`` and ``ct/train``.
        rule: of the split by patient.
        progress: counts the scans.

    Raises:
        UnreadableInput: there is no such index.
        InputRefused: no slice shows enough lung.
    """
    listed = read_index(data)
    progress(0, len(listed))
    images, guides, labels = [], [], []
    for done, one in enumerate(listed, start=1):
        for image, guide, label in _chest_slices(one, rule):
            images.append(image)
            guides.append(guide)
            labels.append(label)
        progress(done, len(listed))
    if not images:
        raise InputRefused(
            f"no slice below ct/train shows {LEAST_LUNG_CM2:g} cm² of lung; add scans of the chest"
        )
    return ImageSet(
        family=FAMILY,
        stored=np.stack(images),
        low=LOW_HU,
        high=HIGH_HU,
        labels=tuple(labels),
        guides=np.stack(guides),
        guide_names=GUIDE,
    )


def _chest_slices(
    listed: ListedScan, rule: SplitRule
) -> Iterator[tuple[NDArray, NDArray, ImageLabels]]:
    for run_number, run in enumerate(open_even_runs(listed.path)):
        for index in range(len(run)):
            native = _measured_hu(run, index)
            spacing_mm = run.geometry.spacing_mm[1:]
            image = on_grid(native, spacing_mm=spacing_mm)
            guide = guide_of(image)
            if (guide == 2).sum() * PIXEL_MM**2 / 100 < LEAST_LUNG_CM2:
                continue
            yield (
                np.rint(image).astype(np.int16),
                guide,
                ImageLabels(
                    file=f"{listed.name}/{run_number}/{index}",
                    patient=listed.patient,
                    part=rule.part_of(listed.patient),
                    categories=_kernel(listed.kernel),
                    numbers=_noise(native, spacing_mm, run.valid(index)),
                ),
            )


def _measured_hu(run: CtSeries, index: int) -> NDArray:
    """(row, column) HU, air where the scanner wrote no measurement."""
    values = np.where(run.valid(index), run.values(index), LOW_HU)
    return values.clip(LOW_HU, HIGH_HU).astype(np.float32)


def on_grid(image_hu: NDArray, *, spacing_mm: tuple[float, float]) -> NDArray:
    """A slice on the grid of the set, around its center.

    Args:
        image_hu: (row, column).
        spacing_mm: row and column spacing.

    Returns:
        (256, 256) float32 at 1.5 mm, antialiased where pixels grow; -1024 outside of the slice.
    """
    ratios = [PIXEL_MM / step for step in spacing_mm]
    # What a pixel 1.5 mm wide averages over, less what one of the source has already averaged.
    sigmas = [math.sqrt(max(0.0, ratio**2 - 1) / 12) for ratio in ratios]
    smooth = ndimage.gaussian_filter(image_hu.astype(np.float32), sigmas, mode="nearest")
    centers = [(count - 1) / 2 for count in image_hu.shape]
    starts = [
        center - ratio * (count - 1) / 2
        for center, ratio, count in zip(centers, ratios, SIZE, strict=True)
    ]
    grid: NDArray = ndimage.affine_transform(
        smooth, ratios, starts, SIZE, order=1, mode="constant", cval=LOW_HU
    )
    return grid.clip(LOW_HU, HIGH_HU)


def guide_of(image_hu: NDArray) -> NDArray:
    """(row, column) uint8 of a slice on the grid: 1 body, 2 lung, 0 neither."""
    body = _whole_body(image_hu)
    lung = lung_mask(image_hu, spacing_mm=(PIXEL_MM, PIXEL_MM), body=body)
    return np.where(lung, np.uint8(2), body.astype(np.uint8))


def _whole_body(image_hu: NDArray) -> NDArray:
    """The patient, also where the field of view leaves out the wall of the chest beside a lung."""
    body = body_mask(image_hu)
    if not body.any():
        return body
    beside = convex_hull_image(body) & ~body
    smooth = ndimage.gaussian_filter(image_hu, 1.0)
    tissue = ndimage.binary_opening(beside & (smooth > _DARKEST_OPEN_LUNG_HU), iterations=2)
    labels, count = ndimage.label(tissue)
    areas_cm2 = np.bincount(labels.ravel(), minlength=count + 1)[1:] * PIXEL_MM**2 / 100
    opened = np.isin(labels, np.flatnonzero(areas_cm2 >= _LEAST_OPEN_LUNG_CM2) + 1)
    closed = ndimage.binary_closing(np.pad(body | opened, 4), iterations=3)[4:-4, 4:-4]
    return np.where(opened.any(), ndimage.binary_fill_holes(closed), body)


def _noise(native: NDArray, spacing_mm: tuple[float, float], valid: NDArray) -> dict[str, float]:
    level = measure_noise(native, spacing_mm=spacing_mm, valid=valid).level_hu
    return {"noise_hu": round(level, 1)} if math.isfinite(level) else {}


def _kernel(kernel: str) -> dict[str, str]:
    """Soft or sharp by the name of a kernel; nothing where the name does not tell."""
    name = kernel.strip().upper()
    if name in _SHARP:
        return {"kernel": "sharp"}
    if name in {"STANDARD", "SOFT", "B", "C"}:
        return {"kernel": "soft"}
    digits = "".join(letter for letter in name.split(".")[-1] if letter.isdigit())
    if not digits:
        return {}
    return {"kernel": "sharp" if int(digits) >= _SHARP_FROM else "soft"}
