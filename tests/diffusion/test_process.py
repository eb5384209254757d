from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from tests.diffusion.known_data import FLOWS, PROCESSES, exact, noise
from torch import Tensor

from isocenter.core.errors import SettingRefused
from isocenter.diffusion.process import (
    EPSILON,
    PREDICTIONS,
    SAMPLE,
    VELOCITY,
    Process,
    V,
    resolution_shift,
)

BETAS_OF_DIFFUSERS = {
    "linear": "linear",
    "scaled_linear": "scaled_linear",
    "cosine": "squaredcos_cap_v2",
}
INNER = exact(0.01, 0.3, 0.77, 0.995)


def images(count: int, *, seed: int = 9) -> Tensor:
    return noise(count, 1, 3, 2, seed=seed)


@pytest.mark.parametrize("zero_snr", [False, True])
@pytest.mark.parametrize("schedule", BETAS_OF_DIFFUSERS)
def test_schedules_are_those_of_diffusers(schedule: str, zero_snr: bool) -> None:
    process = Process(schedule=schedule, prediction_type=V, rescale_betas_zero_snr=zero_snr)
    theirs = DDPMScheduler(
        beta_schedule=BETAS_OF_DIFFUSERS[schedule], rescale_betas_zero_snr=zero_snr
    )
    time_B = torch.arange(1, 1001, dtype=torch.float64) / 1000
    signal, deviation = process.scales(time_B)
    kept = theirs.alphas_cumprod.double()
    assert torch.allclose(signal.square(), kept, rtol=1e-3, atol=2e-6)
    assert torch.allclose(signal.square() + deviation.square(), torch.ones(1).double())
    assert torch.equal(process.timestep(time_B), torch.arange(1000))
    if zero_snr:
        assert signal[-1] == 0
        assert deviation[-1] == 1


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_time_runs_from_the_image_to_noise(process: Process) -> None:
    clean, pure = images(1), noise(1, 1, 3, 2)
    assert torch.equal(process.add_noise(clean, pure, exact(0.0)), clean)
    if process.ends_in_pure_noise:
        assert torch.equal(process.add_noise(clean, pure, exact(1.0)), pure)
    signal, deviation = process.scales(torch.linspace(0, 1, 101, dtype=torch.float64))
    assert (signal.diff() < 0).all()
    assert (deviation.diff() > 0).all()


def test_velocity_is_the_derivative_of_a_flow() -> None:
    process, clean, pure = Process(), images(4), noise(4, 1, 3, 2)
    after, before = (process.add_noise(clean, pure, INNER + step) for step in (1e-3, -1e-3))
    assert torch.allclose((after - before) / 2e-3, process.target(clean, pure, INNER))


def test_v_is_the_derivative_by_the_angle() -> None:
    process = Process(schedule="cosine", prediction_type=V)
    clean, pure = images(4), noise(4, 1, 3, 2)
    signal, deviation = (scale.view(-1, 1, 1, 1) for scale in process.scales(INNER))
    angle = torch.atan2(deviation, signal)
    turned = [torch.cos(angle + s) * clean + torch.sin(angle + s) * pure for s in (1e-4, -1e-4)]
    slope = (turned[0] - turned[1]) / 2e-4
    assert torch.allclose(process.target(clean, pure, INNER), slope, atol=1e-6)


@pytest.mark.parametrize("process", PROCESSES, ids=str)
@pytest.mark.parametrize("given", PREDICTIONS)
@pytest.mark.parametrize("to", PREDICTIONS)
def test_every_prediction_follows_from_every_other(process: Process, given: str, to: str) -> None:
    clean, pure = images(4), noise(4, 1, 3, 2)
    state = process.add_noise(clean, pure, INNER)
    both = {SAMPLE: clean, EPSILON: pure}
    both[VELOCITY] = pure - clean
    signal, deviation = (scale.view(-1, 1, 1, 1) for scale in process.scales(INNER))
    both[V] = signal * pure - deviation * clean
    converted = process.convert(both[given], state, INNER, to=to, given=given)
    assert torch.allclose(converted, both[to], rtol=1e-9, atol=1e-9)


