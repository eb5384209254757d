from __future__ import annotations

import math

import pytest
import torch
from tests.diffusion.known_data import end_of_flow, exact, hill, noise
from torch import Tensor

from isocenter.core.errors import SettingRefused
from isocenter.diffusion.guidance import Guidance, guided, guided_by
from isocenter.diffusion.process import SAMPLE, Process, V
from isocenter.diffusion.samplers import sample

PROCESS = Process()
CONDITIONAL, UNCONDITIONAL, DEVIATION = 0.9, -0.2, 0.4


class TwoHills:
    """A network that is told which of two Gaussians of one deviation to make."""

    def __init__(self, process: Process = PROCESS) -> None:
        self.process = process
        self.batches: list[int] = []

    def __call__(self, state: Tensor, time_B: Tensor, *, mean: Tensor) -> Tensor:
        self.batches.append(len(state))
        signal, deviation = (scale.view(-1, 1, 1, 1) for scale in self.process.scales(time_B))
        shrink = signal * DEVIATION**2 / (signal.square() * DEVIATION**2 + deviation.square())
        expected = mean.view(-1, 1, 1, 1)
        expected = expected + shrink * (state - signal * expected)
        to = self.process.prediction_type
        return self.process.convert(expected, state, time_B, to=to, given=SAMPLE)


def means(count: int) -> dict[str, dict[str, Tensor]]:
    return {
        "given": {"mean": torch.full((count,), CONDITIONAL).double()},
        "without": {"mean": torch.full((count,), UNCONDITIONAL).double()},
    }


@pytest.mark.parametrize("scale", [0.0, 1.0, 1.5, 4.0])
def test_two_gaussians_give_the_one_tilted_by_the_scale(scale: float) -> None:
    """p(x | c)^w p(x)^(1 - w) is Gaussian with the same deviation, at every time."""
    begin = noise(8)
    denoise = guided(TwoHills(), **means(8), guidance=Guidance(scale=scale))
    made = sample(denoise, begin, PROCESS, steps=64, sampler="heun")
    tilted = UNCONDITIONAL + scale * (CONDITIONAL - UNCONDITIONAL)
    wanted = end_of_flow(begin, PROCESS, mean=tilted, deviation=DEVIATION)
    assert torch.allclose(made, wanted, atol=2e-3 * (1 + scale))


def test_a_scale_of_one_is_the_conditional_prediction_itself() -> None:
    network, state, time_B = TwoHills(), noise(3), exact(0.2, 0.5, 1.0)
    denoise = guided(network, **means(3), guidance=Guidance(scale=1.0, rescale=0.7))
    assert torch.equal(denoise(state, time_B), network(state, time_B, **means(3)["given"]))
    assert network.batches == [3, 3]  # nothing else was asked for


def test_both_predictions_come_from_one_call_and_one_outside_the_interval() -> None:
    network = TwoHills()
    guidance = Guidance(scale=3.0, interval=(0.3, 0.7))
    sample(guided(network, **means(2), guidance=guidance), noise(2), PROCESS, steps=10)
    assert network.batches == [2, 2, 2, 4, 4, 4, 4, 4, 2, 2]


def test_images_of_one_batch_may_be_at_different_times() -> None:
    network, state, time_B = TwoHills(), noise(3), exact(0.2, 0.5, 1.0)
    conditions = means(3)
    denoise = guided(network, **conditions, guidance=Guidance(scale=3.0, interval=(0.3, 0.7)))
    together = denoise(state, time_B)
    assert network.batches == [4]
    given, without = (network(state, time_B, **conditions[kind]) for kind in conditions)
    assert torch.equal(together[[0, 2]], given[[0, 2]])
    assert torch.allclose(together[1], without[1] + 3 * (given[1] - without[1]))


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_guidance_is_the_same_in_every_prediction(scale: float) -> None:
    state, time_B = noise(3), exact(0.2, 0.5, 1.0)
    images = []
    for kind in (SAMPLE, V, "flow_prediction"):
        process = Process(prediction_type=kind)
        denoise = guided(TwoHills(process), **means(3), guidance=Guidance(scale=scale))
        images.append(process.convert(denoise(state, time_B), state, time_B, to=SAMPLE))
    assert torch.allclose(images[0], images[1])
    assert torch.allclose(images[0], images[2])


def test_rescaling_gives_back_the_deviation_of_each_image() -> None:
    good, worse = noise(3, 2, 5, 5, seed=1), noise(3, 2, 5, 5, seed=2)
    plain = Guidance(scale=4.0).combine(good, worse)
    full = Guidance(scale=4.0, rescale=1.0).combine(good, worse)
    deviation, grown = (x.std((1, 2, 3), correction=0) for x in (good, plain))
    assert (grown > 2 * deviation).all()
    assert torch.allclose(full.std((1, 2, 3), correction=0), deviation)
    half = Guidance(scale=4.0, rescale=0.5).combine(good, worse)
    assert torch.allclose(half, (full + plain) / 2)


def test_rescaling_leaves_an_image_without_contrast() -> None:
    flat = torch.zeros(1, 1, 4, 4)
    assert torch.equal(Guidance(scale=2.0, rescale=1.0).combine(flat, flat), flat)


def test_another_denoiser_may_be_the_worse_one() -> None:
    """Autoguidance away from a wider Gaussian narrows the samples."""
    good, worse = hill(0.3, 0.4).denoiser(PROCESS), hill(0.3, 0.6).denoiser(PROCESS)
    begin = noise(200)
    denoise = guided_by(good, worse, guidance=Guidance(scale=2.0))
    made, plain = (sample(each, begin, PROCESS, steps=30) for each in (denoise, good))
    assert 0.5 * plain.std() < made.std() < 0.9 * plain.std()
    unguided = guided_by(good, worse, guidance=Guidance())
    assert torch.equal(sample(unguided, begin, PROCESS, steps=30), plain)


def test_conditions_of_different_names_are_refused() -> None:
    with pytest.raises(ValueError, match="same names, got mean and words"):
        guided(
            TwoHills(),
            given={"mean": exact(1.0)},
            without={"words": exact(1.0)},
            guidance=Guidance(scale=2.0),
        )


@pytest.mark.parametrize("settings", [{"scale": -1.0}, {"scale": math.nan}, {"rescale": 1.5}])
def test_settings_outside_their_limits_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"guidance is at least 0|rescale is a share"):
        Guidance(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("interval", [(0.7, 0.3), (-0.1, 0.5), (0.5, 1.1)])
def test_an_interval_outside_the_times_is_refused(interval: tuple[float, float]) -> None:
    with pytest.raises(SettingRefused, match=r"rises within 0 \.\. 1"):
        Guidance(scale=2.0, interval=interval)
