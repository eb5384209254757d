"""The settings that decide the weights of the CT enhancement model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace

from isocenter.core.checks import check_least, check_positive, check_range, check_sizes
from isocenter.datasets.ct_pairs import PairSettings
from isocenter.datasets.splits import SplitRule
from isocenter.modelpack.ct_enhance.contract import AcceptedScans
from isocenter.modelpack.ct_enhance.dose_prior import DosePrior, StandardNoise
from isocenter.modelpack.ct_enhance.model import MOST_CONTEXT
from isocenter.recipes.ct_enhance.calibration import CalibrationSettings
from isocenter.training.ct_enhance.losses import LossSettings
from isocenter.training.loop import LoopSettings

MODEL_VERSION = "0.4"
NAME = "isocenter-ct-enhance"
OWN_NAME = "ct-enhance-own"

# Patients by the names under which the public collections publish them.
TEST_PATIENTS = (
    "1.3.6.1.4.1.9328.50.1.0117",
    "CRLM-CT-1004",
    "TCGA-DE-A4MA",
    "TCGA-50-5044",
    "TCGA-50-6673",
    "TCGA-51-6867",
    "TCGA-60-2724",
    "TCGA-92-7340",
    "TCGA-34-A5IX",
    "TCGA-17-Z031",
    "TCGA-17-Z058",
    "A058062",
    "A048383",
)
CALIBRATION_PATIENTS = (
    "1.3.6.1.4.1.9328.50.1.0109",
    "ACRIN-FLT-Breast_001",
    "TCGA-17-Z034",
    "TCGA-17-Z053",
    "TCGA-17-Z062",
    "TCGA-34-8455",
    "TCGA-38-6178",
    "TCGA-50-8460",
    "TCGA-51-4079",
    "TCGA-60-2715",
    "TCGA-60-2723",
    "TCGA-92-8065",
    "A056642",
    "A002304",
)
VALIDATION_PATIENTS = (
    "LungFCP-01-0001",
    "TCGA-17-Z028",
    "TCGA-50-6591",
    "TCGA-60-2696",
    "TCGA-92-7341",
    "A027284",
)


@dataclass(frozen=True, kw_only=True)
class CtEnhanceRecipe:
    """Split, ranges, doses, margins, weights of the losses, networks, steps and seeds.

    With the scans and the code, whose commit the card names, these decide the weights.

    Attributes:
        name, version: of the model.
        seed: of the pairs, the initial weights and the bridge's noise.
        split: which patients are trained on, and which judge.
        noisiest_training_hu: scans with more noise cannot stand for a standard dose even when
            shrunk, and are not trained on.
        pairs: how pairs are drawn.
        mean, refine, adapt, texture: how stage one is fitted, how it goes on from its best weights
            (a warm restart of the learning rate), how it then learns to keep faint lesions, and how
            stage two is fitted.
        adapt_pairs, adapt_losses: what replaces ``pairs`` and ``losses`` there: more and fainter
            lesions, and an error that counts where an observer would look for one.
        small_steps: first steps of stage one, which see small crops.
        losses: what counts how much.
        widths, blocks: of stage one's network.
        texture_widths, texture_blocks, texture_time_channels: of the bridge's network.
        fraction_error: standard deviation of the logarithm of the estimated dose fraction.
        validation_pairs: how many pairs judge each learner.
        limit_margin: how far a feature may go beyond the largest that the calibration patients
            gave.
        calibration: how the interval is made to keep its word.
        standard_noise: from which, and from ``pairs.dose_fraction``, the model guesses the dose of
            a scan.
        accepted: which scans the model takes.
    """

    name: str = NAME
    version: str = MODEL_VERSION
    seed: int = 20261120
    split: SplitRule = field(
        default_factory=lambda: SplitRule(
            validation=VALIDATION_PATIENTS, calibration=CALIBRATION_PATIENTS, test=TEST_PATIENTS
        )
    )
    noisiest_training_hu: float = 55.0
    pairs: PairSettings = field(default_factory=PairSettings)
    mean: LoopSettings = field(
        default_factory=lambda: LoopSettings(steps=21_000, learning_rate=6e-4, validate_every=1_000)
    )
    small_steps: int = 16_000
    refine: LoopSettings = field(
        default_factory=lambda: LoopSettings(steps=15_000, learning_rate=4e-4, validate_every=1_000)
    )
    adapt: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=2_000, learning_rate=3e-4, warm_up_steps=100, validate_every=250
        )
    )
    adapt_pairs: PairSettings = field(default_factory=lambda: PairSettings(blobs=0.6, faint=0.5))
    adapt_losses: LossSettings = field(default_factory=lambda: LossSettings(channel_weight=20.0))
    texture: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=1_500,
            learning_rate=1e-3,
            warm_up_steps=100,
            average_decay=0.995,
            validate_every=250,
        )
    )
    losses: LossSettings = field(default_factory=LossSettings)
    widths: tuple[int, ...] = (48, 96, 144, 192)
    blocks: tuple[int, ...] = (1, 1, 2, 2)
    texture_widths: tuple[int, ...] = (48, 64, 96)
    texture_blocks: tuple[int, ...] = (1, 1, 2)
    texture_time_channels: int = 64
    fraction_error: float = 0.4
    validation_pairs: int = 64
    limit_margin: float = 2.0
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)
    standard_noise: StandardNoise = field(default_factory=StandardNoise)
    accepted: AcceptedScans = field(
        default_factory=lambda: AcceptedScans(
            pixel_spacing_mm=(0.5, 1.4),
            field_of_view_mm=(250.0, 710.0),
            slice_thickness_mm=(0.5, 10.0),
            noise_hu=(4.0, 150.0),
            noise_mean_frequency_per_mm=(0.18, 0.80),
        )
    )

    def __post_init__(self) -> None:
        for name in ("name", "version"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} must not be empty, got {getattr(self, name)!r}")
        check_least("seed", self.seed, 0)
        check_positive("noisiest_training_hu", self.noisiest_training_hu)
        if self.pairs.context > MOST_CONTEXT:
            raise ValueError(f"pairs.context is from 0 to {MOST_CONTEXT}, got {self.pairs.context}")
        check_range("pairs.dose_fraction", self.pairs.dose_fraction, most=1)
        if self.adapt_pairs.context != self.pairs.context:
            raise ValueError(
                f"adapt_pairs.context must be that of pairs, {self.pairs.context}, got "
                f"{self.adapt_pairs.context}"
            )
        check_least("small_steps", self.small_steps, 0)
        self._check_networks()
        check_least("fraction_error", self.fraction_error, 0)
        check_least("validation_pairs", self.validation_pairs, 1)
        check_least("limit_margin", self.limit_margin, 1)
        for one in fields(self.accepted):
            check_range(f"accepted.{one.name}", getattr(self.accepted, one.name))

    def _check_networks(self) -> None:
        for widths, blocks in (("widths", "blocks"), ("texture_widths", "texture_blocks")):
            check_sizes(widths, getattr(self, widths))
            check_sizes(blocks, getattr(self, blocks), least=0)
            levels = len(getattr(self, widths)), len(getattr(self, blocks))
            if levels[0] != levels[1]:
                raise ValueError(
                    f"{widths} and {blocks} name one number a level each, got {levels[0]} and "
                    f"{levels[1]}"
                )
        check_positive("texture_time_channels", self.texture_time_channels)
        if self.texture_time_channels % 2:
            raise ValueError(
                f"texture_time_channels must be even, got {self.texture_time_channels}"
            )

    def dose_prior(self) -> DosePrior:
        """By which the model guesses the dose of a scan: from the lowest it was fitted to up to a
        standard one, as a scan may be of a standard dose already."""
        return DosePrior(
            **asdict(self.standard_noise), fractions=(self.pairs.dose_fraction[0], 1.0)
        )


def ct_enhance() -> CtEnhanceRecipe:
    """The configuration of the shipped weights."""
    return CtEnhanceRecipe()


def own_ct_enhance() -> CtEnhanceRecipe:
    """The same for scans of one's own, whose patients are shared out by a hash."""
    split = SplitRule(
        validation_share=0.1,
        calibration_share=0.2,
        test_share=0.15,
        least_train=3,
        least_test=1,
    )
    return replace(ct_enhance(), name=OWN_NAME, version="1", split=split)
