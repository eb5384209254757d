"""The training loop: several learners on the same batches, resumable to the step.

Learners that are to be compared see the same pairs in the same order, and the pairs, which cost as
much as a network's step, are made once.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

logger = logging.getLogger(__name__)

Batch = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """How to fit.

    Attributes:
        steps, batch_size, learning_rate, weight_decay: of AdamW, with a cosine decay to zero.
        warm_up_steps: linear rise of the learning rate.
        gradient_clip: largest norm of a learner's gradient.
        average_decay: of the exponential moving average of the weights, which is what is kept.
        validate_every, checkpoint_every: in steps.
        patience: validations without a better result of any learner before stopping early.
        workers: processes that make pairs.
        mixed_precision: "auto" takes bfloat16 where the device computes in it.
    """

    steps: int
    batch_size: int = 8
    learning_rate: float = 5e-4
    weight_decay: float = 1e-4
    warm_up_steps: int = 300
    gradient_clip: float = 1.0
    average_decay: float = 0.999
    validate_every: int = 500
    checkpoint_every: int = 250
    patience: int = 12
    workers: int = 2
    mixed_precision: str = "auto"


@dataclass(kw_only=True)
class Learner:
    """A network with its loss and its figure of merit.

    Attributes:
        name: also the name of its weights file.
        network: what is fitted.
        loss: from the network and a batch to a scalar and numbers to log.
        merit: from the averaged network and a batch to one number an image; higher is better.
    """

    name: str
    network: nn.Module
    loss: Callable[[nn.Module, Batch], tuple[Tensor, dict[str, float]]]
    merit: Callable[[nn.Module, Batch], Tensor]
    average: nn.Module = field(init=False)
    optimizer: torch.optim.Optimizer = field(init=False)
    best_merit: float = field(default=float("-inf"), init=False)


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
    ) -> None:
        self.settings = settings
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        precision = settings.mixed_precision
        if precision == "auto":
            precision = "bf16" if computes_in_bfloat16(device) else "no"
        self.accelerator = Accelerator(mixed_precision=precision, cpu=device == "cpu")
        self.learners = list(learners)
        self.step = 0
        self._stale = 0
        for learner in self.learners:
            learner.network.to(self.accelerator.device)
            learner.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            learner.average = torch.optim.swa_utils.AveragedModel(
                learner.network,
                multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.average_decay),
            )
            learner.optimizer = torch.optim.AdamW(
                learner.network.parameters(),
                lr=settings.learning_rate,
                weight_decay=settings.weight_decay,
                betas=(0.9, 0.99),
            )

    def resume(self) -> None:
        """Go on from the last checkpoint of the folder, if it holds one."""
        path = self.folder / "last.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location="cpu", weights_only=True)
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
        """Write a checkpoint under a temporary name, then rename it."""
        state = {
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
        }
        save_state(self.folder / "last.pt", state)

    def fit(self, make_pairs: Callable[[int], Dataset], validation: Sequence[Batch]) -> None:
        """Train until the steps are done or nothing has become better for long.

        Args:
            make_pairs: from the number of the first pair to the data set that begins there.
            validation: batches of patients that are not trained on.
        """
        loader = DataLoader(
            make_pairs(self.step * self.settings.batch_size),
            batch_size=self.settings.batch_size,
            num_workers=self.settings.workers,
            drop_last=True,
            persistent_workers=False,
            generator=torch.Generator(),  # leaves the losses' random numbers alone
        )
        started = time.monotonic()
        logs: dict[str, float] = {}
        for batch in loader:
            if self.step >= self.settings.steps or self._stale >= self.settings.patience:
                break
            for learner in self.learners:
                logs |= self._learn(learner, self._placed(batch))
            self.step += 1
            if self.step % 50 == 0:
                self._log({"step": self.step, "s": time.monotonic() - started, **logs})
            if self.step % self.settings.validate_every == 0:
                self.validate(validation)
            if self.step % self.settings.checkpoint_every == 0:
                self.save()
        if self.step % self.settings.validate_every:
            self.validate(validation)
        self.save()

    def _learn(self, learner: Learner, batch: Batch) -> dict[str, float]:
        rate = self.settings.learning_rate * learning_rate_factor(self.step, self.settings)
        for group in learner.optimizer.param_groups:
            group["lr"] = rate
        learner.network.train()
        with self.accelerator.autocast():
            loss, logs = learner.loss(learner.network, batch)
        learner.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(
            learner.network.parameters(), self.settings.gradient_clip
        )
        if not torch.isfinite(norm):
            logger.warning("step %d: %s has a gradient that is not finite", self.step, learner.name)
            return {}
        learner.optimizer.step()
        learner.average.update_parameters(learner.network)  # type: ignore[operator]
        return {f"{learner.name} {name}": value for name, value in logs.items()}

    def _placed(self, batch: Batch) -> Batch:
        return {name: tensor.to(self.accelerator.device) for name, tensor in batch.items()}

    @torch.no_grad()
    def validate(self, validation: Sequence[Batch]) -> dict[str, float]:
        """Judge the averaged weights; keep those of each learner's best result."""
        merits: dict[str, float] = {}
        better = False
        for learner in self.learners:
            average = learner.average.module
            assert isinstance(average, nn.Module)
            average.eval()
            with self.accelerator.autocast():
                values = [learner.merit(average, self._placed(batch)) for batch in validation]
            merits[learner.name] = float(torch.cat(values).mean())
            if merits[learner.name] > learner.best_merit:
                learner.best_merit = merits[learner.name]
                better = True
                save_state(self.folder / f"{learner.name}.pt", average.state_dict())
        self._stale = 0 if better else self._stale + 1
        self._log({"step": self.step, "validation": merits})
        return merits

    def _log(self, entry: dict[str, Any]) -> None:
        logger.info("%s", entry)
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write under a temporary name beside ``path``, then rename."""
    temporary = path.with_name(path.name + ".part")
    torch.save(state, temporary)
    os.replace(temporary, path)
