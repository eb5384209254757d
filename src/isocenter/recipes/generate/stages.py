"""The parts of a generator, fitted one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from isocenter.core.progress import Say, say_nothing
from isocenter.core.seeds import derived_seed
from isocenter.datasets.image_sets.image_set import ImageLabels, ImageSet, combined
from isocenter.datasets.sentences.grammar import sentence
from isocenter.datasets.sentences.meaning import FAMILIES as SPOKEN_OF
from isocenter.datasets.sentences.meaning import meaning_of, part_of
from isocenter.datasets.splits import TRAIN, VALIDATION
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.model import LatentScale
from isocenter.modelpack.generator.told import Vocabulary, vocabulary_of
from isocenter.modelpack.text.encoder import TextEncoder
from isocenter.networks.autoencoder import Autoencoder
from isocenter.networks.feature_network import FeatureNetwork
from isocenter.networks.latent_unet import LatentUNet
from isocenter.recipes.generate.configuration import (
    AUTOENCODER,
    DENOISER,
    REFINED,
    AutoencoderRecipe,
    GenerateRecipe,
)
from isocenter.recipes.generate.families import ABOUT_MM
from isocenter.training.checkpoint import load_state, save_state
from isocenter.training.generator.augmented import Record, augmented, records_of
from isocenter.training.generator.autoencoder import ImagePieces, autoencoder_learner
from isocenter.training.generator.denoiser import Penalty, Weighing, denoiser_learner
from isocenter.training.generator.encode import (
    bank_of,
    channel_weights_of,
    joined,
    latent_set,
    latents_of,
    scale_of,
    shares_of,
)
from isocenter.training.generator.latent_cases import LatentCases, LatentSet, SentenceBank
from isocenter.training.generator.physics import CtPenalty
from isocenter.training.learner import Batch, Learner
from isocenter.training.loop import LoopSettings, Trainer
from isocenter.training.processes import is_main_process, wait_for_all

LATENTS = "latents.pt"
LANGUAGES = ("en", "zh")
_LARGEST_BATCH = 16

Sets = Mapping[str, ImageSet]


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """Everything that a denoiser is fitted to.

    Attributes:
        train, validation: latents by size.
        bank: sentences.
        scale: that normalized the latents.
        vocabulary: of what is told.
        channel_weights: of the latent's channels in the denoiser's error.
    """

    train: dict[str, LatentSet]
    validation: dict[str, LatentSet]
    bank: SentenceBank
    scale: LatentScale
    vocabulary: Vocabulary
    channel_weights: tuple[float, ...]


def build_autoencoder(recipe: AutoencoderRecipe) -> Autoencoder:
    """The autoencoder as the recipe has it."""
    return Autoencoder(
        channels=recipe.channels, blocks=recipe.blocks, latent_channels=recipe.latent_channels
    )


def build_denoiser(
    recipe: GenerateRecipe, vocabulary: Vocabulary, *, text_width: int
) -> LatentUNet:
    """The denoiser as the recipe has it."""
    own = recipe.denoiser
    return LatentUNet(
        latent_channels=recipe.autoencoder.latent_channels,
        category_sizes=vocabulary.category_sizes,
        num_numbers=len(vocabulary.numbers),
        text_width=text_width,
        channels=own.channels,
        attention=own.attention,
        blocks=own.blocks,
        head_channels=own.head_channels,
    )


def fit_autoencoder(
    recipe: GenerateRecipe,
    sets: Sets,
    output: Path,
    *,
    resume: bool,
    begin: Callable[[Autoencoder], None] = lambda _: None,
    device: str = "cpu",
    say: Say = say_nothing,
) -> Autoencoder:
    """The autoencoder with the averaged weights of its best validation.

    ``begin`` gives a new one its first weights.
    """
    own = recipe.autoencoder
    torch.manual_seed(derived_seed(recipe.seed, AUTOENCODER) % 2**32)
    network = build_autoencoder(own)
    begin(network)
    if own.kept:
        _keep(network, output / AUTOENCODER)
        return best_autoencoder(recipe, output)
    learner = autoencoder_learner(network, losses=own.losses)
    train = {name: images.part(TRAIN) for name, images in sets.items()}

    def pieces(start: int) -> ImagePieces:
        return ImagePieces(
            train,
            shares=recipe.autoencoder_shares(),
            crop=own.crop,
            losses=own.losses,
            seed=recipe.seed,
            length=own.loop.steps * own.loop.batch_size,
            start=start,
            lesion_centered=own.lesion_centered,
        )

    _fit(
        learner,
        own.loop,
        pieces,
        _validation_images(recipe, sets),
        output / AUTOENCODER,
        resume=resume,
        device=device,
        say=say,
    )
    return best_autoencoder(recipe, output)


def _keep(network: Autoencoder, folder: Path) -> None:
    """Write weights that are not fitted where those of a fit would be."""
    if is_main_process():
        folder.mkdir(parents=True, exist_ok=True)
        save_state(folder / f"{AUTOENCODER}.pt", network.state_dict())
    wait_for_all()


def fit_refined(
    recipe: GenerateRecipe,
    autoencoder: Autoencoder,
    features: FeatureNetwork,
    sets: Sets,
    output: Path,
    *,
    resume: bool,
    device: str = "cpu",
    say: Say = say_nothing,
) -> Autoencoder:
    """The autoencoder with a decoder that features and an adversary were heard about.

    Latents stay what they are, so a denoiser can be fitted before or after.
    """
    own = recipe.refine
    torch.manual_seed(derived_seed(recipe.seed, REFINED) % 2**32)
    network = build_autoencoder(recipe.autoencoder)
    network.load_state_dict(autoencoder.state_dict())
    network.requires_grad_(False)
    for parameter in network.decoder_parameters():
        parameter.requires_grad_(True)
    learner = autoencoder_learner(network, losses=own.losses, features=features)
    train = {name: images.part(TRAIN) for name, images in sets.items()}

    def pieces(start: int) -> ImagePieces:
        return ImagePieces(
            train,
            shares=recipe.autoencoder_shares(),
            crop=recipe.autoencoder.crop,
            losses=own.losses,
            seed=derived_seed(recipe.seed, REFINED),
            length=own.loop.steps * own.loop.batch_size,
            start=start,
        )

    _fit(
        learner,
        own.loop,
        pieces,
        _validation_images(recipe, sets),
        output / REFINED,
        resume=resume,
        device=device,
        say=say,
    )
    return best_autoencoder(recipe, output, stage=REFINED)


def best_autoencoder(
    recipe: GenerateRecipe, output: Path, *, stage: str = AUTOENCODER
) -> Autoencoder:
    """The autoencoder with the weights that count after a stage."""
    network = build_autoencoder(recipe.autoencoder)
    network.load_state_dict(load_state(output / stage / f"{AUTOENCODER}.pt"))
    return network.eval().requires_grad_(False)


def encode(
    recipe: GenerateRecipe,
    families: Sequence[Family],
    sets: Sets,
    autoencoder: Autoencoder,
    text: TextEncoder,
    output: Path,
    *,
    scale: LatentScale | None = None,
    say: Say = say_nothing,
) -> Encoded:
    """Latents of the images that train and validate, and sentences about them.

    Latents are kept in ``output``. They are normalized by ``scale``, or by their own where it is
    None.
    """
    named = {one.name: one for one in families}
    vocabulary = vocabulary_of(families)
    sets = {
        name: images.chosen(np.concatenate([images.indices(TRAIN), images.indices(VALIDATION)]))
        for name, images in sets.items()
    }
    records = records_by_family(recipe, sets)
    sets = {name: with_versions(images, records.get(name, [])) for name, images in sets.items()}
    found = _latents(sets, autoencoder, output / LATENTS, records, say)
    train_means = [
        found[name][0][torch.from_numpy(images.indices(TRAIN))] for name, images in sets.items()
    ]
    scale = scale or scale_of(train_means)
    say("sentences")
    bank, places = bank_of(
        sets,
        named,
        text,
        sentence_of=sentence_about,
        each=recipe.denoiser.sentences,
        seed=recipe.seed,
    )
    weighs_lesions = recipe.denoiser.lesion_weight != 1
    parts: dict[str, dict[str, list[LatentSet]]] = {TRAIN: {}, VALIDATION: {}}
    for name, images in sets.items():
        say(f"guides of {name}")
        for part, by_size in parts.items():
            rows = images.indices(part)
            if not len(rows):
                continue
            own = tuple(one[torch.from_numpy(rows)] for one in found[name])
            chosen = images.chosen(rows)
            weights = shares_of(
                chosen,
                balance=recipe.denoiser.balance if part == TRAIN else 0.0,
                total=recipe.share_of(name),
            )
            made = latent_set(
                named[name],
                chosen,
                autoencoder,
                latents=(own[0], own[1]),
                scale=scale,
                vocabulary=vocabulary,
                sentences=places[name][rows],
                weights=weights,
                lesions=recipe.denoiser.lesion_labels if weighs_lesions else None,
            )
            by_size.setdefault("x".join(map(str, made.mean.shape[2:])), []).append(made)
    return Encoded(
        train={size: joined(made) for size, made in parts[TRAIN].items()},
        validation={size: joined(made) for size, made in parts[VALIDATION].items()},
        bank=bank,
        scale=scale,
        vocabulary=vocabulary,
        channel_weights=channel_weights_of(autoencoder, scale, power=recipe.denoiser.coarse_power),
    )


def records_by_family(recipe: GenerateRecipe, sets: Sets) -> dict[str, list[Record]]:
    """How the further versions of each family's training images come about; none is left out."""
    own = recipe.denoiser
    if not own.augmented:
        return {}
    return {
        name: records_of(images.part(TRAIN), own.augment, versions=own.augmented, seed=recipe.seed)
        for name, images in sets.items()
    }


