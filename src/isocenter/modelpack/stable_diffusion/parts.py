"""The parts of a Stable Diffusion in memory: networks, tokenizers and the noise schedule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from isocenter.core.errors import IsocenterError, ModelRefused, SettingRefused
from isocenter.modelpack.stable_diffusion.folder import (
    HALF,
    INDEX,
    WITH_WEIGHTS,
    StableFolder,
    read_json,
)
from isocenter.modelpack.stable_diffusion.libraries import library

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
SMALL_MEMORY_BYTES = 8 * 2**30


@dataclass(frozen=True, kw_only=True)
class StableParts:
    """What a folder holds, loaded.

    Attributes:
        unet, vae: of diffusers.
        text_encoders, tokenizers: of transformers, two each for XL.
        scheduler: as the folder has it; it says whether noise or velocity is predicted.
        is_xl: whether the sizes of the picture are conditions too.
        zeros_for_no_text: whether no text is zeros instead of the embedding of "" (XL says so).
    """

    unet: Any
    vae: Any
    text_encoders: tuple[Any, ...]
    tokenizers: tuple[Any, ...]
    scheduler: Any
    is_xl: bool
    zeros_for_no_text: bool

    @property
    def pixels_a_latent(self) -> int:
        """Rows, and columns, of the picture that one of the latent stands for."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def side(self) -> int:
        """Rows, and columns, of the pictures that the network was made for."""
        sample = self.unet.config.sample_size
        return int(sample if isinstance(sample, int) else min(sample)) * self.pixels_a_latent

    @property
    def multiple(self) -> int:
        """What rows and columns must be multiples of, so that every level of the network halves."""
        halvings = len(self.unet.config.block_out_channels) - 1
        return int(self.pixels_a_latent * 2**halvings)


def load_parts(
    folder: StableFolder, *, device: str = "cpu", precision: str = "auto"
) -> StableParts:
    """Load every part of a folder onto a device.

    The autoencoder is always computed in single precision: that of XL overflows in half precision
    and its pictures turn black.

    Args:
        folder: as :func:`isocenter.modelpack.stable_diffusion.folder.open_folder` gives it.
        device: "cpu", "cuda" or "cuda:N".
        precision: of the other networks; "auto" takes float16 on a graphics card and float32 on a
            processor; or float32, float16, bfloat16.

    Raises:
        ModelRefused: a part does not fit its own description.
        SettingRefused: there is no such precision.
    """
    kind = _precision(precision, device)
    roles = [role for role in folder.classes if role in WITH_WEIGHTS]
    networks = {
        role: _network(folder, role, torch.float32 if role == "vae" else kind) for role in roles
    }
    for network in networks.values():
        network.to(device).eval().requires_grad_(False)
    unet = networks["unet"]
    if device.startswith("cuda") and _memory_bytes(device) < SMALL_MEMORY_BYTES:
        unet.set_attention_slice("auto")
    encoders = [role for role in roles if role.startswith("text_encoder")]
    tokenizers = [role for role in folder.classes if role.startswith("tokenizer")]
    return StableParts(
        unet=unet,
        vae=networks["vae"],
        text_encoders=tuple(networks[role] for role in sorted(encoders)),
        tokenizers=tuple(_tokenizer(folder, role) for role in sorted(tokenizers)),
        scheduler=_scheduler(folder),
        is_xl=folder.is_xl,
        zeros_for_no_text=folder.is_xl and _zeros_for_no_text(folder),
    )


def _precision(name: str, device: str) -> torch.dtype:
    if name == "auto":
        return torch.float16 if device.startswith("cuda") else torch.float32
    if name not in PRECISIONS:
        raise SettingRefused(f"precision is auto, {', '.join(PRECISIONS)}, got {name!r}")
    return PRECISIONS[name]


def _memory_bytes(device: str) -> int:
    return int(torch.cuda.get_device_properties(device).total_memory)


def _network(folder: StableFolder, role: str, kind: torch.dtype) -> Any:
    source = _library(role)
    options: dict[str, Any] = {"variant": HALF} if folder.is_half(role) else {}
    if role.startswith("text_encoder"):
        options |= {"attn_implementation": "sdpa", "dtype": kind}  # no kernels from elsewhere
    else:
        options |= {"torch_dtype": kind}
    with _refusing(role), _quietly():
        network = getattr(source, folder.classes[role]).from_pretrained(
            folder.path / role, use_safetensors=True, local_files_only=True, **options
        )
    _check_finite(network, role)
    return network


def _library(role: str) -> Any:
    of_text = role.startswith(("text_encoder", "tokenizer"))
    return library("transformers" if of_text else "diffusers")


def _tokenizer(folder: StableFolder, role: str) -> Any:
    with _refusing(role):
        return getattr(_library(role), folder.classes[role]).from_pretrained(
            folder.path / role, local_files_only=True
        )


def _scheduler(folder: StableFolder) -> Any:
    with _refusing("scheduler"):
        scheduler = getattr(_library("scheduler"), folder.classes["scheduler"]).from_pretrained(
            folder.path / "scheduler", local_files_only=True
        )
    kind = scheduler.config.get("prediction_type", "epsilon")
    if kind not in ("epsilon", "v_prediction"):
        raise ModelRefused(
            f"the model predicts {kind!r}; noise (epsilon) and velocity (v_prediction) are accepted"
        )
    return scheduler


def _zeros_for_no_text(folder: StableFolder) -> bool:
    index = read_json(folder.path / INDEX, INDEX)
    return bool(index.get("force_zeros_for_empty_prompt", True))


def _check_finite(network: nn.Module, role: str) -> None:
    for name, tensor in network.named_parameters():
        if not bool(torch.isfinite(tensor.detach()).all()):
            raise ModelRefused(f"the tensor {name} of {role} holds numbers that are not finite")


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the bars that transformers draws while it loads."""
    logging = library("transformers").utils.logging
    was_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_on:
            logging.enable_progress_bar()


@contextmanager
def _refusing(role: str) -> Iterator[None]:
    """Turn what a library finds wrong with a part into a refusal without its folder's name."""
    try:
        yield
    except IsocenterError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelRefused(
            f"the model's part {role} does not fit its own description "
            f"({type(error).__name__}); get the model again from where it came"
        ) from error
    except Exception as error:  # safetensors and tokenizers raise errors of their own base
        if type(error).__module__.partition(".")[0] not in (
            "builtins",
            "safetensors",
            "tokenizers",
        ):
            raise
        raise ModelRefused(
            f"the model's part {role} is damaged; get the model again from where it came"
        ) from error
