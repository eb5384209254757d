"""The settings that decide the weights of a LoRA."""

from __future__ import annotations

from dataclasses import dataclass, field

from isocenter.core.checks import check_least, check_positive, check_share
from isocenter.datasets.splits import SplitRule
from isocenter.modelpack.stable_diffusion.adapter import check_code
from isocenter.training.judges.copy_embedding import CopyEmbeddingSettings
from isocenter.training.loop import LoopSettings

NAME = "lora-own"
_SIZES = (16, 4096)


@dataclass(frozen=True, kw_only=True)
class LoraRecipe:
    """Base, window, split, rank, losses, steps and seed.

    With the images and the code, whose commit the card names, these decide the weights.

    Attributes:
        base: Stable Diffusion folder, or OWNER/NAME on the hub of models; must be given.
        name, version, title: of what is made.
        modality, body_part: what the images are, as DICOM has them; CT is known of DICOM folders.
        unit: of the values of image files where ``window`` is given.
        window: center and width of the values that become black and white; 8-bit images need none.
        size: rows and columns to fit to; 0 takes those that the base was made for.
        caption: text of images that have none of their own.
        slice_step: of a DICOM series every so many slices are taken.
        validation: patients by name, as ``labels.csv`` has them, who judge.
        validation_share, split_seed: share of all others who do, and the seed of that draw.
        seed: of the first matrices and of all that is drawn.
        rank: of the matrices.
        train_text_encoder: also put matrices on the text encoders.
        drop_text: share of samples that lose their text.
        snr_limit: see :meth:`isocenter.training.lora.losses.NoiseSchedule.weight`; none for all
            alike.
        gradient_checkpointing: compute twice instead of keeping everything in memory.
        validation_draws: how often each picture of the validation patients is judged.
        guard: against copies of training images.
        loop: steps, batch, learning rate, precision.
    """

    base: str = ""
    name: str = NAME
    version: str = "1"
    title: str = "Own images"
    modality: str = ""
    body_part: str = ""
    unit: str = ""
    window: tuple[float, float] | None = None
    size: int = 0
    caption: str = ""
    slice_step: int = 1
    validation: tuple[str, ...] = ()
    validation_share: float = 0.1
    split_seed: int = 0
    seed: int = 20261121
    rank: int = 16
    train_text_encoder: bool = False
    drop_text: float = 0.1
    snr_limit: float | None = 5.0
    gradient_checkpointing: bool = False
    validation_draws: int = 4
    guard: CopyEmbeddingSettings = field(default_factory=CopyEmbeddingSettings)
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=2_000,
            batch_size=4,
            learning_rate=1e-4,
            weight_decay=1e-2,
            warm_up_steps=100,
            average_decay=0.99,
            validate_every=250,
            checkpoint_every=250,
            patience=8,
            workers=0,
        )
    )

    def __post_init__(self) -> None:
        for name in ("name", "version", "title"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} must not be empty, got {getattr(self, name)!r}")
        for name in ("modality", "body_part"):
            check_code(name, getattr(self, name))
        for name in ("rank", "slice_step", "validation_draws"):
            check_least(name, getattr(self, name), 1)
        for name in ("seed", "split_seed", "size"):
            check_least(name, getattr(self, name), 0)
        if self.size and not _SIZES[0] <= self.size <= _SIZES[1]:
            raise ValueError(f"size is 0 or from {_SIZES[0]} to {_SIZES[1]}, got {self.size}")
        check_share("drop_text", self.drop_text)
        if self.snr_limit is not None:
            check_positive("snr_limit", self.snr_limit)
        if self.window is not None:
            check_positive("the width of window", self.window[1])
        self.split()

    def split(self) -> SplitRule:
        """Which patient is trained on and who judges."""
        return SplitRule(
            validation=self.validation,
            validation_share=self.validation_share,
            seed=self.split_seed,
        )