def with_versions(images: ImageSet, records: Sequence[Record]) -> ImageSet:
    """Images with further versions of those that train behind them."""
    if not records:
        return images
    return combined([images, augmented(images.part(TRAIN), records)])


def sentence_about(family: Family, labels: ImageLabels, rng: np.random.Generator) -> str:
    """A sentence, in English or Chinese, that says some of what is known of an image.

    Of a family that the grammar does not know it is the text that came with the image.
    """
    if family.name not in SPOKEN_OF:
        return labels.text
    pixel_mm = family.pixel_mm or ABOUT_MM.get(family.name, 0.0)
    meaning = meaning_of(
        family.name,
        labels.categories,
        box=labels.box,
        width_mm=family.columns * pixel_mm,
        height_mm=family.rows * pixel_mm,
    )
    language = LANGUAGES[int(rng.integers(len(LANGUAGES)))]
    return sentence(part_of(meaning, rng), rng, language)


def fit_denoiser(
    recipe: GenerateRecipe,
    encoded: Encoded,
    output: Path,
    *,
    text_width: int,
    resume: bool,
    penalty: Penalty | None = None,
    begin: Callable[[LatentUNet, Vocabulary], None] = lambda *_: None,
    picture: Callable[[nn.Module], NDArray] | None = None,
    device: str = "cpu",
    say: Say = say_nothing,
) -> LatentUNet:
    """The denoiser with the averaged weights of its best validation.

    ``begin`` gives a new one its first weights.
    """
    own = recipe.denoiser
    torch.manual_seed(derived_seed(recipe.seed, DENOISER) % 2**32)
    network = build_denoiser(recipe, encoded.vocabulary, text_width=text_width)
    begin(network, encoded.vocabulary)
    learner = denoiser_learner(
        network,
        process=recipe.process,
        bank=encoded.bank,
        noise=own.noise,
        weighing=Weighing(
            lesion=own.lesion_weight, focal_gamma=own.focal_gamma, snr_limit=own.snr_limit
        ),
        seed=recipe.seed,
        channel_weights=encoded.channel_weights,
        penalty=penalty,
        picture=picture,
    )

    def cases(start: int) -> LatentCases:
        return LatentCases(
            encoded.train,
            drop=own.drop,
            seed=recipe.seed,
            length=own.loop.steps * own.loop.batch_size,
            start=start,
        )

    _fit(
        learner,
        own.loop,
        cases,
        _validation_cases(recipe, encoded),
        output / DENOISER,
        resume=resume,
        device=device,
        say=say,
    )
    return best_denoiser(recipe, encoded.vocabulary, output, text_width=text_width)


