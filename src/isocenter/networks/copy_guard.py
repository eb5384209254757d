"""What keeps copies of training images from leaving: their embeddings and how near is too near.

The guard holds no image and no identifier: a few dozen numbers an image, in an order that says
nothing, against which any image can be held. They are too few to hold its pixels, but whoever has
an image can ask whether it was trained on; that is what a guard is. It is a part of a model folder
like any network: ``config`` and tensors say all.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from isocenter.networks.image_embedding import ImageEmbedding

MOST_IMAGES = 2_000_000
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

    Args:
        embedding: ``config`` of an :class:`~isocenter.networks.image_embedding.ImageEmbedding`.
        num_images: training images.
        threshold: cosine from which an image is a copy.

    Raises:
        ValueError: sizes or a threshold that cannot be meant.
    """

    training_vectors: Tensor

    def __init__(self, *, embedding: dict[str, Any], num_images: int, threshold: float) -> None:
        super().__init__()
        if not isinstance(num_images, int) or not 1 <= num_images <= MOST_IMAGES:
            raise ValueError(f"num_images is within 1..{MOST_IMAGES}, got {num_images!r}")
        if not -1 <= threshold <= 1:
            raise ValueError(f"threshold is a cosine from -1 to 1, got {threshold!r}")
        self.embedding = ImageEmbedding(**embedding)
        self.threshold = float(threshold)
        self.config: dict[str, Any] = {
            "embedding": self.embedding.config,
            "num_images": num_images,
            "threshold": self.threshold,
        }
        channels = self.embedding.config["channels"]
        self.register_buffer("training_vectors", torch.zeros(num_images, channels))

    def judge(self, images: NDArray) -> Verdict:
        """Hold images against all training images.

        Args:
            images: (images, rows, columns) in [-1, 1], of any size.
        """
        vectors = torch.from_numpy(embedded(self.embedding, images))
        nearest = (vectors @ self.training_vectors.float().cpu().T).max(dim=1)
        similarity = nearest.values.numpy()
        return Verdict(
            similarity=similarity,
            row=nearest.indices.numpy(),
            is_copy=similarity >= self.threshold,
        )


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
