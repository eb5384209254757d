"""The training loop: several learners on the same batches, resumable to the step.

Learners that are to be compared see the same pairs in the same order, and the pairs, which cost as
much as a network's step, are made once. Several processes share each batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from isocenter.core.checks import check_least, check_positive
from isocenter.core.errors import InputRefused
from isocenter.core.progress import Say, say_nothing
from isocenter.training.averaging import moving_average
from isocenter.training.checkpoint import CHECKPOINT, load_state, save_state
from isocenter.training.learner import Batch, Learner, LossOf
from isocenter.training.logbook import Logbook
from isocenter.training.processes import (
    is_main_process,
    mean_over_processes,
    num_processes,
    process_number,
    wait_for_all,
)

logger = logging.getLogger(__name__)


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


def computes_in_bfloat16(device: str) -> bool:
    """Whether a device of this machine multiplies bfloat16 at full speed."""
    if device != "cpu":
        return torch.cuda.is_bf16_supported()
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe and probe())


def learning_rate_factor(step: int, settings: LoopSettings) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    if step < settings.warm_up_steps:
        return (step + 1) / settings.warm_up_steps
    done = (step - settings.warm_up_steps) / max(1, settings.steps - settings.warm_up_steps)
    return 0.5 * (1 + float(torch.cos(torch.tensor(min(done, 1.0) * torch.pi))))


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
        self.settings = settings
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
        )
        if settings.batch_size % num_processes():
            raise InputRefused(
                f"{num_processes()} processes cannot share a batch of {settings.batch_size}; start "
                "as many as divide it, or set another batch_size"
            )
        self.learners = list(learners)
        self.step = 0
        self._stale = 0
        self._logbook = Logbook(folder, say=say) if is_main_process() else None
        self._losses: dict[str, nn.Module] = {}
        for learner in self.learners:
            self._prepare(learner)

    def _prepare(self, learner: Learner) -> None:
        network = learner.network.to(self.accelerator.device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        learner.average = moving_average(network, decay=self.settings.average_decay)
        optimizer = torch.optim.AdamW(
            network.parameters(),
            lr=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            betas=(0.9, 0.99),
        )
        self._losses[learner.name], learner.optimizer = self.accelerator.prepare(
            LossOf(learner), optimizer
        )

    def resume(self) -> None:
        """Go on from the last checkpoint of the folder, if it holds one."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return
        state = load_state(path)
        self.step = state["step"]
        self._stale = state["stale"]
        torch.set_rng_state(state["rng"])
        for learner in self.learners:
            kept = state["learners"][learner.name]
            learner.network.load_state_dict(kept["network"])
            learner.average.load_state_dict(kept["average"])
            learner.optimizer.load_state_dict(kept["optimizer"])
            learner.best_merit = kept["best_merit"]

    def save(self) -> None:
        """Write a checkpoint; the main process does, and no other goes on before."""
        if is_main_process():
            save_state(
                self.folder / CHECKPOINT,
                {
                    "step": self.step,
                    "stale": self._stale,
                    "rng": torch.get_rng_state(),
                    "learners": {
                        learner.name: {
                            "network": learner.network.state_dict(),
                            "average": learner.average.state_dict(),
                            "optimizer": learner.optimizer.state_dict(),
                            "best_merit": learner.best_merit,
                        }
                        for learner in self.learners
                    },
                },
            )
        wait_for_all()

    def fit(
        self,
        make_pairs: Callable[[int], Dataset],
        validation: Sequence[Batch],
        *,
        judge_first: bool = False,
    ) -> None:
        """Train until the steps are done or nothing has become better for long.

        Args:
            make_pairs: from the number of the first pair to the data set that begins there.
            validation: batches of patients that are not trained on.
            judge_first: judge what the learners come with, so that only better weights replace it.
        """
        if self._logbook is not None:
            self._logbook.begin(self.step, self.settings.steps)
        if judge_first and self.step == 0:
            self.validate(validation)
        first = self.step + 1
        for batch in self._batches(make_pairs):
            if self.step >= self.settings.steps or self._stale >= self.settings.patience:
                break
            logs: dict[str, float] = {}
            for learner in self.learners:
                logs |= self._learn(learner, batch)
            self.step += 1
            if self.step == first or self.step % self.settings.log_every == 0:
                self._log(logs)
            if self.step % self.settings.validate_every == 0:
                self.validate(validation)
            if self.step % self.settings.checkpoint_every == 0:
                self.save()
        if self.step % self.settings.validate_every:
            self.validate(validation)
        self.save()
        if self._logbook is not None:
            self._logbook.close()

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
        rate = self.settings.learning_rate * learning_rate_factor(self.step, self.settings)
        for group in learner.optimizer.param_groups:
            group["lr"] = rate
        learner.network.train()
        with self._autocast():
            loss, logs = self._losses[learner.name](batch)
        learner.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(
            learner.network.parameters(), self.settings.gradient_clip
        )
        if not torch.isfinite(norm):
            logger.warning("step %d: %s has a gradient that is not finite", self.step, learner.name)
            return {}
        learner.optimizer.step()
        learner.average.update_parameters(learner.network)  # type: ignore[operator]
        return {f"{learner.name} {name}": value for name, value in logs.items()}

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
