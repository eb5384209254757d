"""Which image comes next, and which part of it.

The image at a place of the order follows from the seed and that place alone. So a run that goes on
at step 1,000 sees what it would have seen, and any number of processes or workers draw one order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocenter.core.checks import check_least, check_share
from isocenter.core.errors import InputRefused
from isocenter.core.seeds import generator_for
from isocenter.training.processes import num_processes, process_number

Labels = tuple[str, ...]
_LEAST_BLOCK, _LARGEST_BLOCK = 64, 100_000


def balanced_shares(
    labels: Sequence[Labels], *, evenness: Sequence[float] = ()
) -> dict[Labels, float]:
    """How much of what is drawn each group of images gets, balanced level by level.

    With labels of (domain, class) the domains share what is drawn, and in each domain its classes.

    Args:
        labels: of each image, as many words for each; images of the same words are a group.
        evenness: of each level: 1 gives all words the same, 0 as much as they have images, and what
            is between gives words of n images n^(1 - evenness). 1 where nothing is said.

    Returns:
        The share of each group; they sum to 1.

    Raises:
        InputRefused: there is no image, or images have different numbers of words.
    """
    if not labels or len({len(one) for one in labels}) != 1:
        raise InputRefused(
            f"images are balanced by the same number of labels each, got {len(labels)} images "
            f"with {sorted({len(one) for one in labels})} labels"
        )
    for value in evenness:
        check_share("evenness", value)
    levels = len(labels[0])
    wanted = [*evenness, *[1.0] * levels][:levels]
    return dict(sorted(_shares(labels, 0, wanted)))


def _shares(
    labels: Sequence[Labels], level: int, evenness: Sequence[float]
) -> Iterator[tuple[Labels, float]]:
    if level == len(evenness):
        yield labels[0], 1.0
        return
    parts: dict[str, list[Labels]] = {}
    for one in labels:
        parts.setdefault(one[level], []).append(one)
    weights = {word: len(part) ** (1 - evenness[level]) for word, part in parts.items()}
    for word, part in parts.items():
        share = weights[word] / sum(weights.values())
        for group, inside in _shares(part, level + 1, evenness):
            yield group, share * inside


class BalancedOrder:
    """An endless order of images in which every group keeps its share all the way.

    The order comes in blocks; in each, the groups have their shares to within one image, in random
    places. A group's images come in random order, and all of them before one comes again.

    Args:
        labels: of each image; images of the same labels are a group.
        shares: of the groups, as :func:`balanced_shares` gives them; any that sum to 1 do.
        seed: of the order.

    Raises:
        InputRefused: a group has no share, or shares do not sum to 1.
    """

    def __init__(
        self, labels: Sequence[Labels], shares: Mapping[Labels, float], *, seed: int
    ) -> None:
        groups = sorted(set(labels))
        lacking = [group for group in groups if not shares.get(group, 0) > 0]
        if lacking or set(shares) - set(groups) or not math.isclose(sum(shares.values()), 1):
            raise InputRefused(
                f"every group of images has a share above 0 and all sum to 1; "
                f"{len(lacking)} groups have none, {len(set(shares) - set(groups))} shares are of "
                f"no image, and the sum is {sum(shares.values()):g}"
            )
        self._members = [
            np.array([k for k, one in enumerate(labels) if one == group]) for group in groups
        ]
        self._names = ["/".join(group) for group in groups]
        self._seed = seed
        values = np.array([shares[group] for group in groups])
        self._cumulative = np.concatenate([[0.0], np.cumsum(values)[:-1], [1.0]])
        # A block so large that a group's count in it, of two rounded ends, is never below zero.
        self._block = max(_LEAST_BLOCK, math.ceil(2 / values.min()))
        if self._block > _LARGEST_BLOCK:
            raise InputRefused(
                f"the smallest share is {values.min():g}, too small to keep; leave its images out "
                "or take less even shares"
            )
        self._block_at_hand: tuple[int, NDArray] = (-1, np.zeros(0))
        self._epochs_at_hand: dict[int, tuple[int, NDArray]] = {}

    def __call__(self, position: int) -> int:
        """The number of the image at a place of the order, from 0."""
        if position < 0:
            raise IndexError(position)
        block, place = divmod(position, self._block)
        groups = self._places(block)
        group = int(groups[place])
        before = int(self._counts_before(block)[group]) + int((groups[:place] == group).sum())
        epoch, inside = divmod(before, len(self._members[group]))
        return int(self._permutation(group, epoch)[inside])

    def numbers(self, start: int, count: int) -> list[int]:
        """The images at ``count`` places from ``start``."""
        return [self(position) for position in range(start, start + count)]

    def _counts_before(self, block: int) -> NDArray:
        """How many images of each group came before a block."""
        return np.diff(np.floor(block * self._block * self._cumulative)).astype(np.int64)

    def _places(self, block: int) -> NDArray:
        if self._block_at_hand[0] != block:
            counts = self._counts_before(block + 1) - self._counts_before(block)
            groups = np.repeat(np.arange(len(counts)), counts)
            rng = generator_for(self._seed, "order", "block", block)
            self._block_at_hand = block, rng.permutation(groups)
        return self._block_at_hand[1]

    def _permutation(self, group: int, epoch: int) -> NDArray:
        if self._epochs_at_hand.get(group, (-1,))[0] != epoch:
            rng = generator_for(self._seed, "order", "group", self._names[group], epoch)
            self._epochs_at_hand[group] = epoch, rng.permutation(self._members[group])
        return self._epochs_at_hand[group][1]


def places_of_share(step: int, batch_size: int) -> range:
    """Places of this process's share of the batch of a step, from 0.

    The loop shares batches itself; this is for whoever draws them without it.

    Raises:
        InputRefused: the processes cannot share a batch of this size.
    """
    if batch_size % num_processes():
        raise InputRefused(
            f"{num_processes()} processes cannot share a batch of {batch_size}; start as many as "
            "divide it, or set another batch_size"
        )
    size = batch_size // num_processes()
    first = step * batch_size + process_number() * size
    return range(first, first + size)


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A window of an image, as whole voxels along each axis.

    Attributes:
        start: its first voxel.
        size: how many there are.
        box: the number of the box that it was drawn around, None for a crop from anywhere.
    """

    start: tuple[int, ...]
    size: tuple[int, ...]
    box: int | None = None

    @property
    def slices(self) -> tuple[slice, ...]:
        """To cut the last axes of an array: ``array[..., *crop.slices]``."""
        return tuple(
            slice(first, first + count) for first, count in zip(self.start, self.size, strict=True)
        )

    def boxes(self, boxes: NDArray) -> NDArray:
        """Boxes of the image as the crop sees them, cut at its edges; NaN where they lie outside.

        Args:
            boxes: (box, axis, 2), first and last edge in voxels.
        """
        seen = np.asarray(boxes, float) - np.asarray(self.start, float)[:, None]
        seen = np.clip(seen, 0, np.asarray(self.size, float)[:, None])
        outside = (seen[..., 1] <= seen[..., 0]).any(axis=-1)
        seen[outside] = np.nan
        return seen


