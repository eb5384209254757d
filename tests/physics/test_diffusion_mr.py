from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocenter.physics.diffusion_mr import (
    FLOOR_SNR,
    TISSUE_ADC,
    diffusion_weighted,
    fit_adc,
    trace_weighted,
)
from isocenter.physics.infarct_core import INFARCT_CORE_UM2_PER_S
from isocenter.physics.mr_tissues import TISSUES

adcs = st.floats(50, 4000)
signals = st.floats(1e-3, 1e6)
b_sets = st.lists(st.integers(0, 30), min_size=2, max_size=5, unique=True).map(
    lambda steps: [100.0 * step for step in steps]
)


def images_of(adc: float, signal: float, b_values: list[float]) -> list[np.ndarray]:
    return [diffusion_weighted(np.full(3, signal), adc, b_s_per_mm2=b) for b in b_values]


@given(adcs, signals, b_sets)
def test_a_fit_gives_back_what_made_the_signals(
    adc: float, signal: float, b_values: list[float]
) -> None:
    fit = fit_adc(images_of(adc, signal, b_values), b_values)
    np.testing.assert_allclose(fit.adc_um2_per_s, adc, rtol=1e-6)
    np.testing.assert_allclose(fit.signal_b0, signal, rtol=1e-6)
    assert fit.measured.all()


@given(adcs, b_sets, st.floats(1e-3, 1e3))
def test_the_scale_of_the_images_does_not_matter(
    adc: float, b_values: list[float], factor: float
) -> None:
    rng = np.random.default_rng(0)
    noisy = np.array(images_of(adc, 100.0, b_values)) + rng.uniform(0.1, 1, (len(b_values), 3))
    one = fit_adc(noisy, b_values, noise_sd=0.01)
    other = fit_adc(factor * noisy, b_values, noise_sd=factor * 0.01)
    np.testing.assert_allclose(one.adc_um2_per_s, other.adc_um2_per_s, rtol=1e-6)
    np.testing.assert_allclose(one.sd_um2_per_s, other.sd_um2_per_s, rtol=1e-6)


@given(adcs, st.permutations([0.0, 500.0, 1000.0]))
def test_the_order_of_the_images_does_not_matter(adc: float, b_values: list[float]) -> None:
    fit = fit_adc(images_of(adc, 50.0, b_values), b_values, noise_sd=0.1)
    np.testing.assert_allclose(fit.adc_um2_per_s, adc, rtol=1e-6)


@given(adcs, b_sets, st.floats(1e-4, 1.0), st.floats(1.01, 10))
def test_more_noise_is_more_uncertain(
    adc: float, b_values: list[float], noise: float, more: float
) -> None:
    images = images_of(adc, 100.0, b_values)
    less_sd = fit_adc(images, b_values, noise_sd=noise).sd_um2_per_s
    more_sd = fit_adc(images, b_values, noise_sd=noise * more).sd_um2_per_s
    assert (more_sd > less_sd).all()


def test_the_unit_is_that_of_vendors() -> None:
    """0.75e-3 mm²/s, which vendors store as 750, leaves exp(-0.75) at b = 1000 s/mm²."""
    left = diffusion_weighted(1.0, 750.0, b_s_per_mm2=1000.0)
    assert float(left) == pytest.approx(math.exp(-0.75))
    assert float(fit_adc([1.0, math.exp(-0.75)], [0.0, 1000.0]).adc_um2_per_s) == pytest.approx(750)


def test_two_weightings_are_one_of_their_sum() -> None:
    twice = diffusion_weighted(
        diffusion_weighted(5.0, 900.0, b_s_per_mm2=300.0), 900.0, b_s_per_mm2=700.0
    )
    assert float(twice) == pytest.approx(float(diffusion_weighted(5.0, 900.0, b_s_per_mm2=1000.0)))


@pytest.mark.parametrize("b_values", [[0.0, 1000.0], [0.0, 500.0, 1000.0]])
def test_the_uncertainty_is_the_spread_of_repeated_scans(b_values: list[float]) -> None:
    rng = np.random.default_rng(1)
    clean = np.array([diffusion_weighted(1000.0, 800.0, b_s_per_mm2=b) for b in b_values])
    noisy = clean[:, None] + rng.normal(0, 10.0, (len(b_values), 20_000))
    fit = fit_adc(noisy, b_values, noise_sd=10.0)
    assert fit.adc_um2_per_s.std() == pytest.approx(fit.sd_um2_per_s.mean(), rel=0.03)
    assert fit.adc_um2_per_s.mean() == pytest.approx(800, abs=1)


