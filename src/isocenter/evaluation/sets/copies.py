"""Is a generated image a copy of a training image?

Every image becomes a unit vector. How near two different patients' images may come is not guessed
but measured on patients that were never trained on: whatever is nearer to a training image than
they ever are, by a margin, is a copy. An embedding that was trained for it
(``training/judges/copy_embedding.py``) finds copies that were moved, bent, brightened or made
noisy; a thumbnail finds plain ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from isocenter.core.checks import check_share
from isocenter.core.errors import InputRefused
from isocenter.core.seeds import generator_for
from isocenter.evaluation.sets.filter_statistics import thumbnails
from isocenter.networks.copy_guard import CopyGuard, Verdict, embedded
from isocenter.networks.image_embedding import ImageEmbedding

__all__ = ["CopyGuard", "Verdict"]

LEAST_HELD_OUT = 20
PERCENTILE = 99.5
MARGIN = 0.2
_THUMBNAIL_SIDE = 16
_AT_ONCE = 512

Alter = Callable[[NDArray], NDArray]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How a guard tells copies from other patients' images.

    Attributes:
        threshold: cosine from which an image is a copy.
        held_out_median, held_out_quantile: of the cosine of held-out patients' images with the
            nearest training image; the quantile is ``PERCENTILE``.
        num_held_out: such images.
        held_out_blocked: share of them that the guard would take for copies, which they are not.
        copies_caught: share of altered training images that are taken for copies; NaN where none
            were tried.
    """

    threshold: float
    held_out_median: float
    held_out_quantile: float
    num_held_out: int
    held_out_blocked: float
    copies_caught: float

    def described(self) -> dict[str, float]:
        """Ready for JSON; what was not tried is left out."""
        return {name: value for name, value in asdict(self).items() if np.isfinite(value)}


def copy_threshold(
    held_out_similarity: NDArray, *, percentile: float = PERCENTILE, margin: float = MARGIN
) -> float:
    """The cosine from which an image is a copy.

    Args:
        held_out_similarity: of images of patients never trained on with the nearest training
            image.
        percentile: of these.
        margin: how far above it the threshold lies, as a share of what is left up to 1.

    Raises:
        InputRefused: fewer than 20 images, which say nothing about such a percentile.
    """
    check_share("margin", margin)
    if len(held_out_similarity) < LEAST_HELD_OUT:
        raise InputRefused(
            f"a threshold for copies needs {LEAST_HELD_OUT} or more images of patients that were "
            f"not trained on, got {len(held_out_similarity)}; hold more patients out"
        )
    quantile = float(np.percentile(held_out_similarity, percentile))
    return min(1.0, quantile + margin * (1 - quantile))


def make_guard(
    embedding: ImageEmbedding,
    training: NDArray,
    held_out: NDArray,
    *,
    group: str = "images",
    alter: Alter | None = None,
    percentile: float = PERCENTILE,
    margin: float = MARGIN,
    seed: int = 0,
) -> tuple[CopyGuard, Calibration]:
    """A guard against copies of training images, and how well it tells them.

    Weights and vectors are rounded to half precision first, as they are stored. Vectors are
    shuffled, so that their order names nobody.

    Args:
        embedding: trained on the training images.
        training: (images, rows, columns) in [-1, 1], all that the generator is trained on.
        held_out: images of patients that neither was trained on.
        group: what they are.
        alter: makes altered copies, for trying how many are caught; None tries none.

    Raises:
        InputRefused: too few held-out images.
    """
    rounded = ImageEmbedding(**embedding.config)
    rounded.load_state_dict(
        {name: value.half().float() for name, value in embedding.state_dict().items()}
    )
    rounded.eval().requires_grad_(False)
    order = generator_for(seed, "order of a copy guard").permutation(len(training))
    vectors = embedded(rounded, training)[order].astype(np.float16).astype(np.float32)
    outside = nearest_similarity(embedded(rounded, held_out), vectors)[0]
    threshold = copy_threshold(outside, percentile=percentile, margin=margin)
    guard = CopyGuard(
        embedding=embedding.config,
        groups={group: {"num_images": len(training), "threshold": threshold}},
    ).eval()
    guard.embedding.load_state_dict(rounded.state_dict())
    guard.training_vectors(group).copy_(torch.from_numpy(vectors))
    guard.requires_grad_(False)
    caught = (
        float("nan") if alter is None else float(guard.judge(alter(training), group).is_copy.mean())
    )
    return guard, Calibration(
        threshold=threshold,
        held_out_median=float(np.median(outside)),
        held_out_quantile=float(np.percentile(outside, percentile)),
        num_held_out=len(outside),
        held_out_blocked=float((outside >= threshold).mean()),
        copies_caught=caught,
    )


@dataclass(frozen=True, kw_only=True)
class CopyFindings:
    """Copies of a real set's images in a generated set.

    Attributes:
        similarity: of each generated image with the nearest real one.
        nearest: which real image that is.
        is_copy: of each generated image.
        threshold: cosine from which it is one.
        between_patients: for each real image the cosine with the nearest image of another patient.
    """

    similarity: NDArray
    nearest: NDArray
    is_copy: NDArray
    threshold: float
    between_patients: NDArray


def find_copies(
    real_vectors: NDArray,
    generated_vectors: NDArray,
    patients: Sequence[str] | NDArray,
    *,
    percentile: float = PERCENTILE,
    margin: float = MARGIN,
) -> CopyFindings:
    """Generated images that are nearer to a real one than other patients' images ever are.

    The threshold comes from the real set itself: each image against those of all other patients.
    The embedding must not have been trained on the set.

    Args:
        real_vectors, generated_vectors: (images, channels) unit vectors.
        patients: whose each real image is.

    Raises:
        InputRefused: fewer than 20 real images, or of one patient alone.
    """
    owner = np.unique(np.asarray(patients, dtype=str), return_inverse=True)[1]
    if owner.max() < 1:
        raise InputRefused("copies are told from other patients' images; one patient has none")
    between = nearest_similarity(real_vectors, real_vectors, owners=(owner, owner))[0]
    threshold = copy_threshold(between, percentile=percentile, margin=margin)
    similarity, nearest = nearest_similarity(generated_vectors, real_vectors)
    return CopyFindings(
        similarity=similarity,
        nearest=nearest,
        is_copy=similarity >= threshold,
        threshold=threshold,
        between_patients=between,
    )


def nearest_similarity(
    vectors: NDArray, others: NDArray, *, owners: tuple[NDArray, NDArray] | None = None
) -> tuple[NDArray, NDArray]:
    """Cosine with the nearest other vector, and which it is.

    Args:
        vectors, others: (images, channels) unit vectors.
        owners: whose both are; vectors of one owner are not held against each other.
    """
    similarity, index = [], []
    for start in range(0, len(vectors), _AT_ONCE):
        found = vectors[start : start + _AT_ONCE] @ others.T
        if owners is not None:
            same = owners[0][start : start + _AT_ONCE, None] == owners[1][None, :]
            found = np.where(same, -1.0, found)
        similarity.append(found.max(axis=1))
        index.append(found.argmax(axis=1))
    return np.concatenate(similarity), np.concatenate(index)


def thumbnail_vectors(images: NDArray) -> NDArray:
    """Unit vectors without any network: 16 x 16 means of cells, their own mean taken away.

    Blind to brightness and contrast; a copy that was moved or bent is missed.
    """
    small = thumbnails(images, _THUMBNAIL_SIDE).astype(np.float64)
    small -= small.mean(axis=1, keepdims=True)
    return small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-9)
