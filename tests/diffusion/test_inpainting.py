from __future__ import annotations

import pytest
import torch
from tests.diffusion.known_data import generators, noise
from torch import Tensor

from isocenter.core.errors import SettingRefused
from isocenter.diffusion.inpainting import inpaint, keeping_known
from isocenter.diffusion.process import SAMPLE, Denoiser, Process, V
from isocenter.diffusion.samplers import sample, samplers_for

CORRELATION = 0.8
COSINE = Process(schedule="cosine", prediction_type=V)
MADE = torch.tensor([False, True]).view(1, 2, 1, 1)


def correlated(process: Process) -> Denoiser:
    """A perfect network for two pixels, each with deviation one."""
    covariance = torch.tensor([[1.0, CORRELATION], [CORRELATION, 1.0]], dtype=torch.float64)

    def denoise(state: Tensor, time_B: Tensor) -> Tensor:
        signal, deviation = (scale[0] for scale in process.scales(time_B.double()))
        seen = signal.square() * covariance + deviation.square() * torch.eye(2)
        gain = signal * covariance @ torch.linalg.inv(seen)
        expected = torch.einsum("cd,bdij->bcij", gain, state)
        to = process.prediction_type
        return process.convert(expected, state, time_B, to=to, given=SAMPLE)

    return denoise


def inpainted(process: Process, *, rounds: int, count: int = 200) -> Tensor:
    return inpaint(
        correlated(process),
        noise(count, 2, 1, 1),
        process,
        known=torch.ones(count, 2, 1, 1).double(),
        made=MADE,
        generators=generators(count, seed=1),
        steps=12,
        rounds=rounds,
    )


@pytest.mark.parametrize("process", [Process(), COSINE], ids=str)
def test_rounds_draw_what_is_made_to_what_is_known(process: Process) -> None:
    """The pixel that is made has mean 0.8 where its neighbor is known to be one."""
    once, often = (inpainted(process, rounds=rounds)[:, 1] for rounds in (1, 10))
    assert 0.1 < once.mean() < 0.55
    assert often.mean().item() == pytest.approx(CORRELATION, abs=0.17)
    assert often.var().item() == pytest.approx(1 - CORRELATION**2, abs=0.12)


def test_what_is_known_stays_as_it_is_and_draws_follow_the_generators() -> None:
    first, again = (inpainted(Process(), rounds=2, count=6) for _ in range(2))
    assert (first[:, 0] == 1).all()
    assert torch.equal(first, again)
    fewer = inpainted(Process(), rounds=2, count=4)
    assert torch.allclose(fewer, first[:4], atol=1e-12)


@pytest.mark.parametrize("process", [Process(), COSINE], ids=str)
def test_any_sampler_can_keep_what_is_known(process: Process) -> None:
    known, pure = noise(3, 2, 4, 4, seed=3).float(), noise(3, 2, 4, 4).float()
    made = torch.zeros(3, 1, 4, 4, dtype=torch.bool)
    made[:, :, 1:3, 2:] = True
    keep = keeping_known(known, made, noise=pure, process=process)
    for name in samplers_for(process):
        result = sample(
            lambda state, time_B: 0.4 * state,
            pure,
            process,
            steps=5,
            sampler=name,
            generators=generators(3),
            callback=keep,
        )
        outside = ~made.expand_as(known)
        assert torch.equal(result[outside], known[outside])
        assert not torch.isclose(result, known)[~outside].any()


def test_the_known_part_has_the_noise_of_its_time() -> None:
    process, known, pure = Process(), noise(2, 1, 2, 2, seed=3), noise(2, 1, 2, 2)
    seen: list[Tensor] = []

    def denoise(state: Tensor, time_B: Tensor) -> Tensor:
        assert torch.allclose(state, process.add_noise(known, pure, time_B), atol=1e-6)
        seen.append(time_B)
        return 7 * state

    nothing = torch.zeros(1, 1, 1, 1, dtype=torch.bool)
    keep = keeping_known(known, nothing, noise=pure, process=process)
    assert torch.equal(sample(denoise, pure, process, steps=4, callback=keep), known)
    assert len(seen) == 4


def test_settings_that_cannot_be_meant_are_refused() -> None:
    known = noise(2, 2, 1, 1)
    task = {"known": known, "made": MADE, "generators": generators(2)}
    with pytest.raises(ValueError, match="rounds is at least 1"):
        inpaint(correlated(COSINE), known, COSINE, **task, rounds=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="each of the 2 images, got 1"):
        inpaint(correlated(COSINE), known, COSINE, **{**task, "generators": generators(1)})  # type: ignore[arg-type]
    with pytest.raises(SettingRefused, match="strength"):
        inpaint(correlated(COSINE), known, COSINE, **task, strength=0.0)  # type: ignore[arg-type]
