"""The benchmark of faint lesions' contrast, on models whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.ct_enhance.contrast import (
    CONTRAST_HU,
    DIAMETERS_MM,
    SHARES,
    _ours,
    _Places,
    by_noise,
    find_places,
    markdown,
    study,
)
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.datasets.ct_dose_cases import DoseCase

SIDE, SPACING_MM = 160, (0.9, 0.9)


def case() -> DoseCase:
    """A disc of water of 130 mm in air, with noise at the lower dose."""
    row, column = np.indices((SIDE, SIDE)) - SIDE / 2
    trunk = np.where(np.hypot(row, column) < 72, 45.0, -1000.0)
    noise = np.random.default_rng(3).normal(0, 20, (1, SIDE, SIDE))
    return DoseCase(
        name="a",
        patient="a",
        dose_fraction=0.25,
        full_hu=np.asarray(trunk[None], np.float32),
        low_hu=np.asarray(trunk + noise, np.float32),
        spacing_mm=(3.0, *SPACING_MM),
        slice_thickness_mm=3.0,
        judged=(0,),
        kernel="B30f",
    )


class ModelDouble:
    """A model whose anatomy is some filter of the slice."""

    context = 1
    version, weights_sha256 = "0", ""

    def __init__(self, anatomy: Callable[[NDArray], NDArray]) -> None:
        self.anatomy = anatomy

    def guess_dose_fraction(self, noise: Any, **_: Any) -> float:
        return 0.25

    def estimate(self, window_hu: NDArray, *, dose_fraction: float, **_: Any) -> SimpleNamespace:
        middle = torch.from_numpy(window_hu[1].astype(np.float32))[None, None]
        anatomy = torch.from_numpy(self.anatomy(window_hu[1]).astype(np.float32))[None, None]
        raw = SimpleNamespace(anatomy=anatomy, mean=anatomy + dose_fraction * (middle - anatomy))
        return SimpleNamespace(state=SimpleNamespace(middle=middle, raw=raw))


def blurred(image: NDArray) -> NDArray:
    return np.asarray(ndimage.gaussian_filter(image, 3.0))


@pytest.fixture(scope="module")
def of_blur() -> dict[str, Any]:
    """What a model that blurs is found to keep."""
    return studied(blurred)


def studied(anatomy: Callable[[NDArray], NDArray]) -> dict[str, Any]:
    one = case()
    model: Any = ModelDouble(anatomy)
    slices = [(one, index, window) for index, window in one.windows(1)]
    return study(slices, {}, model, with_bm3d=False)


@pytest.mark.parametrize("diameter", DIAMETERS_MM)
def test_the_discs_themselves_keep_all_of_their_contrast(diameter: float) -> None:
    places = find_places(case(), 0)
    discs = places.discs(diameter)
    assert places.kept(discs, discs, diameter) == [1.0] * len(places.centers)
    assert places.kept(0.4 * discs, discs, diameter) == pytest.approx([0.4] * len(places.centers))
    assert places.kept(discs + 7, discs, diameter) == pytest.approx([1] * len(places.centers))


def test_discs_lie_inside_the_tissue_and_apart() -> None:
    places = find_places(case(), 0)
    assert 3 <= len(places.centers) <= 6
    for number, center in enumerate(places.centers):
        assert np.hypot(*((center - SIDE / 2) * SPACING_MM)) < 65 - 11
        for other in places.centers[:number]:
            assert np.hypot(*((center - other) * SPACING_MM)) > 26


def test_a_disc_has_its_diameter_in_millimetres() -> None:
    places = _Places(centers=[np.array([40, 40])], spacing_mm=(0.25, 0.5), shape=(80, 80))
    discs = places.discs(10.0)
    assert discs.min() == pytest.approx(CONTRAST_HU, rel=1e-3)
    area_mm2 = (discs < CONTRAST_HU / 2).sum() * 0.125
    assert area_mm2 == pytest.approx(np.pi * 25, rel=0.06)


def test_a_model_that_changes_nothing_keeps_all_of_the_contrast() -> None:
    found = studied(lambda image: image)
    for shares in found["doses"].values():
        assert list(shares) == [f"{share:g}" for share in SHARES]
        for row in shares.values():
            assert row["kept"] == pytest.approx([1.0] * len(DIAMETERS_MM), abs=1e-3)


def test_a_model_that_blurs_keeps_less_and_least_of_the_smallest(of_blur: dict[str, Any]) -> None:
    found = of_blur["doses"]["0.25 of the dose"]
    kept = np.array([found[f"{share:g}"]["kept"] for share in SHARES])
    assert (np.diff(kept[0]) > 0).all()
    assert (kept[0] < 0.95).all()
    assert kept[0, 0] < 0.6
    # Each share gives more back, in proportion.
    assert (np.diff(kept, axis=0) > 0).all()
    assert np.allclose(np.diff(kept, axis=0), (kept[-1] - kept[0]) / (len(SHARES) - 1), atol=1e-3)


def test_a_model_that_removes_everything_keeps_the_share_of_the_dose() -> None:
    found = studied(lambda image: np.full_like(image, 45.0))["doses"]["0.25 of the dose"]
    assert found["0"]["kept"] == pytest.approx([0.25] * len(DIAMETERS_MM), abs=1e-3)
    assert found["1"]["kept"][-1] > 0.85


def test_noise_left_is_told_from_two_draws() -> None:
    """A model that changes nothing leaves all of it, one that removes everything a quarter."""
    one = case()
    (index, window), *_ = one.windows(1)
    other = np.random.default_rng(9).normal(45, 20, window.shape).astype(np.float32)
    places = find_places(one, index)
    for anatomy, left in ((lambda image: image, 1.0), (lambda image: 0 * image + 45, 0.25)):
        model: Any = ModelDouble(anatomy)
        found = _ours(model, one, window, other, places)
        assert found[0.0].noise_left == pytest.approx(left, rel=0.02)
        assert found[1.0].noise_left >= found[0.0].noise_left - 1e-4


def test_the_table_names_every_dose_and_share(of_blur: dict[str, Any]) -> None:
    text = markdown(of_blur | {"trade": {"dose": "none", "ours": {}, "BM3D": {}}})
    for share in SHARES:
        assert f"| 0.25 of the dose | {share:g} |" in text
    assert "| 4 mm | 6 mm | 8 mm | 10 mm | 15 mm |" in text


def test_contrast_by_noise_takes_the_nearest_level() -> None:
    one = case()
    (index, window), *_ = one.windows(1)
    model: Any = ModelDouble(lambda image: image)
    found = _ours(model, one, window, None, find_places(one, index))
    assert by_noise([found[0.5]])["noise_hu"] == [20.0]
