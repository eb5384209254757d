"""From noise to images along a process, with the update rules of diffusers.

The process decides the times, evenly spaced with the last step ending at the image; diffusers'
schedulers only make the steps. Left to themselves they would begin a flow at 0.999 instead of 1,
truncate its times to whole thousandths, shift them twice, and, where the number of steps does not
divide T, step DDIM to another noise level than the one that the next step expects. So each gets the
noise levels of these very times.

All draws come from one generator per image: an image is the same in any batch.

Sources: DDPM: Ho et al., NeurIPS 2020. DDIM: Song et al., ICLR 2021. DPM-Solver++: Lu et al.,
arXiv 2211.01095. UniPC: Zhao et al., NeurIPS 2023. Euler and Heun for flows: Lipman et al.,
ICLR 2023; Karras et al., NeurIPS 2022, algorithm 1. Even steps that begin at time 1: Lin et al.,
WACV 2024, section 3.3. A way that begins part-way: Meng et al., ICLR 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from isocenter.core.errors import SettingRefused
from isocenter.diffusion.process import SAMPLE, VELOCITY, Denoiser, Process

# What the solvers that take logarithms of the signal get for a signal of zero; as in diffusers.
LEAST_SIGNAL = {False: 2.0**-12, True: 1e-6}


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a callback sees after each step.

    Attributes:
        step, steps: number of the step, from 1, and of all.
        time: reached by it; 0 after the last.
        state: (batch, ...) at this time.
        estimate: of the images, from the last prediction.
    """

    step: int
    steps: int
    time: float
    state: Tensor
    estimate: Tensor


Callback = Callable[[Progress], Tensor | None]
"""Called after each step; a tensor that it returns takes the place of the state."""


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """A rule of steps.

    Attributes:
        build: the scheduler of diffusers for a process and its falling times.
        variance_preserving, flow: the processes that it runs along.
        takes: the prediction that the scheduler is given.
        calls_per_step: of the denoiser; the last step always needs one.
    """

    build: Callable[[Process, Tensor], Any]
    variance_preserving: bool = False
    flow: bool = False
    takes: str = SAMPLE
    calls_per_step: int = 1

    def fits(self, process: Process) -> bool:
        """Whether it runs along this process."""
        return self.flow if process.is_flow else self.variance_preserving


def samplers_for(process: Process) -> tuple[str, ...]:
    """Names of the samplers that run along a process."""
    return tuple(name for name, sampler in SAMPLERS.items() if sampler.fits(process))


