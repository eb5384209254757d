"""The weights that come with the package keep what their card says, on a scan made by formula."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from isocenter.core.volume import Volume
from isocenter.evaluation.ct import homogeneous_regions, noise_power_spectrum
from isocenter.image.ct_tissue import body_mask, tissue_masks
from isocenter.modelpack.ct_enhance.model import CtEnhancer
from isocenter.modelpack.folder import shipped_folder, verify
from isocenter.physics.ct_phantom import low_dose_phantom

LARGEST_BYTES = 20e6


@pytest.fixture(scope="module")
def model() -> CtEnhancer:
    return CtEnhancer.from_pretrained()


@pytest.fixture(scope="module")
def pair() -> tuple[Volume, Volume]:
    return low_dose_phantom(seed=3, num_slices=3, size=320)


def _error(image: np.ndarray, full: Volume) -> float:
    inside = body_mask(full.array[1])
    return float(np.sqrt(np.square((image - full.array[1])[inside]).mean()))


def test_every_file_is_as_it_was_shipped(model: CtEnhancer) -> None:
    assert verify(shipped_folder()) == model.weights_sha256


def test_the_folder_is_small() -> None:
    files: Iterator = (path for path in shipped_folder().rglob("*") if path.is_file())
    assert sum(path.stat().st_size for path in files) < LARGEST_BYTES


def test_the_card_says_what_a_user_must_know(model: CtEnhancer) -> None:
    assert {"intended_use", "not_for", "limits", "coverage", "licence"} <= model.card.keys()
    readme = (shipped_folder() / "README.md").read_text()
    assert "doi:" in readme
    assert "seed" in readme


def test_the_mean_takes_the_noise_and_keeps_the_values(
    model: CtEnhancer, pair: tuple[Volume, Volume]
) -> None:
    low, full = pair
    spacing = low.geometry.spacing_mm[1:]
    estimate = model.estimate(low.array, spacing_mm=spacing)
    assert _error(estimate.mean_hu, full) < 0.7 * _error(low.array[1], full)
    masks = tissue_masks(full.array[1], spacing_mm=spacing)
    for tissue in ("lung", "fat", "muscle"):
        change = (estimate.mean_hu - low.array[1])[masks[tissue]]
        assert abs(change.mean()) < 2, tissue
    covered = (full.array[1] >= estimate.lower_hu) & (full.array[1] <= estimate.upper_hu)
    assert 0.8 < covered[body_mask(full.array[1])].mean() < 0.99


def test_a_sample_has_the_texture_of_the_full_dose(
    model: CtEnhancer, pair: tuple[Volume, Volume]
) -> None:
    low, full = pair
    spacing = low.geometry.spacing_mm[1:]
    estimate = model.estimate(low.array, spacing_mm=spacing)
    sample = model.sample(low.array, estimate, spacing_mm=spacing, steps=4, seed=1)
    regions = homogeneous_regions(full.array[1:2], spacing_mm=low.geometry.spacing_mm)
    wanted, found = (
        noise_power_spectrum(image, regions, spacing_mm=low.geometry.spacing_mm)
        for image in (full.array[1:2], sample[None])
    )
    assert wanted is not None
    assert found is not None
    assert found.noise_hu == pytest.approx(wanted.noise_hu, rel=0.3)
    assert found.mean_frequency_per_mm == pytest.approx(wanted.mean_frequency_per_mm, rel=0.2)


@pytest.mark.parametrize("gain", [1.0, 1.1, 2.0])
@pytest.mark.parametrize("shift", [0, 7])
def test_a_body_that_the_image_cuts_off_and_noise_that_varies_do_not_run_away(
    model: CtEnhancer, pair: tuple[Volume, Volume], gain: float, shift: int
) -> None:
    """Without normalization a network may amplify what it never met; limits must hold it."""
    low, _ = pair
    window = np.roll(low.array, (shift, 150), axis=(1, 2)).astype(np.float32)
    rng = np.random.default_rng(shift)
    window[:, 100:180, 40:200] += rng.normal(0, 130, (len(window), 80, 160))
    window = np.clip((window + 1000) * gain - 1000, -1024, 3071)
    raw = model.estimate(window, spacing_mm=low.geometry.spacing_mm[1:]).state.raw
    middle = window[model.context]
    change = np.abs(raw.anatomy[0, 0].numpy() - middle) / raw.level[0, 0].numpy()
    assert change.max() < 20


def test_features_of_the_shipped_network_are_limited(model: CtEnhancer) -> None:
    limits = [block.limits for block in model.mean.network.residual_blocks()]
    assert all(limit is not None and 0 < limit[0] < 1e4 and 0 < limit[1] < 1e4 for limit in limits)
