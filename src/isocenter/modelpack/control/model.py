"""What steers a generator besides what it was trained to be told: a ControlNet beside it.

It belongs to one generator, by the digest of that one's weights, and leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.modelpack.folder import load_folder, save_folder
from isocenter.modelpack.generator.wish import (
    checked_labels,
    checked_reference,
    image_sha256,
    labels_sha256,
)
from isocenter.networks.latent_unet import LatentControlNet

if TYPE_CHECKING:
    from isocenter.modelpack.generator.model import ImageGenerator

MASK, IMAGE = "mask", "image"
KINDS = (MASK, IMAGE)


class ImageControl:
    """A ControlNet, the generator that it belongs to, and what it is told.

    Attributes:
        family: of the generator, whose images it steers.
        told: "mask", a map of ``labels``, or "image", another image of the same size and values.
        labels: names of the labels of a mask: label k + 1 is labels[k].
        base: name, version and weights_sha256 of the generator.
        name, version, weights_sha256, card: as every model has them.
    """

    def __init__(
        self,
        *,
        control: LatentControlNet,
        family: str,
        told: str,
        labels: tuple[str, ...],
        base: Mapping[str, str],
        card: dict[str, Any],
        weights_sha256: str = "",
        device: str = "cpu",
    ) -> None:
        if told not in KINDS or bool(labels) != (told == MASK):
            raise ValueError(
                f"a control is told a {MASK} with labels, or an {IMAGE} without; got {told!r} and "
                f"{len(labels)} labels"
            )
        if not str(base["weights_sha256"]):
            raise ValueError("a control says by weights_sha256 which generator it belongs to")
        self.control = control.eval().requires_grad_(False).to(device)
        self.family = family
        self.told = told
        self.labels = tuple(labels)
        self.base = {name: str(base[name]) for name in ("name", "version", "weights_sha256")}
        self.card = card
        self.name: str = card["name"]
        self.version: str = card["version"]
        self.weights_sha256 = weights_sha256

    def check_base(self, generator: ImageGenerator) -> None:
        """See that it belongs to a generator, with its family chosen.

        Raises:
            ModelRefused: it belongs to another one, or steers another family.
        """
        if generator.weights_sha256 != self.base["weights_sha256"]:
            raise ModelRefused(
                f"{self.name} steers {self.base['name']} {self.base['version']} with weights "
                f"{self.base['weights_sha256'][:12]}, and this is {generator.name} "
                f"{generator.version} with {generator.weights_sha256[:12] or 'none'}; load the "
                "generator that it was fitted beside"
            )
        if generator.family.name != self.family:
            raise ModelRefused(
                f"{self.name} steers images of {self.family}, and {generator.family.name} is "
                "chosen; choose that family"
            )

    @torch.inference_mode()
    def told_tensor(self, generator: ImageGenerator, image: NDArray) -> Tensor:
        """What the network is told of a mask or an image (rows, columns): (1, channels, H, W).

        Raises:
            ModelRefused: it does not belong to this generator.
            InputRefused: the image has another size, or labels that are not known.
        """
        self.check_base(generator)
        if self.told == IMAGE:
            return generator.latent_of(image)
        labels = checked_labels(image)
        family = generator.family
        if labels.shape != (family.rows, family.columns):
            raise InputRefused(
                f"the mask has {labels.shape[0]} rows and {labels.shape[1]} columns; {self.name} "
                f"takes {family.rows} x {family.columns}"
            )
        if labels.max() > len(self.labels):
            raise InputRefused(
                f"the mask holds label {labels.max()}; {self.name} knows 0 outside and "
                f"{', '.join(f'{k} {name}' for k, name in enumerate(self.labels, 1))}"
            )
        factor = generator.autoencoder.factor
        return pooled_labels(labels[None], len(self.labels), factor=factor).to(generator.device)

    def described(self, image: NDArray) -> dict[str, str]:
        """What steers and by which image, ready for JSON; the image by its SHA-256."""
        digest = (
            image_sha256(checked_reference(image))
            if self.told == IMAGE
            else labels_sha256(checked_labels(image))
        )
        return {
            "name": self.name,
            "version": self.version,
            "weights_sha256": self.weights_sha256,
            f"{self.told}_sha256": digest,
        }

    # on disk

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, device: str = "cpu") -> ImageControl:
        """Load a folder that ``isocenter train control`` made.

        Raises:
            ModelRefused: no such folder, altered, or of another kind.
        """
        loaded = load_folder(folder, kind=cls.__name__, device=device)
        assert isinstance(loaded, cls)
        return loaded

    def save_pretrained(
        self, folder: str | Path, *, documents: Mapping[str, str] | None = None
    ) -> str:
        """Write a folder whole or not at all; returns its digest.

        Raises:
            OutputRefused: the folder exists.
        """
        return save_folder(self, folder, documents=documents)

    def parts(self) -> dict[str, Any]:
        """The network, as the registry names its role."""
        return {"control": self.control}

    def settings(self) -> dict[str, Any]:
        """What stands in the index beside the network."""
        return {
            "family": self.family,
            "told": self.told,
            "labels": list(self.labels),
            "base": dict(self.base),
        }

    def tables(self) -> dict[str, dict[str, Any]]:
        """No further files."""
        return {}

    @classmethod
    def from_parts(
        cls,
        parts: Mapping[str, Any],
        *,
        settings: Mapping[str, Any],
        tables: Mapping[str, Mapping[str, Any]],
        card: dict[str, Any],
        weights_sha256: str,
        device: str,
    ) -> ImageControl:
        """The control that a folder describes.

        Raises:
            KeyError: a setting is missing.
            TypeError, ValueError: network and settings do not fit each other.
        """
        return cls(
            control=parts["control"],
            family=str(settings["family"]),
            told=str(settings["told"]),
            labels=tuple(str(one) for one in settings["labels"]),
            base=dict(settings["base"]),
            card=card,
            weights_sha256=weights_sha256,
            device=device,
        )


def pooled_labels(labels: NDArray, num_labels: int, *, factor: int) -> Tensor:
    """Label maps on the grid of a latent, (N, 2 num_labels, H, W) float32.

    Args:
        labels: (N, rows, columns).
        num_labels: channels, first the share of each cell that a label covers, then whether it is
            there at all, so that nothing small is lost.
        factor: rows and columns of a cell.
    """
    each = np.stack([labels == number for number in range(1, num_labels + 1)], axis=1)
    found = torch.from_numpy(each.astype(np.float32))
    return torch.cat(
        [functional.avg_pool2d(found, factor), functional.max_pool2d(found, factor)], dim=1
    )
