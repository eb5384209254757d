"""The training loop: several learners on the same batches, resumable to the step.

Learners that are to be compared see the same pairs in the same order, and the pairs, which cost as
much as a network's step, are made once. Several processes share each batch. A learner may play
against an adversary, which has a loss and an optimizer of its own.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from isocenter.core.checks import check_least, check_positive
from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.core.progress import Say, say_nothing
from isocenter.training.averaging import moving_average
from isocenter.training.checkpoint import CHECKPOINT, load_state, save_state
from isocenter.training.freezing import RateGroup, frozen_parts, held, optimized_groups
from isocenter.training.learner import Adversary, Batch, Learner, LossOf
from isocenter.training.live_view import view_of_terminal
from isocenter.training.logbook import Logbook
from isocenter.training.processes import (
    is_main_process,
    mean_over_processes,
    num_processes,
    process_number,
    wait_for_all,
)

logger = logging.getLogger(__name__)

SCHEDULES = ("cosine", "linear", "constant", "inverse_sqrt")
AVERAGES = ("exponential", "power")
# A power average with a weight of t^0 is the plain mean of the run: its width is 1 / sqrt(12).
LARGEST_RELATIVE_STD = 12**-0.5


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """How to fit.

    Attributes:
        steps, batch_size, learning_rate, weight_decay: of AdamW, with a cosine decay to zero. A
            batch is shared by all processes.
        warm_up_steps: linear rise of the learning rate.
        gradient_clip: largest norm of a learner's gradient.
        average_decay: of the exponential moving average of the weights, which is what is kept.
        log_every, validate_every, checkpoint_every: in steps.
        patience: validations without a better result of any learner before stopping early.
        workers: processes that make pairs.
        mixed_precision: "auto" takes bfloat16 where the device computes in it; or "no", "bf16".
    """

    steps: int
    batch_size: int = 8
    learning_rate: float = 5e-4
    weight_decay: float = 1e-4
    warm_up_steps: int = 300
    gradient_clip: float = 1.0
    average_decay: float = 0.999
    log_every: int = 50
    validate_every: int = 500
    checkpoint_every: int = 250
    patience: int = 12
    workers: int = 2
    mixed_precision: str = "auto"

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "learning_rate", "gradient_clip", "patience"):
            check_positive(name, getattr(self, name))
        for name in ("log_every", "validate_every", "checkpoint_every"):
            check_positive(name, getattr(self, name))
        for name in ("workers", "warm_up_steps", "weight_decay"):
            check_least(name, getattr(self, name), 0)
        if not 0 <= self.average_decay < 1:
            raise ValueError(f"average_decay is from 0 to below 1, got {self.average_decay:g}")
        if self.mixed_precision not in ("auto", "no", "bf16"):
            raise ValueError(f"mixed_precision is auto, no or bf16, got {self.mixed_precision!r}")


@dataclass(frozen=True, kw_only=True)
class LongLoopSettings(LoopSettings):
    """How to fit for hours; what is not set is as in :class:`LoopSettings`.

    Attributes:
        schedule: of the learning rate after the warm-up: "cosine" or "linear", both down to zero at
            the last step, "constant", or "inverse_sqrt".
        decay_after_steps: the rate stays whole up to this step, and falls from there.
        average: of the weights: "exponential" with ``average_decay``, or "power", which reaches
            over a share of the whole run so far.
        average_relative_std: width of the power average, as a share of the run.
        stop_after_minutes: save and stop after this time, to go on later; None for no limit.
        most_broken_steps: so many gradients in a row that are not finite end the run.
        unused_weights: a batch may leave weights without gradient, as those of a condition that no
            image of it has; several processes must be told.
    """

    schedule: str = "cosine"
    decay_after_steps: int = 0
    average: str = "exponential"
    average_relative_std: float = 0.05
    stop_after_minutes: float | None = None
    most_broken_steps: int = 50
    unused_weights: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_choice("schedule", self.schedule, SCHEDULES)
        _check_choice("average", self.average, AVERAGES)
        check_least("decay_after_steps", self.decay_after_steps, 0)
        check_least("most_broken_steps", self.most_broken_steps, 1)
        if not 0 < self.average_relative_std < LARGEST_RELATIVE_STD:
            raise ValueError(
                f"average_relative_std is above 0 and below {LARGEST_RELATIVE_STD:g}, got "
                f"{self.average_relative_std:g}"
            )
        if self.stop_after_minutes is not None:
            check_positive("stop_after_minutes", self.stop_after_minutes)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is one of {', '.join(choices)}, got {value!r}")


def completed(settings: LoopSettings) -> LongLoopSettings:
    """The same settings with all that a long run has besides."""
    if isinstance(settings, LongLoopSettings):
        return settings
    return LongLoopSettings(**{one.name: getattr(settings, one.name) for one in fields(settings)})


def computes_in_bfloat16(device: str) -> bool:
    """Whether a device of this machine multiplies bfloat16 at full speed."""
    if device != "cpu":
        return torch.cuda.is_bf16_supported()
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe and probe())


def learning_rate_factor(step: int, settings: LoopSettings) -> float:
    """The learning rate after so many steps over the highest: a linear warm-up, then a schedule.

    It follows from the number of the step alone, so that a run that was stopped goes on exactly.
    """
    if step < settings.warm_up_steps:
        return (step + 1) / settings.warm_up_steps
    run = completed(settings)
    falls_from = max(run.warm_up_steps, run.decay_after_steps)
    if run.schedule == "constant":
        return 1.0
    if run.schedule == "inverse_sqrt":
        return math.sqrt(max(1, falls_from) / max(1, falls_from, step))
    done = min(max(0, step - falls_from) / max(1, run.steps - falls_from), 1.0)
    if run.schedule == "linear":
        return 1 - done
    return 0.5 * (1 + float(torch.cos(torch.tensor(done * torch.pi))))


def averaged(network: nn.Module, settings: LongLoopSettings) -> nn.Module:
    """The average of a network's weights over the steps of a run, as the settings have it."""
    if settings.average == "exponential":
        return moving_average(network, decay=settings.average_decay)
    averaging = import_module("isocenter.training.averaging")
    average: nn.Module = averaging.power_moving_average(
        network, relative_std=settings.average_relative_std
    )
    return average


