from __future__ import annotations

import math

import numpy as np
import pytest

from isocenter.physics.mr_signal import (
    diffusion_weighted,
    enhanced_t1_ms,
    ernst_angle_deg,
    fast_spin_echo,
    inversion_recovery,
    null_ti_ms,
    prepared_gradient_echo,
    rician,
    spin_echo,
    spoiled_gradient_echo,
)
from isocenter.physics.mr_tissues import TISSUES, relaxation


@pytest.mark.parametrize(("t1_ms", "tr_ms"), [(300.0, 20.0), (850.0, 20.0), (4300.0, 500.0)])
def test_a_gradient_echo_is_strongest_at_the_ernst_angle(t1_ms: float, tr_ms: float) -> None:
    best = ernst_angle_deg(t1_ms, tr_ms=tr_ms)
    signals = [
        float(spoiled_gradient_echo(1.0, t1_ms, 50.0, tr_ms=tr_ms, te_ms=0.0, flip_deg=flip))
        for flip in (best - 1, best, best + 1)
    ]
    assert max(signals) == signals[1]
    assert math.cos(math.radians(best)) == pytest.approx(math.exp(-tr_ms / t1_ms))


@pytest.mark.parametrize("t1_ms", [260.0, 850.0, 4300.0])
def test_an_inversion_nulls_a_tissue_at_ln_2_of_its_t1_where_tr_is_long(t1_ms: float) -> None:
    times = {"tr_ms": 30 * t1_ms, "te_ms": 10.0}
    assert null_ti_ms(t1_ms, tr_ms=times["tr_ms"]) == pytest.approx(math.log(2) * t1_ms)
    nulled = inversion_recovery(1.0, t1_ms, 80.0, ti_ms=math.log(2) * t1_ms, **times)
    assert float(nulled) == pytest.approx(0, abs=1e-9)


def test_an_inversion_nulls_a_tissue_where_tr_is_short_too() -> None:
    ti_ms = null_ti_ms(4300.0, tr_ms=9000.0)
    assert ti_ms < math.log(2) * 4300
    signal = inversion_recovery(1.0, 4300.0, 1800.0, tr_ms=9000.0, te_ms=90.0, ti_ms=ti_ms)
    assert float(signal) == pytest.approx(0, abs=1e-9)


def test_an_inversion_long_ago_is_a_spin_echo() -> None:
    times = {"tr_ms": 60_000.0, "te_ms": 30.0}
    late = inversion_recovery(0.8, 900.0, 70.0, ti_ms=59_000.0, **times)
    assert float(late) == pytest.approx(float(spin_echo(0.8, 900.0, 70.0, **times)))


def test_a_spin_echo_decays_with_t2_and_recovers_with_t1() -> None:
    early, late = (spin_echo(1.0, 900.0, 70.0, tr_ms=3000.0, te_ms=te) for te in (20.0, 90.0))
    assert float(early / late) == pytest.approx(math.e)
    short, long = (spin_echo(1.0, 900.0, 70.0, tr_ms=tr, te_ms=0.0) for tr in (900.0, 90_000.0))
    assert float(short / long) == pytest.approx(1 - 1 / math.e)


def test_a_gradient_echo_of_90_degrees_is_a_spin_echo_without_its_echo() -> None:
    flipped = spoiled_gradient_echo(1.0, 900.0, 50.0, tr_ms=500.0, te_ms=0.0, flip_deg=90.0)
    assert float(flipped) == pytest.approx(float(spin_echo(1.0, 900.0, 50, tr_ms=500.0, te_ms=0)))


def test_noise_alone_has_the_mean_of_rayleigh() -> None:
    noise = rician(np.zeros((300, 300)), 2.0, np.random.default_rng(3))
    assert noise.mean() == pytest.approx(2 * math.sqrt(math.pi / 2), rel=0.01)


def test_noise_hardly_shifts_a_strong_signal() -> None:
    noisy = rician(np.full((300, 300), 100.0), 2.0, np.random.default_rng(4))
    assert noisy.mean() == pytest.approx(100 + 4 / 200, abs=0.05)
    assert noisy.std() == pytest.approx(2, rel=0.02)


def test_contrast_agent_adds_to_the_rate() -> None:
    assert float(enhanced_t1_ms(1000.0, 0.0)) == pytest.approx(1000)
    assert float(enhanced_t1_ms(1000.0, 1.0)) == pytest.approx(1000 / (1 + 5.2))


def test_times_between_two_fields_lie_between_theirs() -> None:
    for name, tissue in TISSUES.items():
        for field, place in ((1.5, 0), (3.0, 1)):
            assert relaxation(name, field_tesla=field)[0] == pytest.approx(tissue.t1_ms[place])
        t1_ms, t2_ms, _ = relaxation(name, field_tesla=2.0)
        assert tissue.t1_ms[0] < t1_ms < tissue.t1_ms[1]
        assert tissue.t2_ms[0] >= t2_ms >= tissue.t2_ms[1] or name == "optic nerve"


