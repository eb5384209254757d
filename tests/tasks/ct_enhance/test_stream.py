"""Slices through the model: windows, blending, seeds, air, and what settings are taken."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.core.seeds import derived_seed
from isocenter.modelpack.ct_enhance.measured import CoverageSet, MeasuredCoverage
from isocenter.tasks.ct_enhance.rules import judge_scan
from isocenter.tasks.ct_enhance.settings import EnhanceSettings, parse_strength
from isocenter.tasks.ct_enhance.stream import _guessed_dose, enhanced_slices, start
from isocenter.tasks.task import Case, SliceResult

Make = Callable[..., Any]


def after(piece: SliceResult) -> NDArray:
    """The enhanced slice."""
    return piece.values["enhanced"]


def test_every_slice_sees_its_neighbors_and_edges_repeat(make_scan: Make, doubles: Any) -> None:
    scan, model = make_scan(shape=(4, 8, 8)), doubles.ModelDouble(context=2)
    assert len(list(enhanced_slices(scan, model, EnhanceSettings()))) == 4
    wanted = ([0, 0, 0, 1, 2], [0, 0, 1, 2, 3], [0, 1, 2, 3, 3], [1, 2, 3, 3, 3])
    for window, places in zip(model.windows, wanted, strict=True):
        np.testing.assert_array_equal(window, scan.array[places])


def test_a_single_slice_is_enhanced(make_scan: Make, doubles: Any) -> None:
    scan = make_scan(shape=(1, 8, 8))
    (piece,) = enhanced_slices(scan, doubles.ModelDouble(context=2), EnhanceSettings())
    assert after(piece).shape == (8, 8)


def test_every_slice_is_read_once(make_scan: Make, doubles: Any) -> None:
    scan = make_scan(shape=(7, 8, 8))
    read, images = [], scan.array
    scan.values = lambda index: read.append(index) or images[index]  # type: ignore[func-returns-value]
    list(enhanced_slices(scan, doubles.ModelDouble(context=2), EnhanceSettings()))
    assert read == list(range(7))


def test_the_model_sees_air_where_nothing_was_measured(make_scan: Make, doubles: Any) -> None:
    scan, model = make_scan(shape=(2, 8, 8)), doubles.ModelDouble()
    scan.array[:, 0, 0] = -3024
    pieces = list(enhanced_slices(scan, model, EnhanceSettings()))
    assert all(window[:, 0, 0].tolist() == [-1000] * 3 for window in model.windows)
    assert all(after(piece)[0, 0] == -3024 for piece in pieces)
    assert all(piece.values["uncertainty"][0, 0] == 0 for piece in pieces)


@pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
def test_strength_blends_from_mean_to_sample(
    make_scan: Make, doubles: Any, strength: float
) -> None:
    scan, model = make_scan(shape=(2, 16, 16)), doubles.ModelDouble()
    mean, mixed, sample = (
        after(next(enhanced_slices(scan, model, EnhanceSettings(strength=value, seed=5))))
        for value in (0.0, strength, 1.0)
    )
    np.testing.assert_allclose(mixed, mean + strength * (sample - mean), atol=1e-3)
    assert np.std(sample - mean) == pytest.approx(8, rel=0.2)


def test_averaging_samples_leaves_less_noise(make_scan: Make, doubles: Any) -> None:
    scan, model = make_scan(shape=(1, 64, 64)), doubles.ModelDouble()
    mean, few, many = (
        after(next(enhanced_slices(scan, model, EnhanceSettings(strength=s, samples=n))))
        for s, n in ((0.0, 1), (1.0, 1), (1.0, 16))
    )
    assert np.std(many - mean) == pytest.approx(np.std(few - mean) / 4, rel=0.1)


def test_seeds_belong_to_slice_and_sample(make_scan: Make, doubles: Any) -> None:
    model = doubles.ModelDouble()
    list(
        enhanced_slices(
            make_scan(shape=(2, 8, 8)), model, EnhanceSettings(strength=1.0, samples=2, seed=9)
        )
    )
    assert model.seeds == [
        derived_seed(9, "slice", index, "sample", number) for index in (0, 1) for number in (0, 1)
    ]


def test_strength_zero_draws_no_sample(make_scan: Make, doubles: Any) -> None:
    model = doubles.ModelDouble()
    list(enhanced_slices(make_scan(shape=(2, 8, 8)), model, EnhanceSettings(samples=4)))
    assert model.seeds == []


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_model_that_gives_no_numbers_is_refused(
    make_scan: Make, doubles: Any, broken: float
) -> None:
    class Broken(doubles.ModelDouble):
        def estimate(self, window_hu: Any, **options: Any) -> Any:
            estimate = super().estimate(window_hu, **options)
            estimate.mean_hu[0, 0] = broken
            return estimate

    with pytest.raises(ModelRefused, match="no finite image"):
        list(enhanced_slices(make_scan(shape=(2, 8, 8)), Broken(), EnhanceSettings()))


@pytest.mark.parametrize(
    ("text", "value"),
    [("low", 0.25), ("Medium", 0.5), ("high", 1.0), (0, 0.0), (1.0, 1.0), ("0.3", 0.3)],
)
def test_strength_has_names_and_numbers(text: Any, value: float) -> None:
    assert parse_strength(text) == value


@pytest.mark.parametrize("text", ["strong", "", None, [1]])
def test_other_strengths_are_refused(text: Any) -> None:
    with pytest.raises(InputRefused, match=r"low \(0.25\), medium \(0.5\), high \(1\)"):
        parse_strength(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strength", -0.1),
        ("strength", 1.1),
        ("strength", float("nan")),
        ("samples", 0),
        ("samples", 1.5),
        ("steps", 0),
        ("steps", 9),
        ("seed", -1),
        ("seed", True),
        ("lesion_contrast", -0.01),
        ("lesion_contrast", 1.01),
        ("lesion_contrast", float("nan")),
        ("lesion_contrast", "half"),
    ],
)
def test_settings_outside_their_range_are_refused(name: str, value: Any) -> None:
    with pytest.raises(InputRefused, match=name):
        EnhanceSettings(**{name: value})


def test_what_was_measured_and_noted_of_a_model_is_said_of_its_work(
    make_scan: Make, doubles: Any
) -> None:
    coverage = MeasuredCoverage(
        promised=0.9, sets=(CoverageSet(name="one", patients=2, pooled=0.87, tissues={}),)
    )
    scan = make_scan()
    said = []
    for measured in (SimpleNamespace(coverage=coverage), None):
        model = doubles.ModelDouble(measured=measured, notes=("Noted while loading.",))
        case = Case(scans={"input": scan}, settings=EnhanceSettings(dose_fraction=0.3), model=model)
        work = start(case, judge_scan(scan, model.accepted))
        said.append((work.notes, work.description))
    held = "Its 90 % interval held 87 % of voxels in one measured set of pairs."
    assert said[0][0] == ("Noted while loading.", held)
    assert said[0][1].endswith(held)
    assert said[1][0] == ("Noted while loading.",)
    assert "interval" not in said[1][1]


def test_a_known_dose_reaches_the_model(make_scan: Make, doubles: Any) -> None:
    model = doubles.ModelDouble()
    list(enhanced_slices(make_scan(shape=(2, 8, 8)), model, EnhanceSettings(dose_fraction=0.25)))
    assert model.dose_fractions == [0.25, 0.25]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_of_the_lesions_contrast_reaches_the_model(
    make_scan: Make, doubles: Any, share: float
) -> None:
    seen: list[float] = []

    class Noted(doubles.ModelDouble):
        def estimate(self, window_hu: Any, *, lesion_contrast: float, **options: Any) -> Any:
            seen.append(lesion_contrast)
            return super().estimate(window_hu, **options)

    settings = EnhanceSettings(lesion_contrast=share)
    list(enhanced_slices(make_scan(shape=(2, 8, 8)), Noted(), settings))
    assert seen == [share, share]


class WithRange:
    """A model as the guess of a dose sees it."""

    def __init__(self, guess: float, low: float, high: float) -> None:
        self.guess, self.range = guess, (low, high)

    def guess_dose_fraction(self, noise: Any, **_: Any) -> float:
        return self.guess

    def dose_range(self, noise: Any, **_: Any) -> tuple[float, float]:
        return self.range


def words_of_a_guess(guess: float, low: float, high: float) -> str:
    measures = SimpleNamespace(
        noise_hu=20.0, noise_mean_frequency_per_mm=0.3, slice_thickness_mm=3.0
    )
    model: Any = WithRange(guess, low, high)
    given: Any = measures
    taken, words = _guessed_dose(model, given)
    assert taken == guess
    return words


def test_a_guess_is_told_with_its_range() -> None:
    words = words_of_a_guess(0.214, 0.091, 0.553)
    assert "9 to 55 % of a standard dose" in words
    assert "21 % was taken" in words
    assert "nine in ten" in words


@pytest.mark.parametrize(("high", "said"), [(0.3, False), (0.89, False), (0.95, True), (1.0, True)])
def test_only_a_range_up_to_a_standard_dose_says_that_it_may_be_one(
    high: float, said: bool
) -> None:
    words = words_of_a_guess(0.28, 0.12, high)
    assert ("it may be a standard-dose scan already" in words) is said


@pytest.mark.parametrize("high", [0.4, 1.0])
def test_a_guess_promises_no_gain_from_telling_the_dose(high: float) -> None:
    words = words_of_a_guess(0.28, 0.12, high)
    assert "for better or worse" in words
    for promise in ("better result", "improve", "gain", "sharper", "more accurate", "if known"):
        assert promise not in words


@pytest.mark.parametrize("dose_fraction", [0.0, -0.1, 1.5, float("nan")])
def test_an_impossible_dose_is_refused(dose_fraction: float) -> None:
    with pytest.raises(InputRefused, match="dose_fraction"):
        EnhanceSettings(dose_fraction=dose_fraction)


def test_air_is_made_no_lower_than_scanners_store_it(make_scan: Make, doubles: Any) -> None:
    class Lower(doubles.ModelDouble):
        def estimate(self, window_hu: Any, **options: Any) -> Any:
            estimate = super().estimate(window_hu, **options)
            estimate.mean_hu = window_hu[self.context] - 2000
            return estimate

    scan = make_scan(shape=(1, 8, 8))
    (piece,) = enhanced_slices(scan, Lower(), EnhanceSettings())
    assert piece.before is not None
    assert np.array_equal(after(piece), np.minimum(piece.before, -1024))
