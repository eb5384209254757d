"""Another autoencoder, from a model folder or from the file that a training run keeps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from isocenter.modelpack.generator.model import ImageGenerator
from isocenter.networks.autoencoder import Autoencoder
from isocenter.training.checkpoint import load_state

KEPT = "autoencoder.pt"


def read_autoencoder(place: Path) -> Autoencoder:
    """Of a model folder, of a folder that holds ``autoencoder.pt``, or of that file itself.

    Raises:
        ModelRefused: a model folder that is none.
    """
    file = place / KEPT if place.is_dir() else place
    if not file.is_file():
        return ImageGenerator.from_pretrained(place).autoencoder
    state = load_state(file)
    network = Autoencoder(**shape_of(state))
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


def shape_of(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The sizes that an autoencoder's tensors have."""
    coarser = sorted(
        (int(name.split(".")[3]), len(tensor))
        for name, tensor in state.items()
        if name.startswith("network.encoder.blocks.") and name.endswith(".conv.conv.weight")
    )
    residual = [
        int(name.split(".")[3])
        for name in state
        if name.startswith("network.encoder.blocks.") and name.endswith(".conv1.conv.weight")
    ]
    first = coarser[0][0] if coarser else max(residual) + 1
    coarsest = len(state["network.decoder.blocks.0.conv.weight"])
    return {
        "channels": (*(size for _, size in coarser), coarsest),
        "blocks": sum(place < first for place in residual),
        "latent_channels": len(state["direct_in.weight"]),
    }
