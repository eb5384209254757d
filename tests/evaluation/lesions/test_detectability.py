from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.volume import Geometry, Volume
from isocenter.evaluation.lesions.detectability import (
    FULL_DOSE,
    LOW_DOSE,
    DetectabilityTable,
    detectability,
    detectability_study,
    slab_around,
)
from isocenter.evaluation.lesions.lesions import (
    LesionKind,
    insert_lesions,
    lesion_profile,
    plan_lesions,
)
from isocenter.evaluation.lesions.observer import HotellingObserver

PIXEL_MM = 0.9
SMALL = LesionKind(name="hypodense", tissue="soft", diameter_mm=5, contrast_hu=-40)
LARGE = LesionKind(name="hypodense", tissue="soft", diameter_mm=9, contrast_hu=-20)
OBSERVER = HotellingObserver(roi_mm=20.0)


def ct_noise(shape: tuple[int, int], rng: np.random.Generator, level_hu: float) -> NDArray:
    """Noise with the ramp spectrum of filtered backprojection."""
    axes = [np.fft.fftfreq(size, PIXEL_MM) for size in shape]
    frequency = np.hypot(axes[0][:, None], axes[1])
    amplitude = np.sqrt(frequency * np.exp(-((frequency / 0.4) ** 4)) + 0.005)
    noise = np.real(np.fft.ifft2(np.fft.fft2(rng.standard_normal(shape)) * amplitude))
    return level_hu * noise / noise.std()


@pytest.fixture(scope="module")
def scan() -> Volume:
    """A disc of soft tissue, 210 mm wide, with 8 HU of noise; five slices."""
    rng = np.random.default_rng(1)
    row, column = np.mgrid[:256, :256] - 127.5
    disc = np.where(np.hypot(row, column) < 117, 60.0, -1000.0)
    array = np.stack([disc + ct_noise((256, 256), rng, 8.0) for _ in range(5)])
    geometry = Geometry(shape=(5, 256, 256), spacing_mm=(3.0, PIXEL_MM, PIXEL_MM))
    return Volume(array=array.astype(np.float32), geometry=geometry, unit="HU")


class LowDose:
    """Adds noise and remembers it, so that a test can play the perfect denoiser."""

    def __call__(self, slab: Volume, rng: np.random.Generator) -> NDArray:
        self.noise = np.stack([ct_noise(part.shape, rng, 25.0) for part in slab.array])
        return slab.array + self.noise


def wipe(slab: Volume) -> NDArray:
    """A denoiser so strong that it takes small lesions for noise."""
    return ndimage.median_filter(slab.array[1], 13)


@pytest.fixture(scope="module")
def table(scan: Volume) -> DetectabilityTable:
    degrade = LowDose()
    return detectability_study(
        [scan],
        degrade=degrade,
        processors={
            "identity": lambda slab: slab.array,
            "keeps lesions": lambda slab: (slab.array - 0.6 * degrade.noise)[1],
            "wipes lesions": wipe,
            "sharpens": lambda slab: (
                2 * slab.array[1] - ndimage.gaussian_filter(slab.array[1], 1.0)
            ),
        },
        kinds=(SMALL, LARGE),
        slices=[[1, 3]],
        repeats=2,
        context=1,
        blur_mm=(0.7, 1.4, 2.5),
        observer=OBSERVER,
        resamples=60,
    )


@pytest.mark.parametrize("kind", [SMALL, LARGE])
def test_d_prime_falls_with_dose(table: DetectabilityTable, kind: LesionKind) -> None:
    full, low = table.row(FULL_DOSE, kind), table.row(LOW_DOSE, kind)
    assert full.d_prime_low > low.d_prime_high
    assert low.d_prime_low < low.d_prime < low.d_prime_high
    assert full.num_places == low.num_places >= 40


@pytest.mark.parametrize("sigma_mm", ["0.7", "1.4", "2.5"])
def test_plain_blur_does_not_win(table: DetectabilityTable, sigma_mm: str) -> None:
    blurred = table.overall_ratio(f"gaussian blur {sigma_mm} mm")
    assert blurred.ratio < 1.01
    assert blurred.ratio_low < 1.0


def test_strong_blur_loses_small_lesions_first(table: DetectabilityTable) -> None:
    strong = "gaussian blur 2.5 mm"
    assert table.overall_ratio(strong, "small").ratio < 0.93
    assert table.row(strong, SMALL).contrast_kept < table.row(strong, LARGE).contrast_kept < 0.8


def test_denoising_that_keeps_lesions_is_rewarded(table: DetectabilityTable) -> None:
    good = table.overall_ratio("keeps lesions")
    assert good.ratio_low > 1.3
    assert table.row("keeps lesions", SMALL).contrast_kept == pytest.approx(1.0, abs=0.1)


