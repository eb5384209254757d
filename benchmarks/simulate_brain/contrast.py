"""Contrast of tissues, measured in real and in simulated heads by one rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

CONTRASTS = ("T1", "T2", "FLAIR")
RATIOS = (("gray", "white"), ("fluid", "white"))
_REAL = ("mri/kirby21_t1_t2_flair", "mri/ms_ljubljana_crosssectional_mni")
_DIFFUSION = "mri/dwi_adc"
_ERODED = 2
_MOST_OF_CLASS = 0.5  # the middle of a class, by its values in T1
_LEAST_PIXELS = 200


@dataclass(frozen=True, kw_only=True)
class Head:
    """One head, real or not.

    Attributes:
        name: of the file or the seed.
        images: (slice, row, column) by contrast.
        brain: same shape, bool.
        lesion: same shape, bool; left out of all classes.
    """

    name: str
    images: Mapping[str, NDArray]
    brain: NDArray
    lesion: NDArray


def tissue_classes(head: Head) -> dict[str, NDArray]:
    """Masks of fluid, gray and white matter from T1 alone, only what is surely of each.

    Two thresholds of Otsu on T1 within the brain, without its rim; of each class the half whose
    values are nearest to its median.
    """
    from skimage.filters import threshold_multiotsu

    t1 = head.images["T1"].astype(np.float32)
    inside = ndimage.binary_erosion(head.brain, np.ones((1, 3, 3)), iterations=_ERODED)
    inside &= ~ndimage.binary_dilation(head.lesion, iterations=2)
    top = np.percentile(t1[inside], 99.5)
    inside &= t1 < 1.2 * top
    low, high = threshold_multiotsu(t1[inside], classes=3)
    classes = {}
    for name, mask in (
        ("fluid", t1 <= low),
        ("gray", (t1 > low) & (t1 <= high)),
        ("white", t1 > high),
    ):
        of_class = inside & mask
        away = np.abs(t1 - np.median(t1[of_class]))
        classes[name] = of_class & (away <= np.quantile(away[of_class], _MOST_OF_CLASS))
    return classes


def ratios(head: Head) -> dict[str, float]:
    """Median of gray matter and of fluid over that of white matter, by contrast."""
    classes = tissue_classes(head)
    if min(np.count_nonzero(mask) for mask in classes.values()) < _LEAST_PIXELS:
        return {}
    found = {}
    for contrast in CONTRASTS:
        if contrast not in head.images:
            continue
        image = head.images[contrast]
        middle = {name: float(np.median(image[mask])) for name, mask in classes.items()}
        for over, under in RATIOS:
            found[f"{contrast} {over}/{under}"] = middle[over] / middle[under]
    return found


def real_heads(data: Path) -> Iterator[Head]:
    """Heads of a data folder that hold T1 and another contrast."""
    for folder in _REAL:
        for path in sorted((data / folder).glob("*.npz")):
            with np.load(path) as arrays:
                images = {
                    name: arrays[name.lower()].astype(np.float32)
                    for name in CONTRASTS
                    if name.lower() in arrays
                }
                shape = images["T1"].shape
                brain = arrays["brain"] > 0 if "brain" in arrays else images["T1"] > 0
                lesion = arrays["lesion"] > 0 if "lesion" in arrays else np.zeros(shape, bool)
            yield Head(name=path.stem, images=images, brain=brain, lesion=lesion)


def real_adc(data: Path) -> dict[str, float]:
    """Most frequent ADC of brain tissue in volunteers, µm²/s, by file."""
    found = {}
    for path in sorted((data / _DIFFUSION).glob("vol_*.npz")):
        with np.load(path) as arrays:
            adc = arrays["adc"].astype(np.float32)
            inside = ndimage.binary_erosion(arrays["head"] > 0, iterations=4)
        found[path.stem] = peak(adc[inside])
    return found


def peak(adc: NDArray) -> float:
    """The most frequent value between 400 and 1400 µm²/s."""
    counts, edges = np.histogram(adc, 50, (400, 1400))
    smooth = ndimage.gaussian_filter1d(counts.astype(float), 1.5)
    place = int(smooth.argmax())
    return float(edges[place] + edges[place + 1]) / 2
