"""What is measured in each image before sets are compared, over the whole image or in regions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import ModelRefused
from isocenter.core.files import sha256_of
from isocenter.evaluation.sets.filter_statistics import filter_maps, thumbnails

if TYPE_CHECKING:
    from isocenter.networks.feature_network import FeatureNetwork

LEAST_SIDE = 64
_LAYOUT = 4
_AT_ONCE = 16
_WEIGHTS_ENDING = ".safetensors"
_MOST_CONFIG_BYTES = 100_000


class Features(Protocol):
    """A way to measure images.

    Attributes:
        name: for people, such as "filter statistics".
        digest: SHA-256 of the weights, "" where there are none.
    """

    name: str
    digest: str

    def maps(self, images: NDArray) -> list[NDArray]:
        """(images, maps, rows, columns) of each level, of (images, rows, columns) in [-1, 1]."""
        ...

    def pool(self, maps: Sequence[NDArray], weight: NDArray | None) -> NDArray:
        """(images, features) over a region, given as weights (rows, columns); None for all."""
        ...

    def of_layout(self, images: NDArray) -> NDArray:
        """(images, features) that only the whole image has; may have no column."""
        ...


class FilterFeatures:
    """Means and standard deviations of fixed filters' maps, with a thumbnail of 4 x 4."""

    name = "filter statistics"
    digest = ""

    def maps(self, images: NDArray) -> list[NDArray]:
        """See :func:`isocenter.evaluation.sets.filter_statistics.filter_maps`."""
        return filter_maps(images)

    def pool(self, maps: Sequence[NDArray], weight: NDArray | None) -> NDArray:
        """Means, then standard deviations."""
        means = [_mean(one, weight) for one in maps]
        squares = [_mean(one**2, weight) for one in maps]
        spreads = [
            np.sqrt(np.maximum(square - mean**2, 0))
            for mean, square in zip(means, squares, strict=True)
        ]
        return np.concatenate([*means, *spreads], axis=1)

    def of_layout(self, images: NDArray) -> NDArray:
        """Means of 4 x 4 cells."""
        return thumbnails(images, _LAYOUT)


class NetworkFeatures:
    """Means of a feature network's maps.

    Args:
        network: trained.
        digest: SHA-256 of its file.
    """

    name = "feature network"

    def __init__(self, network: FeatureNetwork, *, digest: str = "") -> None:
        self.network = network.eval().requires_grad_(False)
        self.digest = digest

    def maps(self, images: NDArray) -> list[NDArray]:
        """Of every level of the network."""
        import torch

        with torch.no_grad():
            batch = torch.from_numpy(np.ascontiguousarray(images, np.float32))[:, None]
            return [one.float().numpy() for one in self.network.maps(batch)]

    def pool(self, maps: Sequence[NDArray], weight: NDArray | None) -> NDArray:
        """Means."""
        return np.concatenate([_mean(one, weight) for one in maps], axis=1)

    def of_layout(self, images: NDArray) -> NDArray:
        """Nothing more."""
        return np.empty((len(images), 0), np.float32)


def features_of_file(path: Path) -> NetworkFeatures:
    """Load a feature network of ours.

    Args:
        path: a ``.safetensors`` file whose ``config`` stands in its metadata or in ``config.json``
            beside it; or a folder that holds one such file.

    Raises:
        ModelRefused: it is something else, such as weights of an Inception network.
    """
    from safetensors import SafetensorError, safe_open

    from isocenter.networks.feature_network import FeatureNetwork

    file = _weights_file(path)
    try:
        with safe_open(file, framework="pt") as stored:
            config = _config(file, stored.metadata() or {})
            network = FeatureNetwork(**config)
            state = {name: stored.get_tensor(name).float() for name in stored.keys()}  # noqa: SIM118
        network.load_state_dict(state)
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError) as error:
        raise ModelRefused(
            "these weights are not those of a feature network of Isocenter; accepted is what "
            "save_features wrote. An Inception network cannot be used: neither its weights nor a "
            "package that rebuilds it comes with Isocenter, so its FID cannot be given. Leave "
            "--features out to measure with fixed filters"
        ) from error
    return NetworkFeatures(network, digest=sha256_of(file))


def save_features(network: FeatureNetwork, path: Path) -> Path:
    """Write a feature network as half-precision safetensors, with its ``config`` in the file."""
    from safetensors.torch import save_file

    state = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    save_file(state, path, metadata={"config": json.dumps(network.config)})
    return path


def _weights_file(path: Path) -> Path:
    if path.is_dir():
        there = sorted(path.glob(f"*{_WEIGHTS_ENDING}"))
        if len(there) != 1:
            raise ModelRefused(
                f"a folder of features holds one {_WEIGHTS_ENDING} file, this one {len(there)}; "
                "name the file"
            )
        return there[0]
    if not path.is_file():
        raise ModelRefused("there is no such file of features", reason="no_such_model")
    if path.suffix != _WEIGHTS_ENDING:
        raise ModelRefused(
            f"features are read from a {_WEIGHTS_ENDING} file alone, as other kinds of weights can "
            "run code; convert the file, or leave --features out"
        )
    return path


