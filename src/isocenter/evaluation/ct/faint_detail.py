"""How much of the reference's faint detail a test keeps: a figure that smoothing cannot raise.

Within soft tissue and away from its borders, both images are taken to details of 3 to 6 mm, by the
difference of two Gaussians. The test's details are regressed on the reference's. Noise of the
reference would lower that slope, so the details of a neighbouring slice serve as instrument: they
share the anatomy and not the noise. Only where they are faint do they count, as strong edges pass
where faint contrast is lost.

With noise of its own a test keeps 1, whatever its level. A blur multiplies every frequency by less
than 1, so it keeps less, and what removes weak contrast for noise keeps less as well. Below 1
something was lost. A value of 1 does not say that a faint lesion is still seen: vessels are longer
than lesions, and a model knows them. That is for
:func:`isocenter.evaluation.lesions.detectability.detectability_study`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from isocenter.evaluation.ct.hu import COARSE_MM
from isocenter.evaluation.ct.noise_power import NoiseComparison, NoisePowerSpectrum
from isocenter.evaluation.ct.windows import find_body
from isocenter.evaluation.measure import Pair, array_pairs, measure

DETAIL_MM = (1.0, 2.0)
"""Standard deviations of the two Gaussians."""
FAINT_HU = 12.0
TISSUE_HU = (-20.0, 200.0)
FROM_BORDER_MM = 6.0
BLURS_MM = (0.5, 0.8, 1.2, 1.8, 2.7)
"""Plain blurs of the reference whose loss is measured beside."""
LARGEST_ERROR = 0.05
_FEWEST_PAIRS = 3
_FEWEST_VOXELS = 5000


@dataclass(frozen=True, kw_only=True)
class FaintDetail:
    """Faint detail that the test keeps, and that plain blurs of the reference would keep.

    Attributes:
        kept: 1 where nothing was lost; above 1 where it was sharpened.
        error: standard error of ``kept``, from leaving out pairs of slices in turn.
        kept_by_blurs: of the reference after a Gaussian blur of each of :data:`BLURS_MM`.
        num_pairs: of slices.
    """

    kept: float
    error: float
    kept_by_blurs: tuple[float, ...]
    num_pairs: int

    @property
    def is_sure(self) -> bool:
        """Whether there was enough faint detail to tell."""
        return self.error <= LARGEST_ERROR

    def kept_by_blur(self, sigma_mm: float) -> float:
        """What a plain blur of the reference would keep, between those that were measured."""
        return float(np.interp(sigma_mm, (0.0, *BLURS_MM), (1.0, *self.kept_by_blurs)))


@dataclass(frozen=True, kw_only=True)
class EqualNoiseBlur:
    """The reference, plainly blurred until it has the test's noise.

    Attributes:
        sigma_mm: of the Gaussian; 0 where the test has the reference's noise or more.
        kept: faint detail that it would keep; what the test keeps above this is not owed to blur.
    """

    sigma_mm: float
    kept: float


class FaintDetailMeter:
    """Regression over pairs of neighbouring slices; remembers as many slices as these lie apart.

    Args:
        step: how many slices the two of a pair lie apart, so that they share no noise.
    """

    def __init__(self, *, step: int = 1) -> None:
        self._step = step
        self._last: deque[_Slice] = deque(maxlen=step)
        self._sums: list[NDArray] = []
        self._num_voxels = 0

    def add(self, pair: Pair, /) -> None:
        """Take in one pair of reference and test."""
        new = _Slice.of(pair)
        for old in self._last:
            if old.index == new.index - self._step:
                both = old.mask & new.mask
                self._num_voxels += int(both.sum())
                self._sums.append(_products(old, new, both) + _products(new, old, both))
        self._last.append(new)

    def result(self) -> FaintDetail | None:
        """Over all pairs of slices; None without enough soft tissue in them."""
        if len(self._sums) < _FEWEST_PAIRS or self._num_voxels < _FEWEST_VOXELS:
            return None
        sums = np.array(self._sums)
        total = sums.sum(axis=0)
        if not total[0] > 0:
            return None
        left_out = (total[1] - sums[:, 1]) / (total[0] - sums[:, 0])
        spread = math.sqrt((len(sums) - 1) * float(left_out.var()))
        kept = total[1:] / total[0]
        return FaintDetail(
            kept=float(kept[0]),
            error=spread if math.isfinite(spread) else math.inf,
            kept_by_blurs=tuple(map(float, kept[1:])),
            num_pairs=len(sums),
        )


@dataclass(frozen=True)
class _Slice:
    """Details of one slice: of the reference, the test and the blurred references."""

    index: int
    mask: NDArray
    faint: NDArray
    details: tuple[NDArray, ...]

    @classmethod
    def of(cls, pair: Pair) -> _Slice:
        reference = pair.reference.astype(np.float32)
        own = _detail(reference, pair.spacing_mm)
        test = _detail(pair.test.astype(np.float32), pair.spacing_mm)
        by_blurs = [_detail(reference, pair.spacing_mm, after_mm=sigma) for sigma in BLURS_MM]
        return cls(
            index=pair.index,
            mask=_soft_tissue(pair),
            faint=np.where(np.abs(own) < FAINT_HU, own, 0),
            details=(own, test, *by_blurs),
        )


def faint_detail(
    reference_hu: NDArray,
    test_hu: NDArray,
    *,
    spacing_mm: tuple[float, float, float],
    mask: NDArray | None = None,
    step: int = 1,
) -> FaintDetail | None:
    """Faint detail kept in a volume (slice, row, column); None without enough soft tissue.

    Args:
        mask: the body, same shape; measured on the reference where absent.
        step: how many slices apart two slices share no noise; more than 1 where they overlap.
    """
    meter = FaintDetailMeter(step=step)
    pairs = array_pairs(
        reference_hu, test_hu, spacing_mm=spacing_mm, mask=mask, find_body=find_body
    )
    measure(pairs, [meter])
    return meter.result()


def equal_noise_blur(
    noise: NoiseComparison | None, detail: FaintDetail | None
) -> EqualNoiseBlur | None:
    """The plain blur that makes the reference as quiet as the test; None where either is unknown.

    Its loss is given for the largest of :data:`BLURS_MM` where even that is not enough.
    """
    if noise is None or detail is None:
        return None
    sigma_mm = _blur_to(noise.reference, noise.test.noise_hu)
    return EqualNoiseBlur(sigma_mm=sigma_mm, kept=detail.kept_by_blur(sigma_mm))


def _blur_to(spectrum: NoisePowerSpectrum, noise_hu: float) -> float:
    """Standard deviation of the Gaussian after which a spectrum has a noise level."""
    row, column = spectrum.frequency_row_per_mm, spectrum.frequency_column_per_mm
    squared = row[:, None] ** 2 + column[None, :] ** 2
    share = (noise_hu / spectrum.noise_hu) ** 2 if spectrum.noise_hu > 0 else 1.0

    def too_much(sigma_mm: float) -> float:
        passed = spectrum.power_hu2_mm2 * np.exp(-4 * (np.pi * sigma_mm) ** 2 * squared)
        return float(passed.sum() / spectrum.power_hu2_mm2.sum()) - share

    if share >= 1:
        return 0.0
    if too_much(BLURS_MM[-1]) >= 0:
        return BLURS_MM[-1]
    return float(optimize.brentq(too_much, 0.0, BLURS_MM[-1], xtol=1e-3))


def _detail(image_hu: NDArray, spacing_mm: Sequence[float], *, after_mm: float = 0.0) -> NDArray:
    """Detail of 3 to 6 mm; of the image after a blur, which Gaussians take in at no cost."""
    fine, coarse = (
        ndimage.gaussian_filter(
            image_hu, [math.hypot(sigma, after_mm) / step for step in spacing_mm]
        )
        for sigma in DETAIL_MM
    )
    return fine - coarse


def _soft_tissue(pair: Pair) -> NDArray:
    """Soft tissue of the coarse reference, away from its borders."""
    sigma = [COARSE_MM / step for step in pair.spacing_mm]
    coarse = ndimage.gaussian_filter(pair.reference.astype(np.float32), sigma)
    soft = pair.body & pair.valid & (coarse > TISSUE_HU[0]) & (coarse < TISSUE_HU[1])
    return ndimage.distance_transform_edt(soft, sampling=pair.spacing_mm) > FROM_BORDER_MM


def _products(one: _Slice, other: _Slice, both: NDArray) -> NDArray:
    """Sums of each detail of one slice times the faint details of the other."""
    instrument = other.faint[both].astype(np.float64)
    return np.array([instrument @ detail[both] for detail in one.details])
