from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from tests.diffusion.known_data import (
    FLOWS,
    PROCESSES,
    TWO_HILLS,
    VARIANCE_PRESERVING,
    end_of_flow,
    exact,
    generators,
    hill,
    noise,
)
from torch import Tensor

from isocenter.core.errors import SettingRefused
from isocenter.diffusion.process import EPSILON, SAMPLE, VELOCITY, Process, V
from isocenter.diffusion.samplers import (
    Progress,
    draw_noise,
    sample,
    samplers_for,
    start,
)

RUNS = [(process, name) for process in PROCESSES for name in samplers_for(process)]
ONE_HILL = {"mean": 0.7, "deviation": 0.4}


def bent(state: Tensor, time_B: Tensor) -> Tensor:
    """Some denoiser whose arithmetic is the same in any batch."""
    return state * 0.3 + state * state * 0.05 - time_B.view(-1, 1, 1, 1) * 0.2


def drawing(name: str, count: int) -> list[torch.Generator] | None:
    return generators(count, seed=5) if name == "ddpm" else None


def test_each_process_has_its_samplers() -> None:
    assert samplers_for(FLOWS[0]) == ("flow", "heun", "dpm++", "unipc")
    assert samplers_for(VARIANCE_PRESERVING[0]) == ("ddpm", "ddim", "dpm++", "unipc")


@pytest.mark.parametrize(("process", "name"), RUNS, ids=str)
def test_samples_have_the_mixture_s_mean_covariance_and_weights(
    process: Process, name: str
) -> None:
    count = 2000
    pure = noise(count, 2, 1, 1)
    begin = process.add_noise(TWO_HILLS.draw(count), pure, exact(1.0))
    made = sample(
        TWO_HILLS.denoiser(process),
        begin,
        process,
        steps=50,
        sampler=name,
        generators=drawing(name, count),
    )[:, :, 0, 0]
    assert torch.allclose(made.mean(0), TWO_HILLS.mean, atol=0.08)
    assert torch.allclose(made.T.cov(), TWO_HILLS.covariance, rtol=0.08, atol=0.05)
    near = torch.cdist(made, TWO_HILLS.mean_KC).argmin(1)
    assert (near == 0).double().mean().item() == pytest.approx(0.3, abs=0.045)
    spread = (made[near == 0] - TWO_HILLS.mean_KC[0]).std().item()
    assert spread == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(("process", "name"), RUNS, ids=str)
def test_what_is_predicted_does_not_change_the_samples(process: Process, name: str) -> None:
    kinds = [SAMPLE, V, VELOCITY, *([] if process.ends_in_pure_noise else [EPSILON])]
    made = []
    for kind in kinds:
        same = Process(**{**process.config, "prediction_type": kind})
        denoise = TWO_HILLS.denoiser(same)
        made.append(
            sample(
                denoise, noise(4, 2, 1, 1), same, steps=6, sampler=name, generators=drawing(name, 4)
            )
        )
    for other in made[1:]:
        assert torch.allclose(other, made[0], atol=2e-4)


