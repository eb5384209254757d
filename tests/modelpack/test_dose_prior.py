from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocenter.modelpack.dose_prior import DosePrior

PRIOR = DosePrior()
LOW, HIGH = PRIOR.fractions
PRIOR_MEAN = (HIGH - LOW) / math.log(HIGH / LOW)  # of a log-uniform variable
FREQUENCY = 0.2
NOT_KNOWN = [math.nan, math.inf, -math.inf, 0.0, -5.0]


def typical_noise_hu(prior: DosePrior, frequency: float) -> float:
    """Median noise of a standard dose: once to three times that of the smoothest texture."""
    ends = [prior.smooth_frequency, prior.sharp_frequency]
    return prior.standard_noise_hu * float(np.interp(frequency, ends, [1, 3]))


@pytest.mark.parametrize("frequency", [0.05, FREQUENCY, 0.6])
def test_the_fraction_falls_as_the_noise_grows(frequency: float) -> None:
    found = [PRIOR.expected_fraction(noise, frequency) for noise in np.geomspace(3, 300, 60)]
    assert (np.diff(found) < 0).all()
    anywhere = [PRIOR.expected_fraction(noise, frequency) for noise in np.geomspace(1e-9, 1e9, 400)]
    assert (np.diff(anywhere) <= 0).all()


@pytest.mark.parametrize("noise_hu", [10.0, 25.0, 80.0])
def test_sharper_noise_of_the_same_level_means_more_dose(noise_hu: float) -> None:
    frequencies = np.linspace(PRIOR.smooth_frequency, PRIOR.sharp_frequency, 20)
    found = [PRIOR.expected_fraction(noise_hu, frequency) for frequency in frequencies]
    assert (np.diff(found) > 0).all()


def test_textures_beyond_the_ends_count_as_the_ends() -> None:
    for beyond, end in ((0.0, PRIOR.smooth_frequency), (0.7, PRIOR.sharp_frequency)):
        assert PRIOR.expected_fraction(25, beyond) == PRIOR.expected_fraction(25, end)


@pytest.mark.parametrize("noise_hu", NOT_KNOWN)
def test_noise_that_is_not_known_gives_the_priors_mean(noise_hu: float) -> None:
    found = PRIOR.expected_fraction(noise_hu, FREQUENCY)
    assert found == pytest.approx(PRIOR_MEAN, rel=0.005)


def test_a_texture_that_is_not_known_gives_the_priors_mean() -> None:
    assert PRIOR.expected_fraction(25.0, math.nan) == PRIOR.expected_fraction(math.nan, FREQUENCY)


@given(noise_hu=st.floats(), frequency=st.floats(), spread=st.floats(1e-3, 5.0))
def test_the_fraction_stays_within_its_range(
    noise_hu: float, frequency: float, spread: float
) -> None:
    found = DosePrior(spread=spread).expected_fraction(noise_hu, frequency)
    assert LOW * (1 - 1e-9) <= found <= HIGH * (1 + 1e-9)


@pytest.mark.parametrize(
    ("noise_hu", "end"), [(5e-324, HIGH), (1e-30, HIGH), (1e30, LOW), (1.7e308, LOW)]
)
def test_extreme_noise_means_an_end_of_the_range(noise_hu: float, end: float) -> None:
    assert PRIOR.expected_fraction(noise_hu, FREQUENCY) == pytest.approx(end)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("frequency", [0.1, 0.25, 0.4])
def test_noise_alone_tells_the_dose_where_standard_doses_are_alike(
    fraction: float, frequency: float
) -> None:
    """Without spread the variance is that of the standard dose over the fraction."""
    prior = DosePrior(spread=0.02)
    noise = typical_noise_hu(prior, frequency) / math.sqrt(fraction)
    assert prior.expected_fraction(noise, frequency) == pytest.approx(fraction, rel=0.01)


def test_noise_says_nothing_where_standard_doses_differ_in_everything() -> None:
    found = DosePrior(spread=1e3).expected_fraction(40.0, FREQUENCY)
    assert found == pytest.approx(PRIOR_MEAN, rel=0.005)


@pytest.mark.parametrize("spread", [0.2, 0.5])
def test_the_estimate_is_right_on_average_for_draws_from_the_prior(spread: float) -> None:
    """Among scans given one estimate, the true fractions average to it."""
    prior = DosePrior(spread=spread)
    rng = np.random.default_rng(5)
    true = np.exp(rng.uniform(*np.log(prior.fractions), 12_000))
    frequency = rng.uniform(0.05, 0.45, len(true))
    typical = np.array([typical_noise_hu(prior, one) for one in frequency])
    noise = typical * np.exp(rng.normal(0, spread, len(true))) / np.sqrt(true)
    found = np.array(
        [prior.expected_fraction(*both) for both in zip(noise, frequency, strict=True)]
    )
    for group in np.array_split(np.argsort(found), 6):
        assert true[group].mean() == pytest.approx(found[group].mean(), rel=0.04)
    away, unknowing = (np.square(true - guess).mean() for guess in (found, true.mean()))
    assert away < 0.9 * unknowing
