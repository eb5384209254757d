"""Everything that decides the weights of a ControlNet beside a generator."""

from __future__ import annotations

from dataclasses import dataclass, field

from isocenter.core.checks import check_positive
from isocenter.modelpack.control.model import KINDS, MASK
from isocenter.training.generator.denoiser import NoiseSettings
from isocenter.training.generator.latent_cases import DropSettings
from isocenter.training.loop import LongLoopSettings

CONTROL_VERSION = "0.1"


@dataclass(frozen=True, kw_only=True)
class ControlRecipe:
    """A ControlNet that is told a label map or another image.

    Attributes:
        name, version: of the model.
        seed: of everything drawn.
        start: the generator that is steered: a model folder, the folder of a finished training, or
            the name of one that is shipped.
        family: of its families the one whose images are given; "" where it has one alone.
        told: "mask", from the column ``mask``, or "image", from the column ``reference``.
        noise: at which it is trained.
        drop: how often the generator is not told what is known; what steers is always there.
        validation_cases: items that judge.
        loop: of the fit.
    """

    name: str = "own-control"
    version: str = CONTROL_VERSION
    seed: int = 1
    start: str = ""
    family: str = ""
    told: str = MASK
    noise: NoiseSettings = field(default_factory=NoiseSettings)
    drop: DropSettings = field(default_factory=DropSettings)
    validation_cases: int = 128
    loop: LongLoopSettings = field(
        default_factory=lambda: LongLoopSettings(
            steps=2_000,
            batch_size=16,
            learning_rate=2e-4,
            warm_up_steps=100,
            schedule="cosine",
            average_decay=0.995,
            validate_every=250,
            patience=1_000,
        )
    )

    def __post_init__(self) -> None:
        check_positive("validation_cases", self.validation_cases)
        if self.told not in KINDS:
            raise ValueError(f"told is {' or '.join(KINDS)}, got {self.told!r}")