def draw_noise(
    shape: Sequence[int],
    generators: Sequence[torch.Generator],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Noise of deviation one, (len(generators), *shape), each image from its own generator."""
    drawn = [torch.randn(*shape, generator=g, device=g.device, dtype=dtype) for g in generators]
    return torch.stack(drawn).to(device)


def start(clean: Tensor, noise: Tensor, process: Process, *, strength: float) -> Tensor:
    """Where a trajectory begins that keeps something of images.

    Args:
        clean, noise: (batch, ...).
        strength: share of the way that is gone, from above 0 to 1; :func:`sample` takes the same.

    Raises:
        SettingRefused: the strength is outside its limits.
    """
    return process.add_noise(clean, noise, process.start_time(strength).to(noise))


@torch.no_grad()
def sample(
    denoise: Denoiser,
    noise: Tensor,
    process: Process,
    *,
    steps: int = 20,
    sampler: str = "flow",
    strength: float = 1.0,
    eta: float = 0.0,
    generators: Sequence[torch.Generator] | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """Run a process backwards.

    Args:
        denoise: gives the process's prediction for states (batch, ...) and times (batch,), which
            fall from 1 to above 0 and are float32, or float64 where the noise is.
        noise: of deviation one, (batch, channel, ...), or what :func:`start` gives; the result has
            its type.
        steps: of the whole way.
        sampler: one of :func:`samplers_for`.
        strength: share of the way that is gone, as given to :func:`start`.
        eta: noise that "ddim" adds, from 0, none, to 1, as much as "ddpm".
        generators: one per image, where noise is added on the way.
        callback: sees each step, and may replace the state.

    Raises:
        SettingRefused: the sampler does not run along this process, or a setting is outside its
            limits.
        ValueError: noise is added on the way and there is not one generator for each image.
    """
    kind = _fitting(sampler, process)
    draws = _draws(sampler, eta, generators, len(noise))
    times = process.times(steps, strength=strength)
    scheduler = kind.build(process, times)
    exact = torch.promote_types(noise.dtype, torch.float32)
    state, done = noise, 0
    last_call = len(scheduler.timesteps) - 1
    for call, timestep in enumerate(scheduler.timesteps):
        time = times[(call + kind.calls_per_step - 1) // kind.calls_per_step]
        time_B = time.to(noise.device, exact).expand(len(noise))
        output = denoise(state, time_B).to(state.dtype)
        taken = process.convert(output, state, time_B, to=kind.takes).to(state.dtype)
        called_at, state = state, scheduler.step(taken, timestep, state, **draws).prev_sample
        if call < last_call and (call + 1) % kind.calls_per_step:
            continue
        done += 1
        if callback is not None:
            estimate = process.convert(output, called_at, time_B, to=SAMPLE)
            state = _seen(callback, done, times, state, estimate)
    return state


def _seen(callback: Callback, done: int, times: Tensor, state: Tensor, estimate: Tensor) -> Tensor:
    """The state after a callback has seen it."""
    progress = Progress(
        step=done, steps=len(times) - 1, time=float(times[done]), state=state, estimate=estimate
    )
    replaced = callback(progress)
    return state if replaced is None else replaced


def _fitting(name: str, process: Process) -> Sampler:
    sampler = SAMPLERS.get(name)
    if sampler is not None and sampler.fits(process):
        return sampler
    path = "a flow" if process.is_flow else f"the schedule {process.schedule}"
    what = "is not known" if sampler is None else f"does not run along {path}"
    raise SettingRefused(
        f"the sampler {name!r} {what}; for {path} take one of {', '.join(samplers_for(process))}"
    )


def _draws(
    sampler: str, eta: float, generators: Sequence[torch.Generator] | None, images: int
) -> dict[str, Any]:
    """Further arguments of a scheduler's step."""
    if not 0 <= eta <= 1:
        raise SettingRefused(f"eta is from 0 to 1, got {eta!r}")
    if eta and sampler != "ddim":
        raise SettingRefused(f"eta belongs to the sampler ddim, not to {sampler}; leave it out")
    if sampler != "ddpm" and not eta:
        return {}
    if generators is None or len(generators) != images:
        got = "none" if generators is None else str(len(generators))
        raise ValueError(
            f"{sampler} adds noise on the way, so it takes one generator for each of the {images} "
            f"images, got {got}"
        )
    return {"generator": list(generators)} | ({"eta": eta} if eta else {})


def _ddpm(process: Process, times: Tensor) -> Any:
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    return _respaced(DDPMScheduler, process, times)


def _ddim(process: Process, times: Tensor) -> Any:
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    return _respaced(DDIMScheduler, process, times)


def _respaced(scheduler_class: Any, process: Process, times: Tensor) -> Any:
    """A process of as many steps as are taken, whose step k ends where step k + 1 began."""
    taken = len(times) - 1
    scheduler = scheduler_class(
        num_train_timesteps=taken, prediction_type=SAMPLE, clip_sample=False
    )
    scheduler.set_timesteps(taken)
    scheduler.alphas_cumprod = process.scales(times[:-1])[0].square().flip(0)
    return scheduler


def _dpm_solver(process: Process, times: Tensor) -> Any:
    from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

    return _multistep(DPMSolverMultistepScheduler, process, times)


def _unipc(process: Process, times: Tensor) -> Any:
    from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

    return _multistep(UniPCMultistepScheduler, process, times)


def _multistep(scheduler_class: Any, process: Process, times: Tensor) -> Any:
    """A solver in the logarithm of the signal-to-noise ratio, at these times."""
    scheduler = scheduler_class(
        prediction_type=SAMPLE, use_flow_sigmas=process.is_flow, solver_order=2
    )
    scheduler.num_inference_steps = len(times) - 1
    scheduler.timesteps = torch.arange(len(times) - 1).flip(0)
    signal, noise = process.scales(times)
    signal = signal.clamp(min=LEAST_SIGNAL[process.is_flow])
    scheduler.sigmas = (1 - signal if process.is_flow else noise / signal).float()
    scheduler.set_begin_index(0)
    return scheduler


def _euler(process: Process, times: Tensor) -> Any:
    from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
        FlowMatchEulerDiscreteScheduler,
    )

    scheduler = FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(sigmas=times[:-1].tolist())
    scheduler.set_begin_index(0)
    return scheduler


def _heun(process: Process, times: Tensor) -> Any:
    """Each time but the first is called at twice: at the end of a step and to begin the next."""
    from diffusers.schedulers.scheduling_flow_match_heun_discrete import (
        FlowMatchHeunDiscreteScheduler,
    )

    scheduler = FlowMatchHeunDiscreteScheduler()
    scheduler.set_timesteps(len(times) - 1)
    twice = times[1:-1].repeat_interleave(2)
    scheduler.sigmas = torch.cat([times[:1], twice, times[-1:]]).float()
    scheduler.timesteps = scheduler.sigmas[:-1] * scheduler.config.num_train_timesteps
    scheduler.set_begin_index(0)
    return scheduler


SAMPLERS: dict[str, Sampler] = {
    "flow": Sampler(build=_euler, flow=True, takes=VELOCITY),
    "heun": Sampler(build=_heun, flow=True, takes=VELOCITY, calls_per_step=2),
    "ddpm": Sampler(build=_ddpm, variance_preserving=True),
    "ddim": Sampler(build=_ddim, variance_preserving=True),
    "dpm++": Sampler(build=_dpm_solver, variance_preserving=True, flow=True),
    "unipc": Sampler(build=_unipc, variance_preserving=True, flow=True),
}