def penalty_of(
    recipe: GenerateRecipe,
    families: Sequence[Family],
    autoencoder: Autoencoder,
    scale: LatentScale,
) -> Penalty | None:
    """What holds back the denoiser, as the recipe has it; None for nothing."""
    own = recipe.denoiser
    if not own.penalty_weight:
        return None
    return Penalty(
        judge=CtPenalty(autoencoder, scale, families, recipe.process),
        weight=own.penalty_weight,
        every=own.penalty_every,
    )


def best_denoiser(
    recipe: GenerateRecipe, vocabulary: Vocabulary, output: Path, *, text_width: int
) -> LatentUNet:
    """The denoiser with the weights that count."""
    network = build_denoiser(recipe, vocabulary, text_width=text_width)
    network.load_state_dict(load_state(output / DENOISER / f"{DENOISER}.pt"))
    return network.eval().requires_grad_(False)


def _fit(
    learner: Learner,
    settings: LoopSettings,
    cases: Callable[[int], torch.utils.data.Dataset],
    validation: Sequence[Batch],
    folder: Path,
    *,
    resume: bool,
    device: str,
    say: Say,
) -> None:
    trainer = Trainer([learner], settings=settings, folder=folder, device=device, say=say)
    if resume:
        trainer.resume()
    say(f"{folder.name}: from step {trainer.step:,} to {settings.steps:,}")
    trainer.fit(cases, validation)


