from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocenter.modelpack.ct_enhance.dose_prior import DosePrior

PRIOR = DosePrior()
LOW, HIGH = PRIOR.fractions
# The harmonic mean of a log-uniform variable.
PRIOR_GUESS = math.log(HIGH / LOW) / (1 / LOW - 1 / HIGH)
FREQUENCY = 0.3
THICKNESS = 3.0
NOT_KNOWN = [math.nan, math.inf, -math.inf, 0.0, -5.0]


def typical_noise_hu(prior: DosePrior, frequency: Any, thickness_mm: Any) -> Any:
    """Median noise of a standard dose."""
    sharper = (frequency / 0.25) ** prior.frequency_exponent
    thinner = (thickness_mm / 5) ** prior.thickness_exponent
    return prior.standard_noise_hu * sharper * thinner


@pytest.mark.parametrize("frequency", [0.2, FREQUENCY, 0.6])
def test_the_fraction_falls_as_the_noise_grows(frequency: float) -> None:
    def found(noise_hu: float) -> float:
        return PRIOR.likely_fraction(noise_hu, frequency, THICKNESS)

    assert (np.diff([found(noise) for noise in np.geomspace(3, 300, 60)]) < 0).all()
    assert (np.diff([found(noise) for noise in np.geomspace(1e-9, 1e9, 400)]) <= 0).all()


@pytest.mark.parametrize("noise_hu", [10.0, 25.0, 80.0])
def test_sharper_noise_of_the_same_level_means_more_dose(noise_hu: float) -> None:
    found = [PRIOR.likely_fraction(noise_hu, one, THICKNESS) for one in np.linspace(0.2, 0.6, 20)]
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("noise_hu", [10.0, 25.0, 80.0])
def test_thicker_slices_of_the_same_noise_mean_less_dose(noise_hu: float) -> None:
    found = [PRIOR.likely_fraction(noise_hu, FREQUENCY, one) for one in (1.0, 2.5, 5.0, 8.0)]
    assert (np.diff(found) < 0).all()


def test_four_times_the_thickness_is_four_times_the_photons() -> None:
    thin, thick = (
        PRIOR.likely_fraction(20.0, FREQUENCY, 1.25),
        PRIOR.likely_fraction(10.0, FREQUENCY, 5.0),
    )
    assert thin == pytest.approx(thick)


@pytest.mark.parametrize("value", NOT_KNOWN)
def test_noise_that_is_not_known_gives_the_priors_guess(value: float) -> None:
    for noise_hu, frequency in ((value, FREQUENCY), (25.0, value)):
        found = PRIOR.likely_fraction(noise_hu, frequency, THICKNESS)
        assert found == pytest.approx(PRIOR_GUESS, rel=0.005)


@pytest.mark.parametrize("noise_hu", [3.0, 60.0])
def test_without_the_thickness_the_guess_is_more_cautious(noise_hu: float) -> None:
    known, unknown = (
        PRIOR.likely_fraction(noise_hu, FREQUENCY, thickness)
        for thickness in (PRIOR.unknown_thickness_mm, None)
    )
    assert abs(unknown - PRIOR_GUESS) < abs(known - PRIOR_GUESS)


@given(
    noise_hu=st.floats(),
    frequency=st.floats(),
    thickness=st.none() | st.floats(0.1, 20),
    spread=st.floats(1e-3, 5.0),
)
def test_the_fraction_stays_within_its_range(
    noise_hu: float, frequency: float, thickness: float | None, spread: float
) -> None:
    found = DosePrior(spread=spread).likely_fraction(noise_hu, frequency, thickness)
    assert LOW * (1 - 1e-9) <= found <= HIGH * (1 + 1e-9)


@pytest.mark.parametrize(
    ("noise_hu", "end"), [(5e-324, HIGH), (1e-30, HIGH), (1e30, LOW), (1.7e308, LOW)]
)
def test_extreme_noise_means_an_end_of_the_range(noise_hu: float, end: float) -> None:
    assert PRIOR.likely_fraction(noise_hu, FREQUENCY, THICKNESS) == pytest.approx(end)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("frequency", [0.2, 0.35, 0.5])
