"""From sets of images to sets of latents: each image is encoded once, with what it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from isocenter.core.progress import Progress, silent
from isocenter.core.seeds import generator_for
from isocenter.datasets.image_sets.image_set import ImageLabels, ImageSet
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.model import LatentScale
from isocenter.modelpack.generator.told import Vocabulary, box_map, painted
from isocenter.modelpack.text.encoder import TextEncoder
from isocenter.networks.autoencoder import Autoencoder
from isocenter.training.generator.latent_cases import NO_SENTENCE, LatentSet, SentenceBank
from isocenter.training.loop import computes_in_bfloat16
from isocenter.training.sampling import balanced_shares

_AT_ONCE = 8
_SENTENCES_AT_ONCE = 256
_CLASS = "class"
SentencesOf = Callable[[Family, ImageLabels, np.random.Generator], str]
"""Draws a sentence that says some of what is known of an image, "" where nothing can be said."""


@torch.inference_mode()
def latents_of(
    autoencoder: Autoencoder,
    images: Callable[[slice], NDArray],
    number: int,
    *,
    progress: Progress = silent,
) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the latents of images, both (N, C, H, W) float16, not normalized.

    Computed in bfloat16 where the device is faster in it; that changes a latent by far less than
    the draw from its own deviation does.

    Args:
        autoencoder: in evaluation mode.
        images: gives (n, rows, columns) float32 in [-1, 1] for a slice.
        number: of images.
        progress: counts images.
    """
    device = next(autoencoder.parameters()).device
    half = computes_in_bfloat16(str(device))
    means, deviations = [], []
    for first in range(0, number, _AT_ONCE):
        values = torch.from_numpy(images(slice(first, first + _AT_ONCE)))[:, None].to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            found = autoencoder.encode(values.to(memory_format=torch.channels_last))
        means.append(found.mean.half().cpu())
        deviations.append(found.deviation.half().cpu())
        progress(min(first + _AT_ONCE, number), number)
    return torch.cat(means).contiguous(), torch.cat(deviations).contiguous()


def scale_of(means: Sequence[Tensor]) -> LatentScale:
    """Mean and deviation of each channel over several families, each of which counts alike."""
    first = torch.stack([one.float().mean(dim=(0, 2, 3)) for one in means]).mean(dim=0)
    second = torch.stack([one.float().square().mean(dim=(0, 2, 3)) for one in means]).mean(dim=0)
    deviation = (second - first.square()).clamp_min(1e-12).sqrt()
    return LatentScale(mean=tuple(first.tolist()), deviation=tuple(deviation.tolist()))


def channel_weights_of(
    autoencoder: Autoencoder, scale: LatentScale, *, power: float
) -> tuple[float, ...]:
    """How much each latent channel counts, by how far one deviation of it moves the image.

    Args:
        power: 0 lets all count alike, 2 as errors of the image would.

    Returns:
        One number a channel; their mean is 1.
    """
    reach = autoencoder.direct_out.weight.detach().flatten(1).norm(dim=1).cpu()
    weights = (reach * torch.tensor(scale.deviation)).clamp_min(1e-6) ** power
    return tuple((weights / weights.mean()).tolist())


def bank_of(
    sets: Mapping[str, ImageSet],
    families: Mapping[str, Family],
    text: TextEncoder,
    *,
    sentence_of: SentencesOf,
    each: int,
    seed: int,
    progress: Progress = silent,
) -> tuple[SentenceBank, dict[str, NDArray]]:
    """Sentences of every image, encoded once.

    Args:
        sets: images by family.
        families: by name.
        text: encodes.
        sentence_of: draws them.
        each: sentences of each image.
        seed: of the draws.
        progress: counts sentences.

    Returns:
        The bank, and for each family the places of its images' sentences in it, (N, each). A
        sentence that is drawn twice is kept once.
    """
    place_of: dict[str, int] = {}

    def place(name: str, labels: ImageLabels, number: int, which: int) -> int:
        rng = generator_for(seed, "sentence", name, number, which)
        said = sentence_of(families[name], labels, rng)
        return place_of.setdefault(said, len(place_of)) if said else NO_SENTENCE

    places = {
        name: np.array(
            [
                [place(name, labels, number, which) for which in range(each)]
                for number, labels in enumerate(images.labels)
            ],
            np.int64,
        ).reshape(len(images), each)
        for name, images in sets.items()
    }
    return _encoded(list(place_of), text, progress), places


def _encoded(sentences: Sequence[str], text: TextEncoder, progress: Progress) -> SentenceBank:
    words, spoken, meaning = [], [], []
    encode = getattr(text, "encode_together", text.encode)
    for first in range(0, max(1, len(sentences)), _SENTENCES_AT_ONCE):
        found = encode(sentences[first : first + _SENTENCES_AT_ONCE] or [""])
        words.append(found.tokens.half())
        spoken.append(found.mask)
        meaning.append(found.pooled.half())
        progress(min(first + _SENTENCES_AT_ONCE, len(sentences)), len(sentences))
    return SentenceBank(
        words=torch.cat(words), spoken=torch.cat(spoken), meaning=torch.cat(meaning)
    )


