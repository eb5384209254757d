"""Everything that decides the weights of a generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from isocenter.core.checks import check_least, check_positive, check_share
from isocenter.diffusion.process import Process
from isocenter.recipes.generate.text_encoder import TextEncoderRecipe
from isocenter.training.augment.draw import AugmentSettings
from isocenter.training.generator.autoencoder import AutoencoderLosses
from isocenter.training.generator.denoiser import NoiseSettings
from isocenter.training.generator.latent_cases import DropSettings
from isocenter.training.judges.copy_embedding import CopyEmbeddingSettings
from isocenter.training.judges.features import FeatureSettings
from isocenter.training.loop import LongLoopSettings, LoopSettings

GENERATOR_VERSION = "0.1"
AUTOENCODER, REFINED, DENOISER = "autoencoder", "refined", "denoiser"


@dataclass(frozen=True, kw_only=True)
class AutoencoderRecipe:
    """The autoencoder and how it is fitted.

    Attributes:
        channels, blocks, latent_channels: of the network; three levels give f8, two give f4.
        crop: rows and columns of the pieces of images that it sees.
        shares: how often each family is drawn, in the order of the recipe's families.
        kept: take the one of the model to start from as it is, and fit nothing.
        lesion_centered: share of the pieces of images with a box that hold the lesion.
        losses: what is asked of it.
        loop: of the fit.
    """

    channels: tuple[int, ...] = (64, 96, 160)
    blocks: int = 1
    latent_channels: int = 12
    crop: int = 128
    shares: tuple[float, ...] = (0.4, 0.25, 0.2, 0.15)
    kept: bool = False
    lesion_centered: float = 0.0
    losses: AutoencoderLosses = field(default_factory=AutoencoderLosses)
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=600,
            batch_size=24,
            learning_rate=3e-4,
            warm_up_steps=100,
            average_decay=0.99,
            patience=1_000,
        )
    )

    def __post_init__(self) -> None:
        for name in ("blocks", "latent_channels", "crop"):
            check_positive(name, getattr(self, name))
        check_share("lesion_centered", self.lesion_centered)


@dataclass(frozen=True, kw_only=True)
class RefineRecipe:
    """How the decoder is made to draw what looks right, once latents are what they are.

    Attributes:
        kept: leave the decoder as the autoencoder's own fit made it, and fit no features.
        losses: with features and an adversary.
        loop: of the fit.
    """

    kept: bool = False
    losses: AutoencoderLosses = field(
        default_factory=lambda: AutoencoderLosses(
            divergence=0.0,
            guides=0.0,
            features=0.3,
            adversary=0.02,
            adversary_first_step=200,
            features_merit_db=10.0,
        )
    )
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=1_500,
            batch_size=24,
            learning_rate=3e-4,
            warm_up_steps=100,
            average_decay=0.995,
            patience=1_000,
        )
    )


@dataclass(frozen=True, kw_only=True)
class DenoiserRecipe:
    """The denoiser and how it is fitted.

    Attributes:
        channels, blocks, head_channels: of the network; all levels but the finest attend.
        noise: at which it is trained.
        drop: how often it is not told what is known.
        coarse_power: how much more the channels count that move an image more; see
            :func:`isocenter.training.generator.encode.channel_weights_of`.
        sentences: of each image, drawn before the fit.
        balance: how alike the classes of a family are drawn: 0 as many as there are, 1 all alike.
        lesion_weight: weight of latents inside the box, or in labels of the guide, over those
            outside; 1 weighs all alike.
        lesion_labels: names of those labels.
        focal_gamma: more weight for images that are still wrong; 0 weighs all alike.
        snr_limit: largest weight of a squared error of the image, for a process that keeps the
            variance (min-SNR); None leaves the error of the prediction as it is.
        augmented: further versions of each training image, changed before they are encoded.
        augment: how much they are changed; values in HU are only moved, and none is mirrored.
        penalty_weight: of what CT must not break, in decoded estimates; 0 for none.
        penalty_every: steps from one such look to the next.
        loop: of the fit.
    """

    channels: tuple[int, ...] = (96, 128, 192)
    blocks: int = 1
    head_channels: int = 32
    noise: NoiseSettings = field(default_factory=NoiseSettings)
    drop: DropSettings = field(default_factory=DropSettings)
    coarse_power: float = 0.5
    sentences: int = 6
    balance: float = 0.0
    lesion_weight: float = 1.0
    lesion_labels: tuple[str, ...] = ()
    focal_gamma: float = 0.0
    snr_limit: float | None = None
    penalty_weight: float = 0.0
    penalty_every: int = 4
    augmented: int = 0
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    loop: LongLoopSettings = field(
        default_factory=lambda: LongLoopSettings(
            steps=6_000,
            batch_size=32,
            learning_rate=6e-4,
            warm_up_steps=200,
            schedule="cosine",
            decay_after_steps=3_500,
            average="power",
            average_relative_std=0.05,
            validate_every=500,
            patience=1_000,
        )
    )

    def __post_init__(self) -> None:
        for name in ("blocks", "head_channels"):
            check_positive(name, getattr(self, name))
        check_positive("penalty_every", self.penalty_every)
        for name in ("sentences", "coarse_power", "augmented", "penalty_weight"):
            check_least(name, getattr(self, name), 0)
        if self.augment.mirror_share:
            raise ValueError(
                "augment.mirror_share is 0 for generators: sides are told by words, boxes and "
                "planes, and a mirrored chest has its heart on the right"
            )
        check_share("balance", self.balance)
        check_positive("lesion_weight", self.lesion_weight)
        check_least("focal_gamma", self.focal_gamma, 0)
        if self.snr_limit is not None:
            check_positive("snr_limit", self.snr_limit)

    @property
    def attention(self) -> tuple[bool, ...]:
        """Which levels attend."""
        return (False, *[True] * (len(self.channels) - 1))


@dataclass(frozen=True, kw_only=True)
class GenerateRecipe:
    """A generator of several families.

    Attributes:
        name, version: of the model.
        seed: of everything drawn.
        families: what it makes, by name.
        shares: how often each family is drawn within its size, in the order of ``families``.
        text, autoencoder, denoiser: the three networks.
        features: the network that judges how alike images look.
        refine: of the decoder.
        process: from latents to noise.
        guard: against copies of training images.
        validation_cases: items that judge.
        start: folder of another model, or of a finished training, or the name of one that is
            shipped, whose weights are taken over where they fit; "" for none.
        start_parts: which of its networks give their weights.
        freeze: patterns of the names of the denoiser's weights that stay as they begin.
    """

    name: str = "generators"
    version: str = GENERATOR_VERSION
    seed: int = 1
    families: tuple[str, ...] = ("brain_t1c", "chest_radiograph", "chest_ct", "brain_labels")
    shares: tuple[float, ...] = (0.5, 1.0, 0.2, 0.3)
    text: TextEncoderRecipe = field(default_factory=TextEncoderRecipe)
    autoencoder: AutoencoderRecipe = field(default_factory=AutoencoderRecipe)
    refine: RefineRecipe = field(default_factory=RefineRecipe)
    denoiser: DenoiserRecipe = field(default_factory=DenoiserRecipe)
    features: FeatureSettings = field(default_factory=FeatureSettings)
    process: Process = field(default_factory=Process)
    guard: CopyEmbeddingSettings = field(default_factory=CopyEmbeddingSettings)
    validation_cases: int = 256
    start: str = ""
    start_parts: tuple[str, ...] = (AUTOENCODER, DENOISER)
    freeze: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for shares in (self.shares, self.autoencoder.shares):
            if not self.families or len(self.families) != len(shares):
                raise ValueError(
                    f"one share a family is needed, got {len(shares)} for {len(self.families)}"
                )
            if min(shares) <= 0:
                raise ValueError(f"shares are above 0, got {shares}")
        check_positive("validation_cases", self.validation_cases)
        self._check_start()
        if self.denoiser.snr_limit is not None and self.process.is_flow:
            raise ValueError(
                "snr_limit is for processes that keep the variance, such as process.schedule "
                "cosine with process.prediction_type v_prediction; leave it out for a flow"
            )

    def _check_start(self) -> None:
        if not set(self.start_parts) <= {AUTOENCODER, DENOISER} or not self.start_parts:
            raise ValueError(
                f"start_parts are {AUTOENCODER} and {DENOISER}, or one of them, got "
                f"{', '.join(self.start_parts) or 'none'}"
            )
        for name, wanted, part in (
            ("freeze", bool(self.freeze), DENOISER),
            ("autoencoder.kept", self.autoencoder.kept, AUTOENCODER),
        ):
            if wanted and not (self.start and part in self.start_parts):
                raise ValueError(
                    f"{name} needs weights to keep: name a model by start, and {part} in "
                    "start_parts"
                )

    def share_of(self, family: str) -> float:
        """How often a family is drawn within its size."""
        return self.shares[self.families.index(family)]

    def autoencoder_shares(self) -> dict[str, float]:
        """How often the autoencoder sees each family."""
        return dict(zip(self.families, self.autoencoder.shares, strict=True))


def generators(families: Sequence[str] = ()) -> GenerateRecipe:
    """The recipe of the shipped generators, or of some of its families."""
    whole = GenerateRecipe()
    chosen = tuple(families) or whole.families
    seen = whole.autoencoder_shares()
    return replace(
        whole,
        families=chosen,
        shares=tuple(whole.share_of(family) for family in chosen),
        autoencoder=replace(whole.autoencoder, shares=tuple(seen[family] for family in chosen)),
    )