def test_denoising_that_wipes_lesions_is_caught(table: DetectabilityTable) -> None:
    bad = table.overall_ratio("wipes lesions", "small")
    assert bad.ratio_high < 0.8
    assert table.row("wipes lesions", SMALL).contrast_kept < 0.5


def test_sharpening_is_no_gain_either(table: DetectabilityTable) -> None:
    assert table.overall_ratio("sharpens").ratio == pytest.approx(1.0, abs=0.05)


def test_identity_changes_nothing(table: DetectabilityTable) -> None:
    for kind in (SMALL, LARGE):
        same, low = table.row("identity", kind), table.row(LOW_DOSE, kind)
        assert same.d_prime == low.d_prime
        assert same.ratio == same.ratio_low == same.ratio_high == 1.0


def test_the_table_is_plain_json(table: DetectabilityTable) -> None:
    plain = json.loads(json.dumps(table.as_dict()))
    assert len(plain["rows"]) == 2 * 9
    assert plain["baseline"] == LOW_DOSE


def test_d_prime_of_white_noise_is_the_analytic_one(scan: Volume) -> None:
    flat = Volume(
        array=np.where(scan.array > -500, 60.0, -1000.0).astype(np.float32),
        geometry=scan.geometry,
        unit="HU",
    )
    found = detectability_study(
        [flat],
        degrade=lambda slab, rng: slab.array + rng.normal(0, 20.0, slab.array.shape),
        processors={},
        kinds=(LARGE,),
        slices=[[1, 2, 3]],
        context=1,
        blur_mm=(),
        observer=OBSERVER,
        resamples=20,
    ).row(LOW_DOSE, LARGE)
    lesion = plan_lesions(flat, slice_index=2, kinds=(LARGE,))[0]
    first, profile = lesion_profile(lesion, flat.geometry)
    signal = np.sum(profile[2 - first[0]] ** 2) * PIXEL_MM**2
    noise = 20.0**2 * PIXEL_MM**2 + OBSERVER.internal_noise_hu_mm**2
    assert found.d_prime == pytest.approx(np.sqrt(signal / noise), rel=0.12)


def test_a_study_is_repeated_by_its_seed(scan: Volume) -> None:
    def once(seed: int) -> float:
        table = detectability_study(
            [scan],
            degrade=LowDose(),
            processors={},
            kinds=(SMALL,),
            slices=[[2]],
            context=0,
            observer=OBSERVER,
            resamples=5,
            seed=seed,
        )
        return table.row(LOW_DOSE, SMALL).d_prime

    assert once(1) == once(1) != once(2)


def test_recorded_lesions_in_two_series_are_compared(scan: Volume) -> None:
    rng = np.random.default_rng(4)
    lesions = [
        lesion
        for index in range(5)
        for lesion in plan_lesions(
            scan, slice_index=index, kinds=(SMALL,), separation_mm=36.0, seed=index
        )
    ]
    reference = scan
    for index in range(5):  # lesions of neighbouring slices would otherwise overlap
        here = [le for le in lesions if round(le.position_mm[2] / 3.0) == index]
        array = reference.array.copy()
        array[index] = insert_lesions(scan, here).array[index]
        reference = Volume(array=array, geometry=scan.geometry, unit="HU")
    noise = np.stack([ct_noise((256, 256), rng, 25.0) for _ in range(5)])
    noisy = Volume(array=reference.array + noise, geometry=scan.geometry, unit="HU")
    table = detectability(
        reference, noisy, lesions, observer=HotellingObserver(roi_mm=17.0), resamples=30
    )
    assert table.row("reference", SMALL).ratio == 1.0
    assert table.row("test", SMALL).ratio_high < 0.7


def test_too_few_places_are_refused_with_advice(scan: Volume) -> None:
    with pytest.raises(ValueError, match="give more slices"):
        detectability_study(
            [scan],
            degrade=LowDose(),
            processors={},
            kinds=(LesionKind(name="x", tissue="lung", diameter_mm=5, contrast_hu=100),),
            slices=[[2]],
            context=0,
        )


def test_a_slab_at_the_edge_repeats_it_and_keeps_positions(scan: Volume) -> None:
    slab = slab_around(scan, 0, context=2)
    assert slab.array.shape[0] == 5
    assert np.array_equal(slab.array[0], scan.array[0])
    assert np.array_equal(slab.array[3], scan.array[1])
    assert slab.geometry.position_mm(2, 5, 6) == pytest.approx(scan.geometry.position_mm(0, 5, 6))