def latent_set(
    family: Family,
    images: ImageSet,
    autoencoder: Autoencoder,
    *,
    latents: tuple[Tensor, Tensor],
    scale: LatentScale,
    vocabulary: Vocabulary,
    sentences: NDArray,
    weights: NDArray,
    lesions: Sequence[str] | None = None,
    progress: Progress = silent,
) -> LatentSet:
    """One family's images as a set of latents.

    Args:
        family: what they are.
        images: with their labels.
        autoencoder: encodes the guides, which are label maps or reference images.
        latents: what :func:`latents_of` gave for the images.
        scale: normalizes.
        vocabulary: of the network that will be told.
        sentences: places in the bank.
        weights: how often each image is drawn.
        lesions: names of labels of the guide that are lesions, beside the box; None where no place
            counts more than others.
        progress: counts guides.
    """
    labels = images.labels
    guide = None
    if images.guides is not None and family.guide:
        maps = images.guides
        mean, _ = latents_of(
            autoencoder,
            lambda part: painted(maps[part], len(family.guide)),
            len(images),
            progress=progress,
        )
        guide = scale.normalized(mean.float()).half()
    elif images.references is not None and family.reference:
        mean, _ = latents_of(autoencoder, images.reference_values, len(images), progress=progress)
        guide = scale.normalized(mean.float()).half()
    mean, deviation = latents
    return LatentSet(
        mean=scale.normalized(mean.float()).half(),
        deviation=scale.spread(deviation.float()).half(),
        categories=np.stack(
            [
                vocabulary.category_codes(family.name, known_categories(family, one))
                for one in labels
            ]
        ),
        numbers=np.stack([vocabulary.number_codes(known_numbers(family, one)) for one in labels]),
        boxes=np.array(
            [one.box if one.box and family.box else (np.nan,) * 4 for one in labels], np.float64
        ),
        sentences=sentences,
        weights=weights,
        guide=guide,
        lesion=None
        if lesions is None
        else lesion_shares(images, lesions, (mean.shape[2], mean.shape[3])),
    )


def shares_of(images: ImageSet, *, balance: float, total: float = 1.0) -> NDArray:
    """How often each image of a family is drawn, (N,).

    Args:
        images: with their labels; the category "class" is what is balanced.
        balance: 0 for classes as they are, 1 for all alike.
        total: sum of what is returned.
    """
    if not balance:
        return np.full(len(images), total / len(images))
    classes = [(one.categories.get(_CLASS, ""),) for one in images.labels]
    shares, counts = balanced_shares(classes, evenness=(balance,)), Counter(classes)
    return np.array([total * shares[one] / counts[one] for one in classes])


def lesion_shares(images: ImageSet, names: Sequence[str], grid: tuple[int, int]) -> Tensor:
    """Share of each cell of a grid that a lesion covers, (N, 1, rows, columns) float16.

    Args:
        images: whose boxes, and labels of these names in the guides, are lesions.
        names: of labels of the guides; those that there are not are left out.
        grid: rows and columns of a latent.
    """
    numbers = [place for place, name in enumerate(images.guide_names, 1) if name in names]
    found = torch.zeros(len(images), 1, *grid)
    for place, labels in enumerate(images.labels):
        if labels.box is not None:
            found[place, 0] = torch.from_numpy(box_map(labels.box, grid))
        if images.guides is not None and numbers:
            inside = torch.from_numpy(np.isin(images.guides[place], numbers).astype(np.float32))
            covered = functional.adaptive_avg_pool2d(inside[None], grid)
            found[place] = torch.maximum(found[place], covered)
    return found.half()


def known_categories(family: Family, labels: ImageLabels) -> dict[str, str]:
    """What is known of an image and can be asked for."""
    return {
        name: value
        for name, value in labels.categories.items()
        if value in family.categories.get(name, ())
    }


def known_numbers(family: Family, labels: ImageLabels) -> dict[str, float]:
    """Those that the family has, brought within its limits."""
    taken = {one.name: one for one in family.numbers}
    return {
        name: min(max(value, taken[name].least), taken[name].most)
        for name, value in labels.numbers.items()
        if name in taken
    }


def joined(sets: Sequence[LatentSet]) -> LatentSet:
    """Sets of one latent size as one; where one has no guides, its images are not guided."""
    channels_grid = sets[0].mean.shape[1:]
    any_guide = any(one.guide is not None for one in sets)
    guides = [
        one.guide if one.guide is not None else torch.zeros(len(one), *channels_grid).half()
        for one in sets
    ]
    return LatentSet(
        mean=torch.cat([one.mean for one in sets]),
        deviation=torch.cat([one.deviation for one in sets]),
        categories=np.concatenate([one.categories for one in sets]),
        numbers=np.concatenate([one.numbers for one in sets]),
        boxes=np.concatenate([one.boxes for one in sets]),
        sentences=np.concatenate([one.sentences for one in sets]),
        weights=np.concatenate([one.weights for one in sets]),
        guide=torch.cat(guides) if any_guide else None,
        lesion=None
        if any(one.lesion is None for one in sets)
        else torch.cat([one.lesion for one in sets if one.lesion is not None]),
        guided=np.concatenate([np.full(len(one), one.guide is not None) for one in sets]),
    )