def _validation_images(recipe: GenerateRecipe, sets: Sets) -> list[Batch]:
    """Whole images of the validation patients, some of each family."""
    batches = []
    for images in sets.values():
        rows = images.indices(VALIDATION)
        chosen = rows[:: max(1, len(rows) // _LARGEST_BATCH)][:_LARGEST_BATCH]
        if len(chosen):
            batches.append({"image": torch.from_numpy(images.values(chosen))[:, None]})
    return batches


def _validation_cases(recipe: GenerateRecipe, encoded: Encoded) -> list[Batch]:
    """The same draws at every validation, in batches."""
    cases = LatentCases(
        encoded.validation,
        drop=recipe.denoiser.drop,
        seed=derived_seed(recipe.seed, VALIDATION),
        length=recipe.validation_cases,
    )
    size = recipe.denoiser.loop.batch_size
    groups = [range(k, min(k + size, len(cases))) for k in range(0, len(cases), size)]
    return [
        {name: torch.stack([case[name] for case in group]) for name in group[0]}
        for group in ([cases[k] for k in numbers] for numbers in groups)
    ]


def _latents(
    sets: Sets,
    autoencoder: Autoencoder,
    path: Path,
    records: Mapping[str, Sequence[Record]],
    say: Say,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Latents of every set, kept by the digests of the images and of the autoencoder.

    Beside them are kept the records by which the last images of each set came about.
    """
    told = {name: images.digest() for name, images in sets.items()}
    weights = float(sum(one.double().abs().sum() for one in autoencoder.parameters()))
    kept = load_state(path) if path.is_file() else {}
    if kept.get("of") != told or kept.get("weights") != weights:
        kept = {"of": told, "weights": weights}
        if records:
            kept["records"] = json.dumps(records)
        for name, images in sets.items():
            say(f"latents of {name}")
            mean, deviation = latents_of(autoencoder, images.values, len(images))
            kept |= {f"{name} mean": mean, f"{name} deviation": deviation}
        if is_main_process():
            save_state(path, kept)
        wait_for_all()
    return {name: (kept[f"{name} mean"], kept[f"{name} deviation"]) for name in sets}