def test_noise_alone_tells_the_dose_where_standard_doses_are_alike(
    fraction: float, frequency: float
) -> None:
    """Without spread the variance is that of the standard dose over the fraction."""
    prior = DosePrior(spread=0.02)
    noise = typical_noise_hu(prior, frequency, THICKNESS) / math.sqrt(fraction)
    found = prior.likely_fraction(noise, frequency, THICKNESS)
    assert found == pytest.approx(fraction, rel=0.01)


def test_noise_says_nothing_where_standard_doses_differ_in_everything() -> None:
    found = DosePrior(spread=1e3).likely_fraction(40.0, FREQUENCY, THICKNESS)
    assert found == pytest.approx(PRIOR_GUESS, rel=0.005)


@pytest.mark.parametrize("spread", [0.2, 0.5])
def test_the_estimate_is_right_on_average_for_draws_from_the_prior(spread: float) -> None:
    """Among scans given one estimate, the inverses of the true fractions average to its own."""
    prior = DosePrior(spread=spread)
    rng = np.random.default_rng(5)
    true = np.exp(rng.uniform(np.log(prior.fractions[0]), np.log(prior.fractions[1]), 12_000))
    frequency = rng.uniform(0.2, 0.6, len(true))
    thickness = rng.uniform(1, 8, len(true))
    typical = typical_noise_hu(prior, frequency, thickness)
    noise = typical * np.exp(rng.normal(0, spread, len(true))) / np.sqrt(true)
    found = np.array(
        [prior.likely_fraction(*all3) for all3 in zip(noise, frequency, thickness, strict=True)]
    )
    for group in np.array_split(np.argsort(found), 6):
        inverse = (1 / true[group]).mean()
        assert inverse == pytest.approx((1 / found[group]).mean(), rel=0.05)


def test_no_other_share_of_the_guess_costs_less() -> None:
    """The cost is the error that a wrong fraction adds, over the least error there can be."""
    prior = DosePrior(spread=0.4)
    rng = np.random.default_rng(6)
    true = np.exp(rng.uniform(np.log(prior.fractions[0]), np.log(prior.fractions[1]), 12_000))
    noise = typical_noise_hu(prior, FREQUENCY, THICKNESS) / np.sqrt(true)
    noise = noise * np.exp(rng.normal(0, prior.spread, len(true)))
    found = np.array([prior.likely_fraction(one, FREQUENCY, THICKNESS) for one in noise])
    cost = {
        share: (np.square(share * found - true) / true).mean()
        for share in (0.8, 0.9, 1.0, 1.1, 1.2)
    }
    assert min(cost, key=lambda share: cost[share]) == 1.0


def test_the_range_holds_nine_in_ten_of_draws_from_the_prior() -> None:
    prior = DosePrior(spread=0.4)
    rng = np.random.default_rng(7)
    true = np.exp(rng.uniform(np.log(prior.fractions[0]), np.log(prior.fractions[1]), 4_000))
    noise = typical_noise_hu(prior, FREQUENCY, THICKNESS) / np.sqrt(true)
    noise = noise * np.exp(rng.normal(0, prior.spread, len(true)))
    ranges = [prior.fraction_range(one, FREQUENCY, THICKNESS) for one in noise]
    inside = [low <= one <= high for one, (low, high) in zip(true, ranges, strict=True)]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.015)
    guesses = [prior.likely_fraction(one, FREQUENCY, THICKNESS) for one in noise]
    assert all(low <= one <= high for one, (low, high) in zip(guesses, ranges, strict=True))


@pytest.mark.parametrize(
    "change",
    [
        {"spread": 0.0},
        {"unknown_spread": math.nan},
        {"standard_noise_hu": 1e308},
        {"unknown_thickness_mm": -1.0},
        {"frequency_exponent": math.inf},
        {"thickness_exponent": 11.0},
        {"fractions": (0.5, 0.1)},
        {"fractions": (0.0, 0.5)},
        {"fractions": (0.1, 1.5)},
    ],
)
def test_a_prior_that_cannot_be_meant_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        DosePrior(**change)
