"""The kinds of model and the parts that a model folder may name; nothing else is ever built.

A name found in a file is looked up here and decides nothing more: what is imported stands in these
tables. A new kind of model is one entry of :data:`KINDS`, a new architecture one of :data:`PARTS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from isocenter.core.errors import ModelRefused

NETWORK_CONFIG = "config.json"
SCHEDULER_CONFIG = "scheduler_config.json"


@dataclass(frozen=True, kw_only=True)
class PartKind:
    """A network or a scheduler, as ``model_index.json`` names it.

    Attributes:
        module, name: the pair that stands in the index, and where the class is.
        config_file: holds the arguments of the class, in the part's folder.
        has_weights: whether a file of tensors lies beside it.
    """

    module: str
    name: str
    config_file: str = NETWORK_CONFIG
    has_weights: bool = True

    def load(self) -> Any:
        """The class."""
        return _class(self.module, self.name)


@dataclass(frozen=True, kw_only=True)
class ModelKind:
    """A whole model; its class has the shape of :class:`isocenter.modelpack.folder.FolderModel`.

    Attributes:
        module, name: where the class is, and ``_class_name`` in the index.
        roles: for each part, which of :data:`PARTS` may play it.
        tables: further JSON files that decide pixels, without their ending.
        explaining_tables: JSON files that may be there and decide no pixel, without their ending;
            ``EXPLAINING`` of :mod:`isocenter.modelpack.folder` names them too.
        shipped: folder of this kind that comes with the package, "" where none does.
        families: names of what is in the shipped folder, each of which can be loaded; the model
            has ``of(family)``, which chooses one.
        ordered: whether the order of names in its JSON files decides what they stand for.
    """

    module: str
    name: str
    roles: Mapping[str, tuple[str, ...]]
    tables: tuple[str, ...] = ()
    explaining_tables: tuple[str, ...] = ()
    shipped: str = ""
    families: tuple[str, ...] = ()
    ordered: bool = False

    def load(self) -> Any:
        """The class."""
        return _class(self.module, self.name)


def _class(module: str, name: str) -> Any:
    """A class of ours; what it needs may be an extra that is not installed."""
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise ModelRefused(
            f"this kind of model needs {error.name}, which is not installed; install the extra "
            "`generate`, such as by `pip install 'isocenter[generate]'`"
        ) from error


PARTS: dict[str, PartKind] = {
    "RestorationUNet": PartKind(
        module="isocenter.networks.restoration_unet", name="RestorationUNet"
    ),
    "MeanBridgeScheduler": PartKind(
        module="isocenter.diffusion.bridge",
        name="MeanBridgeScheduler",
        config_file=SCHEDULER_CONFIG,
        has_weights=False,
    ),
    "Autoencoder": PartKind(module="isocenter.networks.autoencoder", name="Autoencoder"),
    "LatentControlNet": PartKind(module="isocenter.networks.latent_unet", name="LatentControlNet"),
    "LatentUNet": PartKind(module="isocenter.networks.latent_unet", name="LatentUNet"),
    "TextEncoder": PartKind(module="isocenter.networks.text_encoder", name="TextEncoder"),
    "CopyGuard": PartKind(module="isocenter.networks.copy_guard", name="CopyGuard"),
    "Process": PartKind(
        module="isocenter.diffusion.process",
        name="Process",
        config_file=SCHEDULER_CONFIG,
        has_weights=False,
    ),
}

KINDS: dict[str, ModelKind] = {
    "CtEnhancer": ModelKind(
        module="isocenter.modelpack.ct_enhance.model",
        name="CtEnhancer",
        roles={
            "mean": ("RestorationUNet",),
            "texture": ("RestorationUNet",),
            "scheduler": ("MeanBridgeScheduler",),
        },
        tables=("calibration",),
        explaining_tables=("measured",),
        shipped="ct_enhance",
    ),
    "ImageGenerator": ModelKind(
        module="isocenter.modelpack.generator.model",
        name="ImageGenerator",
        roles={
            "autoencoder": ("Autoencoder",),
            "denoiser": ("LatentUNet",),
            "text": ("TextEncoder",),
            "scheduler": ("Process",),
            "guard": ("CopyGuard",),
        },
        tables=("families",),
        explaining_tables=("measured",),
        shipped="generators",
        families=("brain_t1c", "chest_radiograph", "chest_ct", "brain_labels"),
        ordered=True,
    ),
    "ImageControl": ModelKind(
        module="isocenter.modelpack.control.model",
        name="ImageControl",
        roles={"control": ("LatentControlNet",)},
    ),
}


def model_kind(name: object) -> ModelKind:
    """The kind of model of this name.

    Raises:
        ModelRefused: there is none.
    """
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ModelRefused(
            f"{_shown(name)} is no kind of model known here; known are {', '.join(KINDS)}"
        )
    return kind


def part_kind(role: str, named: object, *, kind: ModelKind) -> PartKind:
    """The part that an index names for a role.

    Args:
        role: one of ``kind.roles``.
        named: what stands in the index, a pair of module and class.
        kind: of the model.

    Raises:
        ModelRefused: no such pair, an unknown part, or one that does not fit the role.
    """
    if not (isinstance(named, list) and len(named) == 2 and all(isinstance(n, str) for n in named)):
        raise ModelRefused(
            f'model_index.json must name the part {role} as a pair ["module", "Class"], got '
            f"{_shown(named)}"
        )
    module, name = named
    part = PARTS.get(name)
    if part is None or part.module != module:
        raise ModelRefused(
            f"model_index.json names {_shown(f'{module}.{name}')} for the part {role}, which is "
            f"not known here; known are {', '.join(PARTS)}"
        )
    if name not in kind.roles[role]:
        raise ModelRefused(
            f"a {name} cannot be the part {role} of a {kind.name}, which takes "
            f"{' or '.join(kind.roles[role])}"
        )
    return part


def shipped_kind(name: str) -> ModelKind | None:
    """The kind whose shipped folder, or a family in it, has this name; None where there is none."""
    return next(
        (
            kind
            for kind in KINDS.values()
            if kind.shipped and name in (kind.shipped, *kind.families)
        ),
        None,
    )


def shipped_names() -> list[str]:
    """Every name under which something that is shipped can be loaded, families before folders."""
    return [
        name
        for kind in KINDS.values()
        if kind.shipped
        for name in (kind.families or (kind.shipped,))
    ]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