@dataclass(kw_only=True)
class _Player:
    """A network that is fitted by one loss and one optimizer."""

    name: str
    network: nn.Module
    loss: nn.Module
    optimizer: torch.optim.Optimizer
    num_broken: int = 0  # steps in a row without a gradient that is finite
    frozen: list[nn.Module] = field(default_factory=list)


def _adversary_of(learner: Learner) -> str:
    return f"{learner.name} adversary"


def _against(
    network: nn.Module, adversary: Adversary
) -> Callable[[nn.Module, Batch], tuple[Tensor, dict[str, float]]]:
    """The loss of an adversary of a network, of itself and a batch."""
    return lambda own, batch: adversary.loss(own, network, batch)


def _kept(learner: Learner) -> dict[str, Any]:
    """What a checkpoint holds of a learner."""
    kept = {
        "network": learner.network.state_dict(),
        "average": learner.average.state_dict(),
        "optimizer": learner.optimizer.state_dict(),
        "best_merit": learner.best_merit,
    }
    if learner.adversary is not None:
        kept["adversary"] = {
            "network": learner.adversary.network.state_dict(),
            "optimizer": learner.adversary.optimizer.state_dict(),
        }
    return kept


class Trainer:
    """Fits learners and keeps what is needed to go on after a stop at any moment."""

    def __init__(
        self,
        learners: Sequence[Learner],
        *,
        settings: LoopSettings,
        folder: Path,
        device: str = "cpu",
        say: Say = say_nothing,
    ) -> None:
        self.settings = completed(settings)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        precision = settings.mixed_precision
        if precision == "auto":
            precision = "bf16" if computes_in_bfloat16(device) else "no"
        self._computes_in_bfloat16 = precision == "bf16"
        # Its own precision holds for the life of the process, and runs may differ in theirs.
        self.accelerator = Accelerator(
            mixed_precision="no",
            cpu=device == "cpu",
            dataloader_config=DataLoaderConfiguration(split_batches=True),
            kwargs_handlers=[
                DistributedDataParallelKwargs(find_unused_parameters=self.settings.unused_weights)
            ],
        )
        if settings.batch_size % num_processes():
            raise InputRefused(
                f"{num_processes()} processes cannot share a batch of {settings.batch_size}; start "
                "as many as divide it, or set another batch_size"
            )
        self.learners = list(learners)
        self.step = 0
        self._stale = 0
        self._logbook: Logbook | None = None
        if is_main_process():
            view = None if say is say_nothing else view_of_terminal()
            self._logbook = Logbook(folder, say=say, view=view)
        self._players: dict[str, _Player] = {}
        for learner in self.learners:
            self._prepare(learner)

    def _prepare(self, learner: Learner) -> None:
        network = self._moved(learner.network)
        learner.average = averaged(network, self.settings)
        learner.optimizer = self._add_player(
            learner.name, LossOf(network, learner.loss), learner.groups, betas=(0.9, 0.99)
        )
        adversary = learner.adversary
        if adversary is not None:
            self._moved(adversary.network)
            whole = RateGroup(
                patterns=("*",),
                rate_factor=adversary.rate_factor,
                weight_decay=adversary.weight_decay,
            )
            adversary.optimizer = self._add_player(
                _adversary_of(learner),
                LossOf(adversary.network, _against(learner.network, adversary)),
                [whole],
                betas=adversary.betas,
            )

    def _moved(self, network: nn.Module) -> nn.Module:
        """To the device; with channels last, which a network of volumes does not take."""
        network.to(self.accelerator.device)
        if all(one.dim() < 5 for one in network.parameters()):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network

    def _add_player(
        self,
        name: str,
        loss: LossOf,
        groups: Sequence[RateGroup],
        *,
        betas: tuple[float, float],
    ) -> torch.optim.Optimizer:
        optimizer = torch.optim.AdamW(
            optimized_groups(loss.network, groups, weight_decay=self.settings.weight_decay),
            lr=self.settings.learning_rate,
            betas=betas,
        )
        frozen = frozen_parts(loss.network)
        prepared, optimizer = self.accelerator.prepare(loss, optimizer)
        self._players[name] = _Player(
            name=name, network=loss.network, loss=prepared, optimizer=optimizer, frozen=frozen
        )
        return optimizer

    @property
    def is_finished(self) -> bool:
        """Whether the steps are done or nothing has become better for long.

        A run that stopped for the time it may take is not.
        """
        return self.step >= self.settings.steps or self._stale >= self.settings.patience

    def resume(self) -> None:
        """Go on from the last checkpoint of the folder, if it holds one."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return
        state = load_state(path)
        self._check_learners(state["learners"])
        self.step = state["step"]
        self._stale = state["stale"]
        torch.set_rng_state(state["rng"])
        if self.accelerator.device.type == "cuda" and "cuda_rng" in state:
            torch.cuda.set_rng_state(state["cuda_rng"], self.accelerator.device)
        for learner in self.learners:
            kept = state["learners"][learner.name]
            learner.network.load_state_dict(kept["network"])
            learner.average.load_state_dict(kept["average"])
            learner.optimizer.load_state_dict(kept["optimizer"])
            learner.best_merit = kept["best_merit"]
            if learner.adversary is not None:
                learner.adversary.network.load_state_dict(kept["adversary"]["network"])
                learner.adversary.optimizer.load_state_dict(kept["adversary"]["optimizer"])
        for name, player in self._players.items():
            player.num_broken = state.get("broken", {}).get(name, 0)

    def _check_learners(self, kept: Mapping[str, Any]) -> None:
        there = sorted(kept) + sorted(
            f"{name} adversary" for name in kept if "adversary" in kept[name]
        )
        here = sorted(self._players)
        if sorted(there) != here:
            raise ModelRefused(
                f"the checkpoint holds {', '.join(there)}, and this run fits {', '.join(here)}; go "
                "on with the run that it is of, or begin anew in another folder"
            )

    def save(self) -> None:
        """Write a checkpoint; the main process does, and no other goes on before."""
        if is_main_process():
            state: dict[str, Any] = {
                "step": self.step,
                "stale": self._stale,
                "rng": torch.get_rng_state(),
                "broken": {name: player.num_broken for name, player in self._players.items()},
                "learners": {learner.name: _kept(learner) for learner in self.learners},
            }
            if self.accelerator.device.type == "cuda":
                state["cuda_rng"] = torch.cuda.get_rng_state(self.accelerator.device)
            save_state(self.folder / CHECKPOINT, state)
        wait_for_all()

    def fit(
        self,
        make_pairs: Callable[[int], Dataset],
        validation: Sequence[Batch],
        *,
        judge_first: bool = False,
    ) -> None:
        """Train until the steps are done or nothing has become better for long.

        Or until the time is over, where the settings have a limit: then a checkpoint is written,
        nothing is judged, and a later call goes on as if there had been no stop.

        Args:
            make_pairs: from the number of the first pair to the data set that begins there.
            validation: batches of patients that are not trained on.
            judge_first: judge what the learners come with, so that only better weights replace it.

        Raises:
            InputRefused: a learner's gradients were not finite for too many steps in a row.
        """
        if self._logbook is not None:
            self._logbook.begin(self.step, self.settings.steps)
        try:
            self._fit(make_pairs, validation, judge_first=judge_first)
        finally:
            if self._logbook is not None:
                self._logbook.close()

    def _fit(
        self,
        make_pairs: Callable[[int], Dataset],
        validation: Sequence[Batch],
        *,
        judge_first: bool,
    ) -> None:
        started = time.monotonic()
        if judge_first and self.step == 0:
            self.validate(validation)
        first = self.step + 1
        for batch in self._batches(make_pairs):
            if self.is_finished:
                break
            logs: dict[str, float] = {}
            for learner in self.learners:
                logs |= self._learn(learner, batch)
            self.step += 1
            if self.step == first or self.step % self.settings.log_every == 0:
                self._log(logs)
            elif self._logbook is not None:
                self._logbook.beat(self.step)
            if self.step % self.settings.validate_every == 0:
                self.validate(validation)
            if self.step % self.settings.checkpoint_every == 0:
                self.save()
            if self._is_late(started) and not self.is_finished:
                self._stop()
                return
        if self.step % self.settings.validate_every:
            self.validate(validation)
        self.save()

    def _is_late(self, started: float) -> bool:
        """Whether the time of any process is over, so that all stop at one step."""
        if self.settings.stop_after_minutes is None:
            return False
        late = time.monotonic() - started >= 60 * self.settings.stop_after_minutes
        return mean_over_processes(torch.tensor(float(late)).to(self.accelerator.device)).item() > 0

    def _stop(self) -> None:
        if self.step % self.settings.checkpoint_every:
            self.save()
        if self._logbook is not None:
            self._logbook.stopped(self.step)

    def _batches(self, make_pairs: Callable[[int], Dataset]) -> DataLoader:
        loader: DataLoader = self.accelerator.prepare(
            DataLoader(
                make_pairs(self.step * self.settings.batch_size),
                batch_size=self.settings.batch_size,
                num_workers=self.settings.workers,
                drop_last=True,
                persistent_workers=False,
                generator=torch.Generator(),  # leaves the losses' random numbers alone
            )
        )
        return loader

    def _learn(self, learner: Learner, batch: Batch) -> dict[str, float]:
        """One step of a learner, and then one of its adversary; numbers to log."""
        learner.step = self.step
        adversary = learner.adversary
        with nullcontext() if adversary is None else held(adversary.network):
            logs = self._update(self._players[learner.name], batch)
        if logs is None:
            return {}
        learner.average.update_parameters(learner.network)  # type: ignore[operator]
        if adversary is not None and self.step >= adversary.first_step:
            with held(learner.network):
                logs |= self._update(self._players[_adversary_of(learner)], batch) or {}
        return logs

    def _update(self, player: _Player, batch: Batch) -> dict[str, float] | None:
        """Change a network by its loss; None where the gradient allows no change."""
        rate = self.settings.learning_rate * learning_rate_factor(self.step, self.settings)
        for group in player.optimizer.param_groups:
            group["lr"] = rate * group.get("rate_factor", 1.0)
        player.network.train()
        for part in player.frozen:
            part.eval()
        with self._autocast():
            loss, logs = player.loss(batch)
        player.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(
            player.network.parameters(), self.settings.gradient_clip
        )
        if not torch.isfinite(norm):
            self._leave_out(player, float(loss.detach()))
            return None
        player.num_broken = 0
        player.optimizer.step()
        return {f"{player.name} {name}": value for name, value in logs.items()}

    def _leave_out(self, player: _Player, loss: float) -> None:
        player.num_broken += 1
        logger.warning(
            "step %d: %s has a gradient that is not finite, of a loss of %g; the step is left out",
            self.step,
            player.name,
            loss,
        )
        if player.num_broken >= self.settings.most_broken_steps:
            raise InputRefused(
                f"the gradients of {player.name} were not finite in {player.num_broken} steps in a "
                f"row, up to step {self.step}, so it learns nothing; lower learning_rate, or look "
                "for values in the batches that are not finite",
                reason="values",
            )

    @torch.no_grad()
    def validate(self, validation: Sequence[Batch]) -> dict[str, float]:
        """Judge the averaged weights; keep those of each learner's best result."""
        merits: dict[str, float] = {}
        better = False
        for learner in self.learners:
            average = learner.average.module
            assert isinstance(average, nn.Module)
            average.eval()
            merits[learner.name] = self._merit(learner, average, validation)
            if merits[learner.name] > learner.best_merit:
                learner.best_merit = merits[learner.name]
                better = True
                if is_main_process():
                    save_state(self.folder / f"{learner.name}.pt", average.state_dict())
        self._stale = 0 if better else self._stale + 1
        if self._logbook is not None:
            self._logbook.merits(self.step, merits)
            self._draw(self._logbook, validation)
        return merits

    def _merit(self, learner: Learner, average: nn.Module, validation: Sequence[Batch]) -> float:
        """Mean over all images; each process judges every so many batches."""
        own = validation[process_number() :: num_processes()]
        with self._autocast():
            values = [learner.merit(average, self._placed(batch)) for batch in own]
        if num_processes() == 1:
            return float(torch.cat(values).mean())
        found = torch.cat([part.double().cpu().flatten() for part in values] or [torch.empty(0)])
        sums = torch.tensor([float(found.sum()), float(len(found))], dtype=torch.float64)
        total, count = mean_over_processes(sums.to(self.accelerator.device)).tolist()
        return total / count

    def _draw(self, logbook: Logbook, validation: Sequence[Batch]) -> None:
        for learner in self.learners:
            average = learner.average.module
            assert isinstance(average, nn.Module)
            if learner.picture is not None:
                with self._autocast():
                    image = learner.picture(average, self._placed(validation[0]))
                logbook.picture(self.step, learner.name, image)

    def _autocast(self) -> torch.autocast:
        kind = self.accelerator.device.type
        return torch.autocast(kind, torch.bfloat16, enabled=self._computes_in_bfloat16)

    def _placed(self, batch: Batch) -> Batch:
        return {name: tensor.to(self.accelerator.device) for name, tensor in batch.items()}

    def _log(self, logs: Mapping[str, float]) -> None:
        names = list(logs)
        values = torch.tensor([logs[name] for name in names], dtype=torch.float64)
        means: Tensor = mean_over_processes(values.to(self.accelerator.device))
        if self._logbook is not None:
            self._logbook.losses(self.step, dict(zip(names, means.tolist(), strict=True)))
