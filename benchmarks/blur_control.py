"""The lesion test and faint detail on real anatomy with plain filters: what the docs print of them.

Nodules go into six scans, noise of a standard kernel's spectrum (30 HU) is added, and Gaussian
blurs, a median filter and total variation are judged. None of them may win. Then the same noise and
filters without nodules: how much of the scans' own faint detail is kept.

    python benchmarks/blur_control.py DATA_FOLDER
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.restoration import denoise_tv_chambolle

from isocenter.core.volume import Volume
from isocenter.dicom.reading.open import read_volume
from isocenter.evaluation.ct.faint_detail import FaintDetail, faint_detail
from isocenter.evaluation.lesions.detectability import DetectabilityTable, detectability_study

SERIES = (
    "acrinflt_001_t1_run0",
    "lidc_0001_run0",
    "crlm_1004_run0",
    "lungdx_A0001_kernB_run0",
    "riderpilot_0109_run1",
    "tcgathca_A4MA_body_run0",
)
ADDED_NOISE_HU = 30.0

Filter = Callable[[NDArray, tuple[float, float]], NDArray]


def add_ramp_noise(slab: Volume, rng: np.random.Generator) -> NDArray:
    """Noise of equal level everywhere: the control needs its spectrum, not the patient's shape."""
    axes = [
        np.fft.fftfreq(size, step)
        for size, step in zip(slab.array.shape[1:], slab.geometry.spacing_mm[1:], strict=True)
    ]
    frequency = np.hypot(axes[0][:, None], axes[1])
    amplitude = np.sqrt(frequency * np.exp(-((frequency / 0.45) ** 4)) + 0.005)
    white = rng.standard_normal(slab.array.shape)
    noise = np.real(np.fft.ifft2(np.fft.fft2(white) * amplitude))
    return slab.array + (ADDED_NOISE_HU * noise / noise.std()).astype(np.float32)


def total_variation(slab: Volume) -> NDArray:
    return denoise_tv_chambolle(slab.array[len(slab.array) // 2] / 1000, weight=0.04) * 1000


def median(slab: Volume) -> NDArray:
    return ndimage.median_filter(slab.array[len(slab.array) // 2], 7)


def study(data_folder: Path) -> DetectabilityTable:
    return detectability_study(
        [read_volume(data_folder / "ct" / "train" / series) for series in SERIES],
        degrade=add_ramp_noise,
        processors={"total variation": total_variation, "median 7x7": median},
        blur_mm=(0.7, 1.4, 2.5),
        context=1,
    )


def faint_detail_kept(data_folder: Path) -> dict[str, list[FaintDetail]]:
    """Of each filter, one a scan with enough soft tissue."""
    found: dict[str, list[FaintDetail]] = {name: [] for name in FILTERS}
    for series in SERIES:
        scan = read_volume(data_folder / "ct" / "train" / series)
        low = replace(scan, array=add_ramp_noise(scan, np.random.default_rng(0)))
        for name, smooth in FILTERS.items():
            test = np.stack([smooth(image, scan.geometry.spacing_mm[1:]) for image in low.array])
            detail = faint_detail(scan.array, test, spacing_mm=scan.geometry.spacing_mm)
            if detail is not None and detail.is_sure:
                found[name].append(detail)
    return found


def _gaussian(sigma_mm: float) -> Filter:
    return lambda image, spacing_mm: ndimage.gaussian_filter(
        image, [sigma_mm / step for step in spacing_mm]
    )


FILTERS: dict[str, Filter] = {
    "low dose": lambda image, _: image,
    "gaussian blur 0.7 mm": _gaussian(0.7),
    "gaussian blur 1.4 mm": _gaussian(1.4),
    "gaussian blur 2.5 mm": _gaussian(2.5),
    "total variation": lambda image, _: denoise_tv_chambolle(image / 1000, weight=0.04) * 1000,
    "median 7x7": lambda image, _: ndimage.median_filter(image, 7),
}


def main() -> None:
    print("| image | faint detail kept, mean of scans | least | most |")
    print("|---|---|---|---|")
    for name, details in faint_detail_kept(Path(sys.argv[1])).items():
        shares = [detail.kept for detail in details]
        cells = (np.mean(shares), min(shares), max(shares))
        print(f"| {name} | {' | '.join(f'{share:.2f}' for share in cells)} |")
    table = study(Path(sys.argv[1]))
    print("| image | d' over low dose, all | small | contrast kept, 4 mm soft |")
    print("|---|---|---|---|")
    for row in table.rows:
        if (row.tissue, row.diameter_mm) == ("soft", 4):
            overall = [table.overall_ratio(row.processing, group) for group in ("all", "small")]
            ratios = [f"{c.ratio:.2f} ({c.ratio_low:.2f}-{c.ratio_high:.2f})" for c in overall]
            print(f"| {row.processing} | {' | '.join(ratios)} | {row.contrast_kept:.2f} |")
    print(json.dumps(table.as_dict()), file=sys.stderr)


if __name__ == "__main__":
    main()
