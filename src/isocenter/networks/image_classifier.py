"""A small classifier of gray images: what a synthetic training set is measured with.

Axes: B batch, C channel, H row, W column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from isocenter.networks.feature_network import FeatureNetwork

MOST_CLASSES = 1000


class ImageClassifier(nn.Module):
    """Classes of gray images from the means of a feature network's maps.

    Args:
        num_classes: two or more.
        widths, blocks: of the :class:`~isocenter.networks.feature_network.FeatureNetwork` inside,
            which is trained with the rest.

    Raises:
        ValueError: sizes that make no network that could be meant.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        widths: Sequence[int] = (32, 64, 128, 192),
        blocks: Sequence[int] = (1, 1, 1, 1),
    ) -> None:
        super().__init__()
        if not isinstance(num_classes, int) or not 2 <= num_classes <= MOST_CLASSES:
            raise ValueError(f"num_classes is within 2..{MOST_CLASSES}, got {num_classes!r}")
        self.features = FeatureNetwork(widths=widths, blocks=blocks)
        self.config: dict[str, Any] = {"num_classes": num_classes, **self.features.config}
        self.head = nn.Linear(self.features.num_features, num_classes)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Logits, (B, num_classes), of images (B, 1, H, W) in [-1, 1]."""
        logits: Tensor = self.head(self.features(images_BCHW))
        return logits