def test_v_and_velocity_give_all_at_both_ends() -> None:
    clean, pure = images(2), noise(2, 1, 3, 2)
    ends = exact(0.0, 1.0)
    for kind in (V, VELOCITY):
        for process in (Process(prediction_type=kind), PROCESSES[3]):
            process = Process(**{**process.config, "prediction_type": kind})
            state, output = (
                process.add_noise(clean, pure, ends),
                process.target(clean, pure, ends),
            )
            assert torch.allclose(process.convert(output, state, ends, to=SAMPLE), clean)
            assert torch.allclose(process.convert(output, state, ends, to=EPSILON), pure)


def test_what_a_prediction_does_not_say_is_refused() -> None:
    process, state = Process(prediction_type=SAMPLE), images(2)
    with pytest.raises(ValueError, match=r"no image follows from .* epsilon .* without signal"):
        process.convert(state, state, exact(0.5, 1.0), to=SAMPLE, given=EPSILON)
    with pytest.raises(ValueError, match=r"no noise follows from .* sample .* without noise"):
        process.convert(state, state, exact(0.0, 0.5), to=EPSILON)
    assert torch.equal(process.convert(state, state, exact(0.0, 1.0), to=SAMPLE), state)


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_more_noise_leads_from_marginal_to_marginal(process: Process) -> None:
    """Coefficients of the image and of the noise compose."""
    early, late = exact(0.2), exact(0.7)
    one, none = torch.ones(1, 1).double(), torch.zeros(1, 1).double()
    kept = process.add_more_noise(one, none, time_B=early, later_B=late)
    added = process.add_more_noise(none, one, time_B=early, later_B=late)
    (signal_0, noise_0), (signal_1, noise_1) = process.scales(early), process.scales(late)
    assert kept.item() * signal_0.item() == pytest.approx(signal_1.item(), abs=1e-12)
    assert math.hypot(kept.item() * noise_0.item(), added.item()) == pytest.approx(noise_1.item())


def test_float32_times_are_as_good_as_exact_ones() -> None:
    for process in PROCESSES[2:]:
        time_B = torch.arange(0, 1001) / 1000
        assert torch.allclose(
            process.scales(time_B)[0].double(), process.scales(time_B.double())[0]
        )


@pytest.mark.parametrize("process", PROCESSES, ids=str)
@pytest.mark.parametrize("steps", [1, 7, 20])
@pytest.mark.parametrize("strength", [1.0, 0.33, 0.001])
def test_times_fall_from_the_start_to_zero(process: Process, steps: int, strength: float) -> None:
    times = process.times(steps, strength=strength)
    assert times[0] == process.start_time(strength)
    assert times[-1] == 0
    assert (times.diff() < 0).all()
    assert len(times) - 1 == max(1, math.ceil(steps * strength))
    if strength == 1:
        assert times[0] == 1


def test_steps_are_trailing_as_in_diffusers() -> None:
    for steps in (1, 7, 30, 1000):
        theirs = DDPMScheduler(timestep_spacing="trailing")
        theirs.set_timesteps(steps)
        times = PROCESSES[2].times(steps)[:-1]
        assert torch.equal(PROCESSES[2].timestep(times), theirs.timesteps)


def test_a_shift_moves_times_towards_noise_and_keeps_the_ends() -> None:
    times = Process(shift=3.0).times(4)
    assert times.tolist() == pytest.approx([1, 9 / 10, 3 / 4, 1 / 2, 0])
    assert resolution_shift(512 * 512, base_pixels=256 * 256) == 2


def test_drawn_times_are_those_of_the_distribution() -> None:
    generator = torch.Generator().manual_seed(3)
    even = Process().draw_times(20_000, generator=generator)
    assert even.dtype == torch.float32
    assert even.mean().item() == pytest.approx(0.5, abs=0.01)
    assert even.var().item() == pytest.approx(1 / 12, abs=0.002)
    normal = (
        Process()
        .draw_times(
            20_000, generator=generator, distribution="logit_normal", mean=0.4, deviation=1.2
        )
        .logit()
    )
    assert normal.mean().item() == pytest.approx(0.4, abs=0.03)
    assert normal.std().item() == pytest.approx(1.2, abs=0.03)
    shifted = Process(shift=3.0).draw_times(20_000, generator=generator)
    assert (shifted / (3 - 2 * shifted)).mean().item() == pytest.approx(0.5, abs=0.01)


