"""The lesion test on real anatomy with plain filters: what docs/detectability.md prints.

Nodules go into six scans, noise of a standard kernel's spectrum (30 HU) is added, and Gaussian
blurs, a median filter and total variation are judged. None of them may win.

    python benchmarks/blur_control.py DATA_FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.restoration import denoise_tv_chambolle

from isocenter.core.volume import Volume
from isocenter.dicom.reading.open import read_volume
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


def main() -> None:
    table = study(Path(sys.argv[1]))
    print("| image | d' over low dose, all | small | contrast kept, 4 mm soft |")
    print("|---|---|---|---|")
    for row in table.rows:
        if (row.tissue, row.diameter_mm) == ("soft", 4):
            cells = [table.overall_ratio(row.processing, group) for group in ("all", "small")]
            ratios = [f"{c.ratio:.2f} ({c.ratio_low:.2f}-{c.ratio_high:.2f})" for c in cells]
            print(f"| {row.processing} | {' | '.join(ratios)} | {row.contrast_kept:.2f} |")
    print(json.dumps(table.as_dict()), file=sys.stderr)


if __name__ == "__main__":
    main()