def test_contrasts_are_the_ones_that_their_names_say() -> None:
    def signal(name: str, tr_ms: float, te_ms: float) -> float:
        t1_ms, t2_ms, density = relaxation(name, field_tesla=1.5)
        return float(spin_echo(density, t1_ms, t2_ms, tr_ms=tr_ms, te_ms=te_ms))

    order = ("csf", "cortex", "white matter")
    t1_weighted = [signal(name, 550, 12) for name in order]
    t2_weighted = [signal(name, 5000, 100) for name in order]
    assert t1_weighted == sorted(t1_weighted)
    assert t2_weighted == sorted(t2_weighted, reverse=True)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: spin_echo(1.0, 0.0, 50.0, tr_ms=500, te_ms=10), "t1_ms must be positive"),
        (lambda: spin_echo(1.0, 900.0, np.nan, tr_ms=500, te_ms=10), "t2_ms must be positive"),
        (lambda: spin_echo(1.0, 900.0, 50.0, tr_ms=500, te_ms=600), "te_ms must be below tr_ms"),
        (
            lambda: inversion_recovery(1.0, 900.0, 50.0, tr_ms=500, te_ms=9, ti_ms=700),
            "ti_ms must be below tr_ms",
        ),
        (
            lambda: spoiled_gradient_echo(1.0, 900.0, 50.0, tr_ms=20, te_ms=3, flip_deg=120),
            "flip_deg is above 0",
        ),
        (lambda: relaxation("bone", field_tesla=1.5), "tissue is one of"),
        (lambda: relaxation("fat", field_tesla=7), "from 1.5 to 3"),
        (lambda: enhanced_t1_ms(900.0, -1.0), "concentration_mm is at least 0"),
        (lambda: rician(np.zeros(2), -1, np.random.default_rng(0)), "sigma is at least 0"),
    ],
)
def test_what_cannot_be_is_refused(call: object, words: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=words):
        call()


def test_a_train_of_no_length_is_a_spin_echo_and_a_longer_one_recovers_less() -> None:
    times = {"tr_ms": 4000.0, "te_ms": 90.0}
    one = spin_echo(1.0, 4000.0, 80.0, **times)
    assert float(fast_spin_echo(1.0, 4000.0, 80.0, train_ms=0.0, **times)) == float(one)
    assert float(fast_spin_echo(1.0, 4000.0, 80.0, train_ms=200.0, **times)) < float(one)
    with pytest.raises(ValueError, match="does not fit"):
        fast_spin_echo(1.0, 900.0, 80.0, train_ms=4000.0, **times)


def test_an_inversion_before_a_train_nulls_a_tissue_too() -> None:
    ti_ms = null_ti_ms(4300.0, tr_ms=9000.0, train_ms=200.0)
    times = {"tr_ms": 9000.0, "te_ms": 90.0, "ti_ms": ti_ms, "train_ms": 200.0}
    assert float(inversion_recovery(1.0, 4300.0, 1800.0, **times)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("t1_ms", [300.0, 860.0, 1450.0, 4300.0])
def test_a_prepared_gradient_echo_is_what_its_pulses_one_by_one_give(t1_ms: float) -> None:
    tr_ms, ti_ms, flip, pulses, spacing = 2000.0, 900.0, 9.0, 120, 7.0
    cosine = math.cos(math.radians(flip))
    before = ti_ms - pulses * spacing / 2
    after = tr_ms - before - pulses * spacing
    along = 1.0
    for _ in range(40):
        along = 1 - (1 + along) * math.exp(-before / t1_ms)
        for pulse in range(pulses):
            if pulse == pulses // 2:
                seen = abs(along) * math.sin(math.radians(flip))
            along = 1 - (1 - along * cosine) * math.exp(-spacing / t1_ms)
        along = 1 - (1 - along) * math.exp(-after / t1_ms)
    closed = prepared_gradient_echo(
        1.0,
        t1_ms,
        50.0,
        tr_ms=tr_ms,
        te_ms=0.0,
        ti_ms=ti_ms,
        flip_deg=flip,
        num_pulses=pulses,
        pulse_spacing_ms=spacing,
    )
    assert float(closed) == pytest.approx(seen, rel=1e-9)


def test_two_weightings_give_the_diffusion_back() -> None:
    b0 = spin_echo(0.8, 860.0, 68.0, tr_ms=6000.0, te_ms=80.0)
    weighted = diffusion_weighted(b0, 720.0, b_s_per_mm2=1000.0)
    assert float(np.log(b0 / weighted)) * 1e3 == pytest.approx(720.0)
    assert float(diffusion_weighted(b0, 720.0, b_s_per_mm2=0.0)) == float(b0)
    with pytest.raises(ValueError, match="adc_um2_s"):
        diffusion_weighted(b0, -1.0, b_s_per_mm2=1000.0)