def test_steps_are_drawn_evenly_and_none_is_the_image() -> None:
    process = Process(schedule="linear", prediction_type=EPSILON, num_train_timesteps=4)
    generator = torch.Generator().manual_seed(3)
    drawn = process.draw_times(8000, generator=generator)
    values, counts = drawn.unique(return_counts=True)
    assert values.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert counts.min() > 1850


@pytest.mark.parametrize("distribution", ["uniform", "logit_normal"])
def test_stratified_times_take_one_of_each_range(distribution: str) -> None:
    generator = torch.Generator().manual_seed(3)
    drawn = Process().draw_times(
        16, generator=generator, distribution=distribution, stratified=True
    )
    share = drawn if distribution == "uniform" else torch.special.ndtr(drawn.logit())
    assert torch.equal((share.sort().values * 16).floor(), torch.arange(16.0))
    assert (drawn.diff() < 0).any()  # which image gets which is random
    again = torch.Generator().manual_seed(3)
    assert torch.equal(
        drawn,
        Process().draw_times(16, generator=again, distribution=distribution, stratified=True),
    )


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_the_config_makes_the_process_again(process: Process) -> None:
    assert Process(**json.loads(json.dumps(process.config))) == process


def test_a_config_holds_what_its_schedule_uses() -> None:
    assert FLOWS[1].config == {
        "schedule": "flow",
        "prediction_type": "flow_prediction",
        "num_train_timesteps": 1000,
        "shift": 2.5,
    }


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"schedule": "sigmoid"}, "schedule is one of flow, linear"),
        ({"prediction_type": "x0"}, "prediction_type is one of epsilon"),
        ({"num_train_timesteps": 0}, r"within 2\.\.10000, got 0"),
        ({"num_train_timesteps": True}, r"within 2\.\.10000, got True"),
        ({"shift": 0.0}, "shift must be positive"),
        ({"shift": math.nan}, "shift must be positive"),
        ({"rescale_betas_zero_snr": True}, "does not belong to the schedule flow"),
        ({"rescale_betas_zero_snr": 1}, "true or false"),
        ({"schedule": "linear", "prediction_type": V, "shift": 2.0}, "shift does not belong"),
        ({"schedule": "cosine", "prediction_type": V, "beta_end": 0.1}, "beta_end does not"),
        ({"schedule": "linear", "prediction_type": V, "beta_end": 1.0}, "stay below 1"),
        ({"prediction_type": EPSILON}, "epsilon cannot be predicted along a process that ends"),
        (
            {"schedule": "linear", "prediction_type": EPSILON, "rescale_betas_zero_snr": True},
            "predict sample, v_prediction or flow_prediction",
        ),
    ],
)
def test_settings_that_make_no_process_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Process(**settings)


@pytest.mark.parametrize("steps", [0, -1, 1001, 2.5, True, "8"])
def test_steps_that_cannot_be_taken_are_refused(steps: object) -> None:
    with pytest.raises(SettingRefused, match=r"within 1\.\.1000, got"):
        PROCESSES[2].times(steps)  # type: ignore[arg-type]


@pytest.mark.parametrize("strength", [0.0, -0.1, 1.5, math.nan])
def test_a_strength_outside_its_limits_is_refused(strength: float) -> None:
    with pytest.raises(SettingRefused, match="from above 0 to 1"):
        Process().times(8, strength=strength)


def test_all_steps_of_the_whole_way_can_be_taken() -> None:
    for strength in (1.0, 0.5, 0.0013):
        times = PROCESSES[2].times(1000, strength=strength)
        assert all(later < time for time, later in pairwise(times.tolist()))