def _config(file: Path, metadata: Mapping[str, str]) -> dict[str, list[int]]:
    beside = file.with_name("config.json")
    if "config" in metadata:
        text = metadata["config"]
    elif beside.is_file() and beside.stat().st_size <= _MOST_CONFIG_BYTES:
        text = beside.read_text(encoding="utf-8")
    else:
        raise ValueError("no config stands in the file or beside it")
    config = json.loads(text)
    if not isinstance(config, dict):
        raise ValueError("the config is no object")
    return {name: value for name, value in config.items() if not name.startswith("_")}


@dataclass(frozen=True, kw_only=True)
class Regions:
    """Where images are measured beside the whole.

    Attributes:
        weights: by name (rows, columns) of the images' size, not negative.
    """

    weights: Mapping[str, NDArray]


def grid_regions(shape: tuple[int, int], cells: int = 2) -> Regions:
    """Equal cells of an image, named by their place."""
    names = [
        (f"row {row + 1}, column {column + 1} of {cells} x {cells}", row, column)
        for row in range(cells)
        for column in range(cells)
    ]
    rows, columns = (np.arange(size) * cells // size for size in shape)
    return Regions(
        weights={
            name: ((rows == row)[:, None] & (columns == column)).astype(np.float32)
            for name, row, column in names
        }
    )


def mask_regions(mask: NDArray, names: Sequence[str]) -> Regions:
    """Labels of a mask (rows, columns): label k + 1 is ``names[k]``; 0 is outside.

    Raises:
        ValueError: a named label does not occur.
    """
    for number, name in enumerate(names, start=1):
        if not np.any(mask == number):
            raise ValueError(f"the mask has no pixel of {name!r} (label {number})")
    return Regions(
        weights={name: (mask == k).astype(np.float32) for k, name in enumerate(names, start=1)}
    )


WHOLE = "whole image"


def measured(
    images: NDArray,
    features: Features,
    *,
    regions: Regions | None = None,
    scales: Sequence[int] = (1,),
) -> dict[str, NDArray]:
    """Features of every image, over the whole, in regions, and of smaller copies.

    Args:
        images: (images, rows, columns) in [-1, 1], ``LEAST_SIDE`` pixels a side or more.
        regions: measured at full size.
        scales: 1 for full size, 2 for half and so on; what would be below ``LEAST_SIDE`` is left
            out.

    Returns:
        (images, features) float64 by name: ``WHOLE``, "1/2 of the size", each region.

    Raises:
        ValueError: images of another shape, or too small.
    """
    if images.ndim != 3 or min(images.shape[1:]) < LEAST_SIDE:
        raise ValueError(
            f"images must be (images, rows, columns) of {LEAST_SIDE} pixels a side or more, got "
            f"shape {images.shape}"
        )
    kept = [scale for scale in scales if min(images.shape[1:]) // scale >= LEAST_SIDE]
    found: dict[str, list[NDArray]] = {}
    for start in range(0, len(images), _AT_ONCE):
        batch = np.asarray(images[start : start + _AT_ONCE], np.float32)
        for scale in kept:
            part = _smaller(batch, scale)
            maps = features.maps(part)
            whole = np.concatenate([features.pool(maps, None), features.of_layout(part)], axis=1)
            found.setdefault(WHOLE if scale == 1 else f"1/{scale} of the size", []).append(whole)
            if scale == 1 and regions is not None:
                for name, weight in regions.weights.items():
                    found.setdefault(name, []).append(features.pool(maps, weight))
    return {name: np.concatenate(parts).astype(np.float64) for name, parts in found.items()}


def _smaller(images: NDArray, scale: int) -> NDArray:
    if scale == 1:
        return images
    rows, columns = (size // scale for size in images.shape[1:])
    part = images[:, : rows * scale, : columns * scale]
    return part.reshape(len(images), rows, scale, columns, scale).mean(axis=(2, 4))


def _mean(maps: NDArray, weight: NDArray | None) -> NDArray:
    """(images, maps) of (images, maps, rows, columns), weighted by a region of any resolution."""
    if weight is None:
        return maps.mean(axis=(2, 3), dtype=np.float64)
    shares = _brought_to(weight, maps.shape[-2:])
    return np.einsum("nchw,hw->nc", maps, shares, dtype=np.float64) / shares.sum()


def _brought_to(weight: NDArray, shape: tuple[int, ...]) -> NDArray:
    """Means of the pixels that fall into each pixel of a coarser grid; never all zero."""
    coarse = np.zeros(shape)
    rows, columns = (
        np.arange(size) * small // size for size, small in zip(weight.shape, shape, strict=True)
    )
    np.add.at(coarse, (rows[:, None], columns[None, :]), np.asarray(weight, float))
    return coarse / coarse.sum()