def test_weights_spread_less_than_equal_ones() -> None:
    rng = np.random.default_rng(2)
    b_values = np.array([0.0, 1000.0, 2500.0])
    clean = np.exp(-b_values * 1e-6 * 1200.0)[:, None] * 1000
    noisy = np.maximum(clean + rng.normal(0, 8.0, (3, 5000)), 1.0)
    ours = fit_adc(noisy, b_values.tolist(), noise_sd=8.0).adc_um2_per_s
    equal = -np.polyfit(b_values * 1e-6, np.log(noisy), 1)[0]
    assert ours.std() < 0.8 * equal.std()


def test_an_image_below_the_noise_floor_has_no_weight_where_two_are_left() -> None:
    b_values = [0.0, 500.0, 5000.0]
    images = np.array(images_of(1000.0, 100.0, b_values))
    images[2] = 2.0  # noise alone
    fit = fit_adc(images, b_values, noise_sd=1.0)
    np.testing.assert_allclose(fit.adc_um2_per_s, 1000.0)
    assert not fit.above_floor.any()


def test_two_images_keep_their_line_and_say_where_it_is_a_lower_bound() -> None:
    floor = FLOOR_SNR * 1.0
    fit = fit_adc([[100.0, 100.0], [floor + 0.1, floor - 0.1]], [0.0, 1000.0], noise_sd=1.0)
    assert fit.above_floor.tolist() == [True, False]
    assert fit.measured.all()
    assert fit.adc_um2_per_s[1] == pytest.approx(1e3 * math.log(100 / (floor - 0.1)))


def test_where_there_is_no_signal_nothing_is_measured() -> None:
    fit = fit_adc([[100.0, 0.0, 0.0], [0.0, 50.0, 0.0]], [0.0, 1000.0], noise_sd=1.0)
    assert not fit.measured.any()
    for values in (fit.adc_um2_per_s, fit.sd_um2_per_s, fit.signal_b0):
        assert (values == 0).all()


def test_three_directions_at_right_angles_give_the_trace() -> None:
    along = [1500.0, 400.0, 500.0]
    images = np.array([diffusion_weighted(10.0, adc, b_s_per_mm2=1000.0) for adc in along])
    trace = trace_weighted(images[:, None])
    expected = diffusion_weighted(10.0, float(np.mean(along)), b_s_per_mm2=1000.0)
    np.testing.assert_allclose(trace, expected)


def test_a_direction_without_signal_leaves_none() -> None:
    assert trace_weighted([[4.0, 4.0], [4.0, -1.0]]).tolist() == pytest.approx([4.0, 0.0])
    assert trace_weighted([[4.0, 1.0]]).tolist() == [4.0, 1.0]


@pytest.mark.parametrize(
    ("images", "b_values", "noise", "words"),
    [
        ([1.0, 1.0], [0.0, 0.0], 0.0, "two different b-values"),
        ([1.0], [0.0], 0.0, "two different b-values"),
        ([1.0, 1.0], [0.0], 0.0, "one image a b-value"),
        ([1.0, math.nan], [0.0, 1000.0], 0.0, "finite"),
        ([1.0, 1.0], [-1.0, 1000.0], 0.0, "b_values_s_per_mm2"),
        ([1.0, 1.0], [0.0, 1000.0], -1.0, "noise_sd"),
    ],
)
def test_what_has_no_fit_is_refused(
    images: list[float], b_values: list[float], noise: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        fit_adc(images, b_values, noise_sd=noise)


def test_a_negative_adc_or_b_value_weights_nothing() -> None:
    with pytest.raises(ValueError, match="adc_um2_per_s"):
        diffusion_weighted(1.0, -1.0, b_s_per_mm2=1000.0)
    with pytest.raises(ValueError, match="b_s_per_mm2"):
        diffusion_weighted(1.0, 1.0, b_s_per_mm2=-1.0)


def test_tissues_have_a_range_around_what_is_typical() -> None:
    assert all(one.low < one.typical < one.high for one in TISSUE_ADC.values())
    assert TISSUE_ADC["acute infarct"].high <= INFARCT_CORE_UM2_PER_S
    brain = {name for name in TISSUE_ADC if "infarct" not in name} - {"vasogenic oedema", "glioma"}
    assert brain <= set(TISSUES)
