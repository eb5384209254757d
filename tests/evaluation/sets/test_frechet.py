from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.dicom.reading.open import read_volume
from isocenter.evaluation.ct.texture import feature_names, texture_features
from isocenter.evaluation.sets.frechet import (
    frechet_distance,
    frechet_report,
    reference_scale,
    shrunk_covariance,
)

SPACING = (0.8, 0.8)


def anatomy(seed: int) -> NDArray:
    """A torso of soft tissue and two lungs, each with structure of its own; 10 HU of noise."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:320, :320]
    image = np.full((320, 320), -1000.0)
    body = (row - 160) ** 2 / 130**2 + (column - 160) ** 2 / 150**2 < 1
    image[body] = 50 + ndimage.gaussian_filter(rng.standard_normal((320, 320)), 8)[body] * 400
    for centre in (95, 225):
        lung = (row - 130) ** 2 / 80**2 + (column - centre) ** 2 / 55**2 < 1
        image[lung] = -850
        vessels = ndimage.gaussian_filter(rng.standard_normal((320, 320)), 2) > 0.2
        image[lung & vessels] = -100
    return image + texture(rng, 10.0)


def texture(rng: np.random.Generator, level_hu: float) -> NDArray:
    noise = rng.standard_normal((320, 320))
    fine = ndimage.gaussian_filter(noise, 0.6) - ndimage.gaussian_filter(noise, 3.0)
    return level_hu * fine / fine.std()


@pytest.fixture(scope="module")
def images() -> list[NDArray]:
    return [anatomy(seed) for seed in range(6)]


def features_of(images: list[NDArray]) -> NDArray:
    return np.concatenate([texture_features(image, SPACING) for image in images])


@pytest.fixture(scope="module")
def reference(images: list[NDArray]) -> NDArray:
    return features_of(images)


def noisy(images: list[NDArray], level_hu: float) -> list[NDArray]:
    return [
        image + texture(np.random.default_rng(100 + k), level_hu) for k, image in enumerate(images)
    ]


def test_features_are_finite_and_named(reference: NDArray) -> None:
    assert reference.shape[1] == len(feature_names()) == len(set(feature_names()))
    assert len(reference) > 60
    assert np.all(np.isfinite(reference))


def test_air_alone_has_no_patches() -> None:
    assert texture_features(np.full((128, 128), -1000.0), SPACING).shape == (
        0,
        len(feature_names()),
    )


@pytest.mark.parametrize("shape", [(511, 333), (200, 512), (97, 120)])
def test_any_image_size_is_accepted(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = np.where(np.hypot(*np.indices(shape)) > 40, 40.0, -1000.0)
    found = texture_features(image + 10 * rng.standard_normal(shape), (0.7, 0.7))
    assert len(found)
    assert np.all(np.isfinite(found))


def test_noise_of_a_band_is_seen_in_that_band() -> None:
    rng = np.random.default_rng(1)
    phase = 2 * np.pi * 0.16 * 0.8 * np.arange(320)
    flat = np.full((320, 320), 50.0)
    flat[:30] = -1000.0
    flat = flat + 5 * rng.standard_normal(flat.shape)
    striped = flat + 20 * np.cos(phase)
    change = (texture_features(striped, SPACING) - texture_features(flat, SPACING)).mean(axis=0)
    by_name = dict(zip(feature_names(), change, strict=True))
    amplitude = {k: v for k, v in by_name.items() if k.startswith("soft log amplitude")}
    assert max(amplitude, key=lambda name: amplitude[name]) == "soft log amplitude 0.16/mm"
    assert by_name["soft anisotropy 0.16/mm"] > 0.3  # stripes have a direction


def test_identical_sets_are_at_distance_zero_in_any_order(reference: NDArray) -> None:
    shuffled = np.random.default_rng(2).permutation(reference)
    assert frechet_distance(reference, shuffled) == pytest.approx(0.0, abs=1e-6)


def test_distance_grows_with_residual_noise(images: list[NDArray], reference: NDArray) -> None:
    found = [
        frechet_distance(reference, features_of(noisy(images, level))) for level in (5, 10, 20, 40)
    ]
    assert found == sorted(found)
    assert found[0] > 0.01
    assert found[-1] > 10 * found[0]


def test_distance_grows_with_over_smoothing(images: list[NDArray], reference: NDArray) -> None:
    found = [
        frechet_distance(
            reference, features_of([ndimage.gaussian_filter(image, sigma) for image in images])
        )
        for sigma in (0.5, 0.8, 1.2, 2.0)
    ]
    assert found == sorted(found)
    assert found[0] > 0.01


def test_a_smoothed_low_dose_scan_is_not_a_full_dose_scan(
    images: list[NDArray], reference: NDArray
) -> None:
    low = noisy(images, 20.0)
    smoothed = [ndimage.gaussian_filter(image, 1.5) for image in low]
    again = [image + texture(np.random.default_rng(200 + k), 3.0) for k, image in enumerate(images)]
    good = frechet_distance(reference, features_of(again))
    assert good < 0.2 * frechet_distance(reference, features_of(low))
    assert good < 0.2 * frechet_distance(reference, features_of(smoothed))


def test_distance_of_known_gaussians_is_the_formula() -> None:
    rng = np.random.default_rng(3)
    a = rng.standard_normal((20000, 3))
    b = rng.standard_normal((20000, 3)) * [1.0, 2.0, 0.5] + [1.0, 0.0, 0.0]
    assert frechet_distance(a, b, scale=np.ones(3)) == pytest.approx(1 + 1 + 0.25, abs=0.1)


def test_shrinkage_helps_few_samples_and_leaves_many_alone() -> None:
    rng = np.random.default_rng(4)
    truth = np.diag([4.0, 1.0, 1.0, 1.0, 0.2, 0.2, 0.2, 0.2])
    few = rng.standard_normal((10, 8)) @ np.sqrt(truth)
    many = rng.standard_normal((50000, 8)) @ np.sqrt(truth)
    plain = np.cov(few.T, bias=True)
    assert np.linalg.norm(shrunk_covariance(few) - truth) < np.linalg.norm(plain - truth)
    assert shrunk_covariance(many) == pytest.approx(np.cov(many.T, bias=True), abs=2e-3)


def test_report_says_how_far_two_halves_of_the_reference_are(images: list[NDArray]) -> None:
    by_patient = [texture_features(image, SPACING) for image in images]
    low = [texture_features(image, SPACING) for image in noisy(images, 30.0)]
    report = frechet_report(by_patient, low, resamples=20, splits=5)
    assert report["low"] <= report["distance"] <= report["high"]
    assert 0 < report["floor"] <= report["floor_high"] < report["distance"]
    assert report["floor_unit"] == "patient"
    assert report["num_patients"] == 6
    assert report == frechet_report(by_patient, low, resamples=20, splits=5)


def test_report_on_one_patient_admits_its_limits(images: list[NDArray]) -> None:
    one = [texture_features(images[0], SPACING)]
    report = frechet_report(one, one)
    assert report["distance"] == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(report["low"])
    assert report["floor_unit"] == "patch"


def test_a_constant_feature_does_not_divide_by_zero() -> None:
    assert reference_scale(np.ones((5, 2))) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("bad", [np.zeros((1, 4)), np.full((5, 4), np.nan), np.zeros(4)])
def test_useless_features_are_refused(bad: NDArray) -> None:
    with pytest.raises(ValueError, match="features must be finite"):
        frechet_distance(bad, np.zeros((5, 4)))


def test_sets_measured_differently_are_refused() -> None:
    with pytest.raises(ValueError, match="same way"):
        frechet_distance(np.zeros((5, 4)), np.zeros((5, 3)))


@pytest.mark.real_data
def test_real_quarter_dose_and_its_blur_are_both_far_from_full_dose(data_folder: Path) -> None:
    pair = data_folder / "ct" / "real_low_dose" / "B30f_1mm"
    full, quarter = (read_volume(pair / dose) for dose in ("full", "quarter"))
    spacing = full.geometry.spacing_mm[1:]

    def distance(image_hu: NDArray) -> float:
        return frechet_distance(
            texture_features(full.array[0], spacing), texture_features(image_hu, spacing)
        )

    added = quarter.array[0] - full.array[0]
    found = [distance(full.array[0] + share * added) for share in (0.25, 0.5, 1.0)]
    assert found == sorted(found)
    assert distance(ndimage.gaussian_filter(quarter.array[0], 2.0)) > found[-1]