def lesion_crop(
    shape: Sequence[int],
    boxes: NDArray,
    size: Sequence[int],
    rng: np.random.Generator,
    *,
    share: float,
    margin: int = 0,
) -> Crop:
    """Draw a crop around a lesion, or from anywhere.

    A lesion that fits lies in the crop as a whole, anywhere in it, so that the network does not
    learn to expect it in the middle. Of one that is too large, the crop sees a part.

    Args:
        shape: of the image, voxels along each axis.
        boxes: (box, axis, 2), first and last edge of each lesion in voxels; may be none.
        size: of the crop; no larger than the image.
        rng: draws all.
        share: of crops around a lesion, where there is one.
        margin: voxels to be seen around the lesion, where the crop has room for them.

    Raises:
        InputRefused: the crop is larger than the image, or a box is none of this image.
    """
    check_share("share", share)
    check_least("margin", margin, 0)
    boxes = _checked_boxes(boxes, shape)
    if len(size) != len(shape) or any(n > most for n, most in zip(size, shape, strict=True)):
        raise InputRefused(f"a crop of {tuple(size)} voxels does not fit in {tuple(shape)}")
    chosen = int(rng.integers(len(boxes))) if len(boxes) and rng.random() < share else None
    start = []
    for axis, (count, whole) in enumerate(zip(size, shape, strict=True)):
        low, high = 0, whole - count
        if chosen is not None:
            low, high = _starts_around(boxes[chosen, axis], count, whole, margin)
        start.append(int(rng.integers(low, high + 1)))
    return Crop(start=tuple(start), size=tuple(map(int, size)), box=chosen)


def _starts_around(box: NDArray, count: int, whole: int, margin: int) -> tuple[int, int]:
    """First and last start of a crop of so many voxels that holds a box, or lies in it."""
    first, last = math.floor(box[0]), math.ceil(box[1])
    room = max(0, min(margin, (count - (last - first)) // 2))
    ends = sorted((last + room - count, first - room))
    low, high = (min(max(end, 0), whole - count) for end in ends)
    return low, high


def _checked_boxes(boxes: NDArray, shape: Sequence[int]) -> NDArray:
    boxes = np.asarray(boxes, float).reshape(-1, len(shape), 2)
    inside = (boxes[..., 0] >= 0) & (boxes[..., 1] <= np.asarray(shape))
    if not (inside & (boxes[..., 0] < boxes[..., 1])).all():
        raise InputRefused(
            f"a box lies in an image of {tuple(shape)} voxels and its edges rise; one does not"
        )
    return boxes
