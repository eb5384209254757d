"""Images of which a part is known: the rest is made to fit.

At each time the known part is put into the state with as much noise as belongs there, so the
denoiser makes the rest in its presence. A step sees the known part only as noisy as it is then, so
the rest fits less well than it should. Going back to the earlier time with fresh noise and taking
the step again, several times, draws the two together.

The network need not know of it. All is in the space of the states, pixels or latents; the caller
brings the mask there.

Source: Lugmayr et al., CVPR 2022, algorithm 1, here with deterministic steps between the draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from isocenter.core.checks import check_least
from isocenter.diffusion.process import EPSILON, SAMPLE, Denoiser, Process
from isocenter.diffusion.samplers import Callback, Progress, draw_noise


def keeping_known(known: Tensor, made: Tensor, *, noise: Tensor, process: Process) -> Callback:
    """A callback for any sampler that puts the known part back after each step.

    Args:
        known: images (batch, ...).
        made: bool, broadcast against them: what is to be made; the rest ends up as in ``known``.
        noise: that the trajectory began with; the known part keeps it.
    """

    def put_back(progress: Progress) -> Tensor:
        time_B = torch.full((len(known),), progress.time, device=known.device)
        at_time = process.add_noise(known, noise, time_B) if progress.time else known
        return torch.where(made, progress.state, at_time.to(progress.state.dtype))

    return put_back


@torch.no_grad()
def inpaint(
    denoise: Denoiser,
    noise: Tensor,
    process: Process,
    *,
    known: Tensor,
    made: Tensor,
    generators: Sequence[torch.Generator],
    steps: int = 20,
    rounds: int = 1,
    strength: float = 1.0,
) -> Tensor:
    """Make a part of images, by first-order steps that may be taken several times each.

    Args:
        denoise, noise, process, steps, strength: as for
            :func:`isocenter.diffusion.samplers.sample`.
        known: images (batch, ...).
        made: bool, broadcast against them: what is to be made. The rest is returned as it is.
        generators: one per image, for the noise of the known part and of the way back.
        rounds: times that each step but the last is taken.

    Raises:
        SettingRefused: the steps or the strength are outside their limits.
        ValueError: there is not one generator for each image, or no round.
    """
    check_least("rounds", rounds, 1)
    if len(generators) != len(known):
        raise ValueError(
            f"inpainting takes one generator for each of the {len(known)} images, got "
            f"{len(generators)}"
        )

    def fresh() -> Tensor:
        return draw_noise(known.shape[1:], generators, device=known.device, dtype=known.dtype)

    state = noise
    for time, later in pairwise(process.times(steps, strength=strength)):
        time_B, next_B = (t.to(known).expand(len(known)) for t in (time, later))
        for left in range(rounds - 1 if later else 0, -1, -1):
            state = torch.where(made, state, process.add_noise(known, fresh(), time_B))
            state = _first_order_step(denoise, state, process, time_B=time_B, next_B=next_B)
            if left:
                state = torch.where(made, state, process.add_noise(known, fresh(), next_B))
                state = process.add_more_noise(state, fresh(), time_B=next_B, later_B=time_B)
    return torch.where(made, state, known)


def _first_order_step(
    denoise: Denoiser, state: Tensor, process: Process, *, time_B: Tensor, next_B: Tensor
) -> Tensor:
    """DDIM's step, which along a flow is Euler's."""
    output = denoise(state, time_B).to(state.dtype)
    clean, noise = (process.convert(output, state, time_B, to=to) for to in (SAMPLE, EPSILON))
    return process.add_noise(clean, noise, next_B)
