from __future__ import annotations

import pytest
import torch
from tests.diffusion.known_data import exact, noise

from isocenter.diffusion.process import EPSILON, PREDICTIONS, SAMPLE, VELOCITY, Process, V
from isocenter.diffusion.weighting import image_error, min_snr_weight

TIMES = exact(0.003, 0.1, 0.4, 0.8, 0.99)


@pytest.mark.parametrize("gamma", [1.0, 5.0])
@pytest.mark.parametrize("kind", PREDICTIONS[:3])
def test_weights_are_those_of_the_paper(kind: str, gamma: float) -> None:
    process = Process(schedule="linear", prediction_type=kind)
    snr = process.snr(TIMES)
    wanted = {EPSILON: 1 / snr, SAMPLE: torch.ones_like(snr), V: 1 / (snr + 1)}[kind]
    weight = min_snr_weight(process, TIMES, gamma=gamma)
    assert torch.allclose(weight, snr.clamp(max=gamma) * wanted)


def test_the_velocity_of_a_flow_has_its_own() -> None:
    weight = min_snr_weight(Process(), TIMES, gamma=5.0)
    snr = ((1 - TIMES) / TIMES).square()
    assert torch.allclose(weight, snr.clamp(max=5.0) * TIMES.square())


@pytest.mark.parametrize("schedule", ["flow", "cosine"])
@pytest.mark.parametrize("kind", PREDICTIONS)
def test_an_error_of_the_prediction_is_that_error_of_the_image(kind: str, schedule: str) -> None:
    if schedule == "flow" and kind == EPSILON:
        return
    process = Process(schedule=schedule, prediction_type=kind)
    state, output = noise(5, seed=1), noise(5, seed=2)
    right, wrong = (process.convert(each, state, TIMES, to=SAMPLE) for each in (output, output + 1))
    assert torch.allclose((right - wrong).abs().flatten(), image_error(process, TIMES))


def test_all_predictions_weigh_an_image_alike() -> None:
    """A weighted squared error of any prediction is the same weighted error of the image."""
    clean, pure, wrong = noise(5, seed=1), noise(5, seed=2), noise(5, seed=3)
    losses = []
    for kind in PREDICTIONS:
        process = Process(schedule="scaled_linear", prediction_type=kind)
        state = process.add_noise(clean, pure, TIMES)
        said = process.convert(wrong, state, TIMES, to=kind, given=SAMPLE)
        error = (said - process.target(clean, pure, TIMES)).square().flatten()
        losses.append(min_snr_weight(process, TIMES) * error)
    for loss in losses[1:]:
        assert torch.allclose(loss, losses[0])


@pytest.mark.parametrize("kind", [SAMPLE, V, VELOCITY])
@pytest.mark.parametrize("schedule", ["flow", "cosine"])
def test_weights_are_finite_at_both_ends(kind: str, schedule: str) -> None:
    zero = schedule != "flow"
    process = Process(schedule=schedule, prediction_type=kind, rescale_betas_zero_snr=zero)
    weight = min_snr_weight(process, exact(0.0, 1.0), gamma=4.0)
    assert weight.tolist() == [4.0 if kind == SAMPLE else 0.0, 0.0]


def test_a_gamma_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="gamma must be positive"):
        min_snr_weight(Process(), TIMES, gamma=0.0)