@pytest.mark.parametrize(
    ("process", "name", "order"),
    [
        (FLOWS[0], "flow", 1),
        (FLOWS[0], "heun", 2),
        (FLOWS[0], "dpm++", 1.75),  # rises to 2 with more steps
        (FLOWS[0], "unipc", 2),
        (Process(schedule="cosine", prediction_type=V), "ddim", 1),
        (Process(schedule="linear", prediction_type=V), "ddim", 1),
    ],
    ids=str,
)
def test_errors_fall_with_the_order_of_the_sampler(
    process: Process, name: str, order: float
) -> None:
    begin = noise(16)
    wanted = end_of_flow(begin, process, **ONE_HILL)
    denoise = hill(**ONE_HILL).denoiser(process)
    errors = [
        (sample(denoise, begin, process, steps=steps, sampler=name) - wanted).abs().mean().item()
        for steps in (100, 200)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_higher_orders_are_nearer_with_as_many_calls(process: Process) -> None:
    """Against a fine reference, for a mixture."""
    begin, denoise = noise(16, 2, 1, 1), TWO_HILLS.denoiser(process)
    first, fine = ("flow", "heun") if process.is_flow else ("ddim", "ddim")
    reference = sample(denoise, begin, process, steps=300 if process.is_flow else 400, sampler=fine)
    error = {
        name: (sample(denoise, begin, process, steps=40, sampler=name) - reference).abs().mean()
        for name in (first, "dpm++", "unipc")
    }
    assert error["dpm++"] < error[first] / 2
    assert error["unipc"] < error[first] / 2


@pytest.mark.parametrize(("process", "name"), RUNS, ids=str)
def test_an_image_is_the_same_in_any_batch(process: Process, name: str) -> None:
    shape = (2, 5, 3)
    together = draw_noise(shape, generators(5))
    alone = draw_noise(shape, generators(5)[3:4])
    assert torch.equal(alone[0], together[3])
    all_five = sample(bent, together, process, steps=4, sampler=name, generators=drawing(name, 5))
    own = drawn[3:4] if (drawn := drawing(name, 5)) else None
    one = sample(bent, alone, process, steps=4, sampler=name, generators=own)
    assert torch.equal(one[0], all_five[3])
    assert all_five.dtype == torch.float32


@pytest.mark.parametrize(("process", "name"), RUNS, ids=str)
def test_times_given_to_the_denoiser_are_those_of_the_process(process: Process, name: str) -> None:
    seen: list[float] = []

    def watch(state: Tensor, time_B: Tensor) -> Tensor:
        assert time_B.shape == (2,)
        seen.append(float(time_B[1]))
        return bent(state, time_B)

    reached: list[Progress] = []
    sample(
        watch,
        noise(2),
        process,
        steps=7,
        sampler=name,
        callback=reached.append,
        generators=drawing(name, 2),
    )
    times = process.times(7).tolist()
    calls = [times[0], *[time for time in times[1:-1] for _ in (0, 1)]]
    assert seen == pytest.approx(calls if name == "heun" else times[:-1], abs=1e-12)
    assert [progress.time for progress in reached] == times[1:]
    assert [progress.step for progress in reached] == list(range(1, 8))
    assert {progress.steps for progress in reached} == {7}


@pytest.mark.parametrize("steps", [1, 2, 7, 30])
@pytest.mark.parametrize("process", VARIANCE_PRESERVING, ids=str)
def test_ddim_keeps_image_and_noise_at_any_number_of_steps(process: Process, steps: int) -> None:
    """A denoiser that knows the image leads along its own states, and exactly to it."""
    clean, pure = noise(2, 1, 3, 3, seed=1), noise(2, 1, 3, 3, seed=2)
    begin = start(clean, pure, process, strength=1.0)

    def know(state: Tensor, time_B: Tensor) -> Tensor:
        return process.target(clean, pure, time_B)

    def check(progress: Progress) -> None:
        wanted = process.add_noise(clean, pure, exact(progress.time))
        assert torch.allclose(progress.state, wanted, atol=1e-6)
        assert torch.allclose(progress.estimate, clean, atol=1e-6)

    made = sample(know, begin, process, steps=steps, sampler="ddim", callback=check)
    assert torch.allclose(made, clean, atol=1e-6)


def test_zero_terminal_snr_makes_images_of_any_mean() -> None:
    """Bright data from noise alone: what is left of signal at time 1 would darken them."""
    bright = hill(5.0, 0.1)
    made = {}
    for zero in (False, True):
        process = Process(
            schedule="scaled_linear",
            beta_end=0.012,
            prediction_type=V,
            rescale_betas_zero_snr=zero,
        )
        run = sample(bright.denoiser(process), noise(8), process, steps=50, sampler="ddim")
        made[zero] = (run - 5).abs().mean().item()
    assert made[True] < 0.13
    assert made[True] < made[False]


def test_ddpm_draws_from_the_posterior_of_the_forward_steps() -> None:
    """Equations 6 and 7 of Ho et al. with betas 0.1 and 0.5."""
    process = Process(
        schedule="linear",
        prediction_type=SAMPLE,
        num_train_timesteps=2,
        beta_start=0.1,
        beta_end=0.5,
    )
    clean, begin = noise(3, seed=1), noise(3, seed=2)
    states: list[Tensor] = []
    sample(
        lambda state, time_B: clean,
        begin,
        process,
        steps=2,
        sampler="ddpm",
        generators=generators(3, seed=4),
        callback=lambda progress: states.append(progress.state),
    )
    kept_before, kept = 0.9, 0.9 * 0.5
    mean = math.sqrt(kept_before) * 0.5 / (1 - kept) * clean
    mean = mean + math.sqrt(0.5) * (1 - kept_before) / (1 - kept) * begin
    deviation = math.sqrt((1 - kept_before) / (1 - kept) * 0.5)
    assert torch.allclose(states[0], mean + deviation * noise(3, seed=4), atol=1e-6)
    assert torch.allclose(states[1], clean)


def test_ddim_with_all_its_noise_is_ddpm() -> None:
    process = VARIANCE_PRESERVING[5]
    denoise = TWO_HILLS.denoiser(process)
    made = [
        sample(
            denoise,
            noise(4, 2, 1, 1),
            process,
            steps=20,
            sampler=name,
            generators=generators(4, seed=3),
            eta=eta,
        )
        for name, eta in (("ddpm", 0.0), ("ddim", 1.0))
    ]
    assert torch.allclose(made[0], made[1], atol=1e-5)


@pytest.mark.parametrize(("process", "name"), RUNS, ids=str)
def test_a_way_that_begins_part_way_keeps_more_the_shorter_it_is(
    process: Process, name: str
) -> None:
    clean = TWO_HILLS.draw(64, seed=3)
    away = []
    for strength in (0.05, 0.15, 1.0):
        begin = start(clean, noise(64, 2, 1, 1), process, strength=strength)
        made = sample(
            TWO_HILLS.denoiser(process),
            begin,
            process,
            steps=20,
            sampler=name,
            strength=strength,
            generators=drawing(name, 64),
        )
        away.append((made - clean).abs().mean().item())
    assert away[0] < 0.25
    assert all(shorter < longer for shorter, longer in pairwise(away))


def test_a_callback_may_replace_the_state() -> None:
    pinned = torch.full((2, 1, 1, 1), 0.25)
    made = sample(bent, torch.randn(2, 1, 1, 1), Process(), steps=3, callback=lambda _: pinned)
    assert torch.equal(made, pinned)


def test_half_precision_outputs_leave_the_state_as_it_is() -> None:
    made = sample(lambda state, time_B: bent(state, time_B).half(), noise(2), Process(), steps=3)
    assert made.dtype == torch.float64


@pytest.mark.parametrize(
    ("process", "name", "words"),
    [
        (FLOWS[0], "ddim", r"'ddim' does not run along a flow.*flow, heun, dpm\+\+, unipc"),
        (PROCESSES[2], "heun", "'heun' does not run along the schedule linear.*ddpm, ddim"),
        (FLOWS[0], "euler", "'euler' is not known; for a flow take one of flow, heun"),
    ],
)
def test_a_sampler_that_does_not_fit_is_refused(process: Process, name: str, words: str) -> None:
    with pytest.raises(SettingRefused, match=words):
        sample(bent, noise(1), process, sampler=name)


def test_noise_on_the_way_needs_a_generator_for_each_image() -> None:
    with pytest.raises(ValueError, match="each of the 3 images, got none"):
        sample(bent, noise(3), PROCESSES[2], sampler="ddpm")
    with pytest.raises(ValueError, match="each of the 3 images, got 1"):
        sample(bent, noise(3), PROCESSES[2], sampler="ddim", eta=0.5, generators=generators(1))


@pytest.mark.parametrize(("name", "eta"), [("flow", 0.5), ("flow", -1.0), ("flow", math.nan)])
def test_an_eta_that_means_nothing_is_refused(name: str, eta: float) -> None:
    with pytest.raises(SettingRefused, match=r"eta"):
        sample(bent, noise(1), Process(), sampler=name, eta=eta)
