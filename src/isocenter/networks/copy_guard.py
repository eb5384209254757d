"""What keeps copies of training images from leaving: their embeddings and how near is too near.

The guard holds no image and no identifier: a few dozen numbers an image, in an order that says
nothing, against which any image can be held. They are too few to hold its pixels, but whoever has
an image can ask whether it was trained on; that is what a guard is. It is a part of a model folder
like any network: ``config`` and tensors say all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from isocenter.networks.image_embedding import ImageEmbedding

MOST_IMAGES = 2_000_000
MOST_GROUPS = 256
_AT_ONCE = 32


class Verdict(NamedTuple):
    """Of each image judged.

    Attributes:
        similarity: cosine with the nearest training image, in [-1, 1].
        row: which row of the guard's vectors that was.
        is_copy: whether it is nearer than images of patients never trained on ever were.
    """

    similarity: NDArray
    row: NDArray
    is_copy: NDArray


class CopyGuard(nn.Module):
    """Tells whether images are copies of what a model was trained on.

    Images come in groups, such as families, whose own images may lie nearer or further apart: each
    has training images and a threshold of its own.

    Args:
        embedding: ``config`` of an :class:`~isocenter.networks.image_embedding.ImageEmbedding`.
        groups: by name ``num_images``, of training images, and ``threshold``, the cosine from which
            an image is a copy.

    Raises:
        ValueError: sizes or a threshold that cannot be meant.
    """

    def __init__(
        self, *, embedding: dict[str, Any], groups: Mapping[str, Mapping[str, Any]]
    ) -> None:
        super().__init__()
        if not 1 <= len(groups) <= MOST_GROUPS:
            raise ValueError(f"1 to {MOST_GROUPS} groups are guarded, got {len(groups)}")
        for name, group in groups.items():
            _check(name, group)
        self.embedding = ImageEmbedding(**embedding)
        self.groups = {
            name: {"num_images": one["num_images"], "threshold": float(one["threshold"])}
            for name, one in sorted(groups.items())  # a file of JSON keeps no other order
        }
        self.config: dict[str, Any] = {
            "embedding": self.embedding.config,
            "groups": self.groups,
        }
        channels = self.embedding.config["channels"]
        for place, group in enumerate(self.groups.values()):
            self.register_buffer(f"vectors_{place}", torch.zeros(group["num_images"], channels))

    def training_vectors(self, group: str) -> Tensor:
        """(images, channels) unit vectors of a group's training images."""
        vectors: Tensor = getattr(self, f"vectors_{list(self.groups).index(group)}")
        return vectors

    def judge(self, images: NDArray, group: str) -> Verdict:
        """Hold images against all training images of their group.

        Args:
            images: (images, rows, columns) in [-1, 1], of any size.
            group: what they are.
        """
        vectors = torch.from_numpy(embedded(self.embedding, images))
        nearest = (vectors @ self.training_vectors(group).float().cpu().T).max(dim=1)
        similarity = nearest.values.numpy()
        return Verdict(
            similarity=similarity,
            row=nearest.indices.numpy(),
            is_copy=similarity >= self.groups[group]["threshold"],
        )

    @classmethod
    def joined(cls, guards: Sequence[CopyGuard]) -> CopyGuard:
        """One guard of the groups of several that have the same embedding."""
        groups = {name: group for one in guards for name, group in one.groups.items()}
        made = cls(embedding=guards[0].embedding.config, groups=groups)
        made.embedding.load_state_dict(guards[0].embedding.state_dict())
        for one in guards:
            for name in one.groups:
                made.training_vectors(name).copy_(one.training_vectors(name))
        return made.eval().requires_grad_(False)


def _check(name: str, group: Mapping[str, Any]) -> None:
    count, threshold = group["num_images"], group["threshold"]
    if not isinstance(count, int) or not 1 <= count <= MOST_IMAGES:
        raise ValueError(f"num_images of {name} is within 1..{MOST_IMAGES}, got {count!r}")
    if not -1 <= threshold <= 1:
        raise ValueError(f"threshold of {name} is a cosine from -1 to 1, got {threshold!r}")


def embedded(network: nn.Module, images: NDArray) -> NDArray:
    """What a network makes of (images, rows, columns), one row an image, float32."""
    where = next(network.parameters()).device
    network.eval()
    found = []
    with torch.no_grad():
        for start in range(0, len(images), _AT_ONCE):
            part = np.ascontiguousarray(images[start : start + _AT_ONCE], np.float32)
            found.append(network(torch.from_numpy(part)[:, None].to(where)).float().cpu().numpy())
    return np.concatenate(found)
