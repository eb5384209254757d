"""A LoRA folder: small matrices beside a model's own, and what their gray levels stand for.

Those that ``isocenter train lora`` writes hold ``stable_diffusion.json``, a card, ``SHA256SUMS``
and, where enough images were held out, a guard against copies; others, in any layout that diffusers
reads, hold a file of tensors alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocenter.core.checks import check_least, check_positive
from isocenter.core.errors import IsocenterError, ModelRefused, SettingRefused
from isocenter.core.files import sha256_of
from isocenter.modelpack.card import checked_card
from isocenter.modelpack.folder import CARD, load_part, verify
from isocenter.modelpack.registry import PARTS
from isocenter.modelpack.stable_diffusion.folder import StableFolder, read_json, refuse_pickles
from isocenter.modelpack.stable_diffusion.gray import GrayScale
from isocenter.modelpack.stable_diffusion.libraries import library
from isocenter.modelpack.stable_diffusion.parts import StableParts
from isocenter.networks.copy_guard import CopyGuard

FACTS = "stable_diffusion.json"
WEIGHTS = "pytorch_lora_weights.safetensors"
FACTS_VERSION = 1
MOST_SCALE = 4.0
GUARD, GUARDED = "guard", "images"
"""The folder of the guard against copies, and the one group of images that it knows."""
_NAME = "isocenter"
_CODE = re.compile(r"([A-Z0-9_][A-Z0-9_ ]{0,15})?")
_ENCODERS = ("text_encoder", "text_encoder_2")


@dataclass(frozen=True, kw_only=True)
class AdapterFacts:
    """What an adapter was fitted to.

    Attributes:
        base_name, base_sha256: the model that it changes.
        scale: what black and white stand for.
        title: of what it makes, such as "Chest CT".
        modality, body_part: as DICOM has them, such as "CT" and "CHEST"; "" where not known.
        rows, columns: of the pictures that it was fitted to.
        pixel_mm: side of a pixel, where all had the same.
    """

    base_name: str
    base_sha256: str
    scale: GrayScale
    title: str
    modality: str = ""
    body_part: str = ""
    rows: int
    columns: int
    pixel_mm: float | None = None

    def __post_init__(self) -> None:
        for name in ("base_name", "base_sha256", "title"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} must not be empty")
        for name in ("modality", "body_part"):
            check_code(name, getattr(self, name))
        for name in ("rows", "columns"):
            check_least(name, getattr(self, name), 1)
        if self.pixel_mm is not None:
            check_positive("pixel_mm", self.pixel_mm)

    def described(self) -> dict[str, Any]:
        """Ready for JSON; :func:`facts_of` reads it."""
        return {
            "version": FACTS_VERSION,
            "base": {"name": self.base_name, "sha256": self.base_sha256},
            "unit": self.scale.unit,
            "window": {"center": self.scale.center, "width": self.scale.width},
            "title": self.title,
            "modality": self.modality,
            "body_part": self.body_part,
            "rows": self.rows,
            "columns": self.columns,
            "pixel_mm": self.pixel_mm,
        }


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A LoRA folder that was looked through.

    Attributes:
        path: of its file of tensors.
        name: of the folder.
        sha256: digest over everything that decides a pixel.
        facts, card: None where the folder is not one of ours.
        guard: knows the images that it was fitted to; None where it has none.
    """

    path: Path
    name: str
    sha256: str
    facts: AdapterFacts | None = None
    card: dict[str, Any] | None = None
    guard: CopyGuard | None = None


def check_code(name: str, code: str) -> None:
    """See that a text is a DICOM code string, or empty.

    Raises:
        ValueError: it is neither.
    """
    if not _CODE.fullmatch(code):
        raise ValueError(
            f"{name} is a DICOM code of up to 16 capitals, digits, spaces and underscores, such as "
            f"CHEST, got {code!r}"
        )


def open_adapter(folder: str | Path) -> Adapter:
    """Look through a LoRA folder.

    Raises:
        ModelRefused: there is none, it was altered, holds pickles, or no file of tensors.
    """
    place = Path(folder).expanduser()
    if not place.is_dir():
        raise ModelRefused(
            "there is no such LoRA folder; give one made by `isocenter train lora`, or one that "
            f"holds {WEIGHTS}",
            reason="no_such_model",
        )
    refuse_pickles(place)
    weights = _weights(place)
    name = place.resolve().name
    if not (place / FACTS).is_file():
        return Adapter(path=weights, name=name, sha256=sha256_of(weights))
    digest = verify(place)
    return Adapter(
        path=weights,
        name=name,
        sha256=digest,
        facts=facts_of(read_json(place / FACTS, FACTS)),
        card=checked_card(read_json(place / CARD, CARD)),
        guard=_guard(place),
    )


def _guard(folder: Path) -> CopyGuard | None:
    if not (folder / GUARD).is_dir():
        return None
    guard: CopyGuard = load_part(folder, GUARD, PARTS[CopyGuard.__name__])
    if set(guard.groups) != {GUARDED}:
        raise ModelRefused(
            "the LoRA's guard against copies knows other images than those of a LoRA; get the "
            "folder again from where it came"
        )
    return guard.eval().requires_grad_(False)


