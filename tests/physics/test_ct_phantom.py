from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isocenter.physics.ct_phantom import body_phantom, low_dose_phantom

SHAPE = (3, 128, 128)
SPACING_MM = (3.0, 2.97, 2.97)


@pytest.fixture(scope="module")
def torso() -> np.ndarray:
    return body_phantom(0, shape=SHAPE, spacing_mm=SPACING_MM)


def test_torso_holds_the_tissues_of_a_chest(torso: Any) -> Any:
    def share(low: Any, high: Any) -> Any:
        return np.mean((torso > low) & (torso < high))

    assert torso.dtype == np.float32
    assert share(-1010, -980) > 0.25
    assert share(-900, -780) > 0.03  # lung
    assert share(-130, -80) > 0.08  # fat
    assert share(40, 80) > 0.025  # muscle
    assert share(90, 130) > 0.05  # liver
    assert share(140, 190) > 0.01  # blood
    assert share(400, 1200) > 0.003  # bone


def test_same_seed_same_person_at_any_resolution(torso: Any) -> None:
    again = body_phantom(0, shape=SHAPE, spacing_mm=SPACING_MM)
    np.testing.assert_array_equal(again, torso)
    fine = body_phantom(0, shape=(3, 256, 256), spacing_mm=(3.0, 1.485, 1.485))
    averaged = fine.reshape(3, 128, 2, 128, 2).mean((2, 4))
    assert np.median(np.abs(averaged - torso)) < 5


def test_another_seed_is_another_person(torso: Any) -> None:
    other = body_phantom(1, shape=SHAPE, spacing_mm=SPACING_MM)
    assert np.mean(np.abs(other - torso) > 50) > 0.1


def test_anatomy_changes_smoothly_from_slice_to_slice() -> Any:
    near = body_phantom(0, shape=(3, 128, 128), spacing_mm=(1.0, 2.97, 2.97))
    far = body_phantom(0, shape=(3, 128, 128), spacing_mm=(12.0, 2.97, 2.97))

    def step(volume: Any) -> Any:
        return np.abs(np.diff(volume, axis=0)).mean()

    assert 0 < 3 * step(near) < step(far)


def test_arms_lie_beside_the_body() -> None:
    wide: dict[str, Any] = {"shape": (1, 128, 192), "spacing_mm": (3.0, 2.97, 2.97)}
    with_arms, without = (body_phantom(0, arms=arms, **wide) for arms in (True, False))
    changed = np.abs(with_arms - without)[0].max(axis=0) > 100
    assert changed[:40].any()
    assert not changed[60:130].any()


def test_low_dose_scan_has_the_asked_noise() -> None:
    low, full = low_dose_phantom(
        0, num_slices=2, size=128, dose_fraction=0.25, full_dose_noise_hu=12
    )
    assert low.geometry == full.geometry
    assert low.unit == "HU"
    tissue = (full.array > 20) & (full.array < 200)
    added = (low.array - full.array)[tissue].std()
    assert added == pytest.approx(12 * np.sqrt(3), rel=0.15)
    assert (low.array - full.array)[tissue].mean() == pytest.approx(0, abs=2)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="three sizes"):
        body_phantom(0, shape=(0, 8, 8))
