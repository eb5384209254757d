from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused
from isocenter.training.judges.alteration import AlterationSettings
from isocenter.training.judges.box_finder import (
    BoxFinderSettings,
    box_overlap,
    found_boxes,
    train_box_finder,
)
from isocenter.training.judges.fitting import FitSettings

SETTINGS = BoxFinderSettings(
    widths=(16, 32),
    blocks=(1, 1),
    side=64,
    fit=FitSettings(steps=60, batch_size=16, learning_rate=3e-3),
    alteration=AlterationSettings(turn_deg=3.0),
)


def discs(count: int, seed: int) -> tuple[NDArray, NDArray]:
    """A bright disc on noise, and its box."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:64, :64] + 0.5
    images = rng.normal(-0.5, 0.1, (count, 64, 64))
    boxes = np.empty((count, 4))
    for image, box in zip(images, boxes, strict=True):
        x, y, radius = rng.uniform(16, 48), rng.uniform(16, 48), rng.uniform(7, 12)
        image[(row - y) ** 2 + (column - x) ** 2 < radius**2] += 1
        box[:] = x / 64, y / 64, radius / 32, radius / 32
    return np.clip(images, -1, 1).astype(np.float32), boxes


def test_planted_discs_are_found() -> None:
    finder = train_box_finder(*discs(64, 0), settings=SETTINGS)
    images, boxes = discs(30, 1)
    overlap = box_overlap(found_boxes(finder, images), boxes)
    assert (overlap >= 0.5).mean() > 0.9


def test_overlap_of_boxes_is_that_of_areas() -> None:
    boxes = np.array([[0.5, 0.5, 0.2, 0.4]] * 3)
    others = np.array([[0.5, 0.5, 0.2, 0.4], [0.6, 0.5, 0.2, 0.4], [0.9, 0.5, 0.2, 0.4]])
    assert box_overlap(boxes, others) == pytest.approx([1, 1 / 3, 0])


def test_an_image_without_a_box_is_refused() -> None:
    images, boxes = discs(4, 0)
    boxes[1] = np.nan
    with pytest.raises(InputRefused, match="box"):
        train_box_finder(images, boxes, settings=SETTINGS)
    with pytest.raises(InputRefused, match="box"):
        train_box_finder(images, boxes[:3], settings=SETTINGS)