def is_adapter(folder: str | Path) -> bool:
    """Whether a folder holds a LoRA rather than a whole model."""
    place = Path(folder).expanduser()
    return (place / FACTS).is_file() or (place / WEIGHTS).is_file()


def facts_of(table: Mapping[str, Any]) -> AdapterFacts:
    """Read what :meth:`AdapterFacts.described` wrote.

    Raises:
        ModelRefused: something is missing or cannot be meant.
    """
    try:
        if table["version"] != FACTS_VERSION:
            raise ValueError(f"version {table['version']!r} is not {FACTS_VERSION}")
        texts = {name: _text(table, name) for name in ("title", "modality", "body_part", "unit")}
        window, pixel_mm = table["window"], table["pixel_mm"]
        return AdapterFacts(
            base_name=_text(table["base"], "name"),
            base_sha256=_text(table["base"], "sha256"),
            scale=GrayScale(
                unit=texts.pop("unit"),
                center=float(window["center"]),
                width=float(window["width"]),
            ),
            rows=int(table["rows"]),
            columns=int(table["columns"]),
            pixel_mm=None if pixel_mm is None else float(pixel_mm),
            **texts,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelRefused(
            f"the adapter's file {FACTS} does not say what it must: {error}; train the adapter "
            "with this version of Isocenter"
        ) from error


def check_base(adapter: Adapter, base: StableFolder) -> None:
    """See that an adapter is put on the model that it was fitted to.

    Raises:
        ModelRefused: it was fitted to another.
    """
    if adapter.facts is not None and adapter.facts.base_sha256 != base.sha256:
        raise ModelRefused(
            f"the adapter was fitted to {adapter.facts.base_name} with the digest "
            f"{adapter.facts.base_sha256[:12]}, this model's is {base.sha256[:12]}; give that "
            "model, in the same precision and revision"
        )


def put_on(parts: StableParts, adapter: Adapter, *, scale: float = 1.0) -> None:
    """Put an adapter's matrices beside those of the networks.

    Args:
        parts: changed in place.
        adapter: of this model.
        scale: 0 leaves the model as it is, 1 is what was fitted.

    Raises:
        SettingRefused: the scale is out of range.
        ModelRefused: the tensors do not fit the networks.
    """
    if not 0 <= scale <= MOST_SCALE:
        raise SettingRefused(f"the scale of a LoRA is from 0 to {MOST_SCALE:g}, got {scale:g}")
    try:
        touched = _load(parts, adapter)
    except IsocenterError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelRefused(
            f"the LoRA does not fit this model ({type(error).__name__}); it was made for another"
        ) from error
    for network in touched:
        _set_scale(network, scale)


def _load(parts: StableParts, adapter: Adapter) -> list[Any]:
    library("peft")  # before diffusers misses it
    mixin = lora_mixin(is_xl=parts.is_xl)
    state, alphas, *_ = mixin.lora_state_dict(
        adapter.path.parent,
        weight_name=adapter.path.name,
        use_safetensors=True,
        local_files_only=True,
        unet_config=parts.unet.config,
    )
    if not state or not all("lora" in name for name in state):
        raise ValueError("no LoRA")
    mixin.load_lora_into_unet(state, alphas, unet=parts.unet, adapter_name=_NAME)
    touched = [parts.unet] if getattr(parts.unet, "peft_config", None) else []
    for role, encoder in zip(_ENCODERS, parts.text_encoders, strict=False):
        if any(name.startswith(f"{role}.") for name in state):
            mixin.load_lora_into_text_encoder(
                state, alphas, text_encoder=encoder, prefix=role, adapter_name=_NAME
            )
            touched.append(encoder)
    if not touched:
        raise ValueError("no tensor of it belongs to this network")
    for network in touched:
        network.requires_grad_(False)
    return touched


def _set_scale(network: Any, scale: float) -> None:
    layer = library("peft.tuners.tuners_utils").BaseTunerLayer
    for module in network.modules():
        if isinstance(module, layer):
            module.set_scale(_NAME, scale)


def lora_mixin(*, is_xl: bool) -> Any:
    """What diffusers reads and writes LoRA files with."""
    loaders = library("diffusers.loaders")
    kind = "StableDiffusionXL" if is_xl else "StableDiffusion"
    return getattr(loaders, f"{kind}LoraLoaderMixin")


def _weights(folder: Path) -> Path:
    found = sorted(folder.glob("*.safetensors"))
    named = [path for path in found if path.name == WEIGHTS] or found
    if len(named) != 1:
        raise ModelRefused(
            f"the LoRA folder holds {len(found)} files of tensors; expected {WEIGHTS} or a single "
            ".safetensors"
        )
    return named[0]


def _text(table: Mapping[str, Any], name: str) -> str:
    value = table[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text")
    return value
