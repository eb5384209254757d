"""Real slices at full and at a quarter of the dose; their difference is the added noise alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from scipy import ndimage

DOSE_FRACTION = 0.25


@dataclass(frozen=True, kw_only=True)
class DosePair:
    """One slice, scanned once.

    Attributes:
        series: folder name, kernel and slice thickness.
        full_hu, noise_hu: the full-dose slice, and quarter minus full.
        body: where the noise is compared: the body without its outer 8 pixels.
    """

    series: str
    index: int
    kernel: str
    pixel_mm: float
    exposure_mas: float
    thickness_mm: float
    tube_voltage_kv: float
    full_hu: NDArray
    noise_hu: NDArray
    body: NDArray

    @property
    def name(self) -> str:
        return f"{self.series}/{self.index}"


def read_pairs(folder: Path) -> list[DosePair]:
    """All pairs below ``folder``/SERIES/full and quarter."""
    files = sorted(folder.glob("*/full/*.dcm"))
    if not files:
        raise SystemExit(f"no pairs found: {folder} must hold SERIES/full/*.dcm and quarter/*.dcm")
    return [_read_pair(path) for path in files]


def _read_pair(full_path: Path) -> DosePair:
    full = pydicom.dcmread(full_path)
    quarter = pydicom.dcmread(full_path.parent.parent / "quarter" / full_path.name)
    full_hu = _hounsfield(full)
    return DosePair(
        series=full_path.parent.parent.name,
        index=int(full_path.stem),
        kernel=str(full.ConvolutionKernel),
        pixel_mm=float(full.PixelSpacing[0]),
        exposure_mas=float(full.Exposure),
        thickness_mm=float(full.SliceThickness),
        tube_voltage_kv=float(full.KVP),
        full_hu=full_hu,
        noise_hu=_hounsfield(quarter) - full_hu,
        body=_body(full_hu),
    )


def _hounsfield(dataset: pydicom.Dataset) -> NDArray:
    stored = dataset.pixel_array.astype(np.float32)
    return stored * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)


def _body(image_hu: NDArray) -> NDArray:
    labels, count = ndimage.label(ndimage.binary_opening(image_hu > -500, iterations=3))
    sizes = ndimage.sum_labels(np.ones_like(labels), labels, range(1, count + 1))
    body = ndimage.binary_fill_holes(labels == 1 + np.argmax(sizes))
    return ndimage.binary_erosion(body, iterations=8)
