from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.evaluation.ct.hu import RegionChanges
from isocenter.evaluation.ct.noise_power import NoiseMeter
from isocenter.evaluation.measure import OnSlices, Pair, array_pairs, measure
from isocenter.evaluation.uncertainty import CoverageMeter

SPACING_MM = (3.0, 0.8, 0.8)


class Indices:
    """A measurement that notes which slices it was shown."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def add(self, pair: Pair, /) -> None:
        self.seen.append(pair.index)

    def result(self) -> list[int]:
        return self.seen


@pytest.fixture(scope="module")
def tissue() -> NDArray:
    image = np.full((3, 160, 160), -1000.0)
    image[:, 8:-8, 8:-8] = 45.0
    return image


def noisy(image: NDArray, sigma_hu: float, seed: int) -> NDArray:
    return image + np.random.default_rng(seed).normal(0, sigma_hu, image.shape)


def with_interval(pairs: Iterable[Pair], half_width: float) -> Iterator[Pair]:
    for pair in pairs:
        yield replace(pair, interval=(pair.test - half_width, pair.test + half_width))


def test_every_measurement_sees_each_pair_once(tissue: NDArray) -> None:
    asked: list[int] = []

    def pairs() -> Iterator[Pair]:
        for pair in array_pairs(tissue, tissue):
            asked.append(pair.index)
            yield pair

    assert measure(pairs(), [Indices(), Indices()]) == ([0, 1, 2], [0, 1, 2])
    assert asked == [0, 1, 2]


def test_some_slices_are_shown_to_a_measurement_that_wants_some(tissue: NDArray) -> None:
    assert measure(array_pairs(tissue, tissue), [OnSlices(Indices(), {0, 2})]) == ([0, 2],)


def test_the_levels_of_slices_and_the_spectrum_are_one_meter(tissue: NDArray) -> None:
    before, after = noisy(tissue, 20, 0), noisy(tissue, 6, 1)
    meter = NoiseMeter()
    measure(array_pairs(before, after, spacing_mm=SPACING_MM), [meter])
    found = meter.result()
    assert found is not None
    assert found.reference.noise_hu == pytest.approx(20, rel=0.05)
    assert found.test.noise_hu == pytest.approx(6, rel=0.05)
    for side in ("reference", "test"):
        levels = np.array([getattr(each, side).level_hu for each in found.of_slices])
        counts = [
            sum(r.slice_index == each.index for r in found.regions) for each in found.of_slices
        ]
        pooled = math.sqrt(np.average(levels**2, weights=counts))
        assert getattr(found, side).noise_hu == pytest.approx(pooled, rel=1e-9)


def test_a_slice_without_even_tissue_has_no_level(tissue: NDArray) -> None:
    scan = noisy(tissue, 20, 2)
    scan[1] = -1000
    meter = NoiseMeter()
    measure(array_pairs(scan, scan, spacing_mm=SPACING_MM), [meter])
    found = meter.result()
    assert found is not None
    assert [math.isnan(each.reference.level_hu) for each in found.of_slices] == [False, True, False]


def test_air_alone_has_no_noise_to_measure() -> None:
    air = np.full((2, 64, 64), -1000.0)
    assert measure(array_pairs(air, air), [NoiseMeter()]) == (None,)


def test_spectra_of_two_pixel_sizes_are_not_averaged(tissue: NDArray) -> None:
    meter = NoiseMeter()
    (first, *_) = array_pairs(tissue, tissue, spacing_mm=SPACING_MM)
    meter.add(first)
    with pytest.raises(ValueError, match="meter of its own"):
        meter.add(replace(first, spacing_mm=(0.5, 0.5)))


def test_the_guide_decides_where_tissue_is(tissue: NDArray) -> None:
    """Voxels chosen on a noisy image alone would seem to change towards the middle."""
    noise = ndimage.gaussian_filter(noisy(np.zeros_like(tissue), 1, 3), (0, 2, 2))
    before = tissue + 60 * noise / noise.std()
    pairs = [
        replace(pair, guide=(pair.reference + pair.test) / 2)
        for pair in with_interval(array_pairs(before, tissue, spacing_mm=SPACING_MM), 7.0)
    ]
    (found,) = measure(pairs, [RegionChanges()])
    soft = next(each for each in found if each.kind.key == "soft_tissue_10_80_hu")
    assert soft.after_hu == pytest.approx(45)
    assert soft.half_width_median_hu == pytest.approx(7.0)


def test_changes_without_a_stated_interval_have_no_width(tissue: NDArray) -> None:
    (found,) = measure(array_pairs(tissue, tissue + 2, spacing_mm=SPACING_MM), [RegionChanges()])
    assert found[0].change_hu == pytest.approx(2)
    assert math.isnan(found[0].half_width_median_hu)


def test_stated_intervals_are_held_against_the_reference(tissue: NDArray) -> None:
    pairs = with_interval(array_pairs(tissue, noisy(tissue, 10, 4)), 16.449)
    (found,) = measure(pairs, [CoverageMeter()])
    assert found["all"].fraction.mean == pytest.approx(0.9, abs=0.01)
    with pytest.raises(ValueError, match="states no interval"):
        measure(array_pairs(tissue, tissue), [CoverageMeter()])


def test_arrays_that_do_not_fit_are_refused(tissue: NDArray) -> None:
    with pytest.raises(ValueError, match="one shape"):
        list(array_pairs(tissue, tissue[:2]))
    with pytest.raises(ValueError, match=r"array\[None\]"):
        list(array_pairs(tissue[0], tissue[0]))
    with pytest.raises(ValueError, match="mask of shape"):
        list(array_pairs(tissue, tissue, mask=np.ones((3, 4, 4), bool)))
