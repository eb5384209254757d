"""What a generator begins with from another one, so that few patients are enough.

Weights are taken over where name and shape fit. What the denoiser is told by tables, a row for each
name, follows the names: a row of a class that both know is carried over to its new place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from isocenter.core.errors import ModelRefused
from isocenter.modelpack.folder import INDEX, load
from isocenter.modelpack.generator.model import ImageGenerator
from isocenter.modelpack.generator.told import Vocabulary
from isocenter.networks.autoencoder import Autoencoder
from isocenter.networks.image_embedding import ImageEmbedding
from isocenter.networks.latent_unet import LatentUNet
from isocenter.recipes.generate.configuration import (
    AUTOENCODER,
    DENOISER,
    GenerateRecipe,
)
from isocenter.training.freezing import freeze, transfer

_LEAST_SHARE = 0.5  # of the values of a network: below, it is of another architecture
_TABLE = "told.categories.{}.weight"
_NUMBERS = ("told.number_weights", "told.number_missing")


@dataclass(frozen=True, kw_only=True, eq=False)
class Beginning:
    """The model that a run begins with.

    Attributes:
        model: a generator.
        parts: which of its networks give their weights.
        frozen: patterns of the denoiser's weights that stay as they begin.
        said: what was taken, in words, by network; filled while networks are given their weights.
    """

    model: ImageGenerator
    parts: tuple[str, ...]
    frozen: tuple[str, ...]
    said: dict[str, str]

    @classmethod
    def of(cls, recipe: GenerateRecipe) -> Beginning | None:
        """The model that the recipe begins with, verified; None where it begins with none.

        Raises:
            ModelRefused: no such model, altered, of another kind or of another architecture.
        """
        if not recipe.start:
            return None
        model = opened(recipe.start)
        _check_fits(recipe, model)
        return cls(model=model, parts=recipe.start_parts, frozen=recipe.freeze, said={})

    def autoencoder(self, network: Autoencoder) -> None:
        """Give an autoencoder its first weights."""
        if AUTOENCODER in self.parts:
            done = transfer(network, self.model.autoencoder.state_dict())
            self.said[AUTOENCODER] = done.in_words()

    def denoiser(self, network: LatentUNet, vocabulary: Vocabulary) -> None:
        """Give a denoiser its first weights, and freeze what is to stay."""
        words = []
        if DENOISER in self.parts:
            weights, carried = carried_by_name(
                self.model.denoiser.state_dict(),
                self.model.vocabulary,
                network.state_dict(),
                vocabulary,
            )
            words += [transfer(network, weights).in_words(), _carried_in_words(carried)]
        if self.frozen:
            words.append(f"{len(freeze(network, self.frozen))} weights are frozen")
        if words:
            self.said[DENOISER] = "; ".join(words)

    def embedding(self) -> ImageEmbedding:
        """What its guard tells copies by."""
        assert self.model.guard is not None  # a model folder holds one
        return self.model.guard.embedding

    def facts(self) -> dict[str, Any]:
        """Which model it is and what was taken, ready for JSON."""
        return {
            "name": self.model.name,
            "version": self.model.version,
            "weights_sha256": self.model.weights_sha256,
            "taken": dict(self.said),
            "text encoder": "kept as it is",
        }

    def in_words(self) -> str:
        """For the card."""
        taken = ". ".join(f"{name.capitalize()}: {said}" for name, said in self.said.items())
        return (
            f"It began with {self.model.name} {self.model.version} (weights "
            f"{self.model.weights_sha256[:12]}), whose text encoder it keeps. {taken}. Its guard "
            "knows the images of this run, not those of the model before."
        )


def opened(start: str) -> ImageGenerator:
    """The generator of a name, a model folder, or the folder of a finished training.

    Raises:
        ModelRefused: no such model, altered, or of another kind.
    """
    path = Path(start).expanduser()
    inside = path / "model"
    found = load(inside if (inside / INDEX).is_file() else path if path.is_dir() else start)
    if not isinstance(found, ImageGenerator):
        raise ModelRefused(
            f"the model to start from is a {type(found).__name__}, which is another architecture; "
            "an ImageGenerator is needed, as `isocenter train generators` makes"
        )
    return found


def carried_by_name(
    old: Mapping[str, Tensor],
    known: Vocabulary,
    new: Mapping[str, Tensor],
    wanted: Vocabulary,
) -> tuple[dict[str, Tensor], list[str]]:
    """Weights of one denoiser in the order of what another one is told.

    Args:
        old: weights, made for ``known``.
        known: what they are told.
        new: weights as the other network begins, made for ``wanted``.
        wanted: what it is told.

    Returns:
        The weights, and the names of what was carried over, such as "class glioma". Categories,
        names in them and numbers that ``known`` has not, or numbers of another range, are as in
        ``new``.
    """
    tables = {_TABLE.format(place) for place in range(len(known.categories))} | set(_NUMBERS)
    weights = {name: value for name, value in old.items() if name not in tables}
    carried = []
    old_places = {name: place for place, name in enumerate(known.categories)}
    for place, (category, values) in enumerate(wanted.categories.items()):
        if category in old_places:
            before = known.categories[category]
            weights[_TABLE.format(place)] = _with_rows(
                new[_TABLE.format(place)],
                old[_TABLE.format(old_places[category])],
                # Row 0 is that of what is not said.
                {0: 0}
                | {
                    values.index(value) + 1: before.index(value) + 1
                    for value in values
                    if value in before
                },
            )
            carried += [f"{category} {value}" for value in values if value in before]
    same = [name for name, ends in wanted.numbers.items() if known.numbers.get(name) == ends]
    rows = {list(wanted.numbers).index(one): list(known.numbers).index(one) for one in same}
    if rows:
        weights |= {name: _with_rows(new[name], old[name], rows) for name in _NUMBERS}
    return weights, carried + same


def _with_rows(table: Tensor, before: Tensor, rows: Mapping[int, int]) -> Tensor:
    """A table with rows of another one, by their places in both."""
    found = table.clone()
    if found.shape[1:] == before.shape[1:]:
        for place, old_place in rows.items():
            found[place] = before[old_place]
    return found


def _carried_in_words(carried: Sequence[str]) -> str:
    if not carried:
        return "of what is told nothing has a name that was known, so its tables begin anew"
    return f"what is told is carried over by name for {', '.join(carried)}; the rest begins anew"


def _check_fits(recipe: GenerateRecipe, model: ImageGenerator) -> None:
    """See that the networks are of one architecture, before any work; takes no memory."""
    from isocenter.recipes.generate.stages import build_autoencoder, build_denoiser

    with torch.device("meta"):
        wanted: dict[str, nn.Module] = {
            AUTOENCODER: build_autoencoder(recipe.autoencoder),
            DENOISER: build_denoiser(recipe, model.vocabulary, text_width=model.text.width),
        }
    for name in recipe.start_parts:
        there = getattr(model, name)
        least = 1.0 if name == AUTOENCODER and recipe.autoencoder.kept else _LEAST_SHARE
        if _share_that_fits(wanted[name], there) < least:
            sizes = ", ".join(f"{name}.{one}" for one in _settings_of(there))
            raise ModelRefused(
                f"the {name} of the model to start from is of another architecture than the "
                f"recipe's; its sizes are {sizes}; set these, or name another model"
            )


def _share_that_fits(network: nn.Module, other: nn.Module) -> float:
    """Of the values of a network, the share whose names and shapes another one has."""
    there = other.state_dict()
    shapes = {name: one.shape for name, one in network.state_dict().items()}
    fitting = [
        shape.numel()
        for name, shape in shapes.items()
        if name in there and there[name].shape == shape
    ]
    return sum(fitting) / max(1, sum(shape.numel() for shape in shapes.values()))


def _settings_of(network: nn.Module) -> list[str]:
    """The sizes of a network as settings of the recipe, such as "blocks=1"."""
    config: dict[str, Any] = network.config  # type: ignore[assignment]
    names = ("channels", "blocks", "latent_channels", "head_channels")
    return [
        f"{name}={','.join(map(str, value)) if isinstance(value, list | tuple) else value}"
        for name in names
        if (value := config.get(name)) is not None
        and (name != "latent_channels" or isinstance(network, Autoencoder))
    ]
