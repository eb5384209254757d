"""Real scans of b = 0 and one b-value, with the ADC map that the scanner calculated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.volume import Geometry
from isocenter.image.diffusion_lesion import head_mask, num_parts
from isocenter.image.mr_noise import tissue_noise_sd
from isocenter.tasks.adc.images import DiffusionImages
from isocenter.tasks.adc.settings import AdcSettings
from isocenter.tasks.adc.stream import AdcMaps, adc_maps, rule_of

BRAIN_ADC_UM2_PER_S = 200.0, 3500.0
MICROLITERS_IN_ML = 1000.0


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One head.

    Attributes:
        name: of the file.
        b_value_s_per_mm2: of the weighted image.
        images: b = 0 and weighted, (2, slice, row, column).
        adc_um2_per_s: as the scanner has it, (slice, row, column); None where it has none.
        spacing_mm: of slices, rows and columns.
    """

    name: str
    b_value_s_per_mm2: float
    images: NDArray
    adc_um2_per_s: NDArray | None
    spacing_mm: tuple[float, float, float]


def read_scans(folder: Path) -> Iterator[Scan]:
    """Every ``*.npz`` of a folder that holds b0, dwi, bvalue, spacing_mm and perhaps adc.

    Values are multiplied by ``scale_b0`` and ``scale_dwi`` where those are there; adc is in
    1e-6 mm²/s.
    """
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            slices_mm, rows_mm, columns_mm = (float(step) for step in file["spacing_mm"])
            scales = [float(file[f"scale_{name}"]) for name in ("b0", "dwi")]
            yield Scan(
                name=path.stem,
                b_value_s_per_mm2=float(file["bvalue"]),
                images=np.stack(
                    [file[name] * scale for name, scale in zip(("b0", "dwi"), scales, strict=True)]
                ),
                adc_um2_per_s=file["adc"].astype(float) if "adc" in file.files else None,
                spacing_mm=(slices_mm, rows_mm, columns_mm),
            )


def diffusion_images(
    images: NDArray, b_values: tuple[float, ...], spacing_mm: tuple[float, float, float]
) -> DiffusionImages:
    """What the task makes of files, from arrays (b-value, slice, row, column)."""
    head = head_mask(images[0])
    return DiffusionImages(
        b_values_s_per_mm2=b_values,
        signals=images.astype(np.float32),
        valid=np.ones(images.shape[1:], bool),
        head=head,
        noise_sd=tuple(tissue_noise_sd(one, head) for one in images),
        geometry=Geometry(shape=images.shape[1:], spacing_mm=spacing_mm),
    )


def measure(scan: Scan) -> dict[str, Any]:
    """Our fit against the scanner's map in the head, what was marked, and seconds."""
    started = time.perf_counter()
    images = diffusion_images(scan.images, (0.0, scan.b_value_s_per_mm2), scan.spacing_mm)
    maps = adc_maps(images, rule_of(AdcSettings()))
    seconds = time.perf_counter() - started
    figures: dict[str, Any] = {
        "scan": scan.name,
        "b_s_per_mm2": scan.b_value_s_per_mm2,
        "slices": images.head.shape[0],
        "median_adc_um2_per_s": float(np.median(maps.adc_um2_per_s[_brain(images, maps)])),
        "median_sd_um2_per_s": float(np.median(maps.sd_um2_per_s[_brain(images, maps)])),
        "marked_ml": float(maps.lesion.sum() * np.prod(scan.spacing_mm)) / MICROLITERS_IN_ML,
        "marked_places": num_parts(maps.lesion),
        "seconds": seconds,
        "seconds_a_slice": seconds / images.head.shape[0],
    }
    if scan.adc_um2_per_s is not None:
        figures |= _against(maps.adc_um2_per_s, scan.adc_um2_per_s, _brain(images, maps))
    return figures


def _brain(images: DiffusionImages, maps: AdcMaps) -> NDArray:
    low, high = BRAIN_ADC_UM2_PER_S
    brain: NDArray = images.head & maps.above_floor & (maps.adc_um2_per_s > low)
    return brain & (maps.adc_um2_per_s < high)


def _against(ours: NDArray, theirs: NDArray, brain: NDArray) -> dict[str, float]:
    """Errors where both have an ADC."""
    both = brain & (theirs > 0)
    error = ours[both] - theirs[both]
    return {
        "voxels": int(both.sum()),
        "mae_um2_per_s": float(np.abs(error).mean()),
        "bias_um2_per_s": float(error.mean()),
        "p99_um2_per_s": float(np.percentile(np.abs(error), 99)),
        "r2": float(1 - (error**2).sum() / ((theirs[both] - theirs[both].mean()) ** 2).sum()),
        "without_theirs": float(np.mean(theirs[brain] <= 0)),
    }
