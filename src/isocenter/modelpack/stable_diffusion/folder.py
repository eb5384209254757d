"""The folder of a Stable Diffusion model: found or fetched, looked through, and its digest.

A folder comes from anywhere, so it is treated as input: only text and tensors are read, each part
has one of the classes that are known here, and nothing that a file names is imported. Pickled
weights, which can run code when they are opened, are refused and never fetched.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocenter.core.errors import ModelRefused
from isocenter.core.files import sha256_of
from isocenter.modelpack.stable_diffusion.libraries import library

INDEX = "model_index.json"
PLAIN, XL = "StableDiffusionPipeline", "StableDiffusionXLPipeline"
MOST_JSON_BYTES = 10_000_000
PICKLED = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle")
HALF = "fp16"
_SCHEDULERS = (
    "DDIMScheduler DDPMScheduler DEISMultistepScheduler DPMSolverMultistepScheduler "
    "DPMSolverSinglestepScheduler EulerAncestralDiscreteScheduler EulerDiscreteScheduler "
    "HeunDiscreteScheduler LMSDiscreteScheduler PNDMScheduler UniPCMultistepScheduler"
).split()
_TOKENIZERS = ("CLIPTokenizer", "CLIPTokenizerFast")
# The classes that a part may have, by its role; the first of the pair is the library.
ROLES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "unet": (("diffusers",), ("UNet2DConditionModel",)),
    "vae": (("diffusers",), ("AutoencoderKL",)),
    "scheduler": (("diffusers",), tuple(_SCHEDULERS)),
    "text_encoder": (("transformers",), ("CLIPTextModel",)),
    "tokenizer": (("transformers",), _TOKENIZERS),
}
XL_ROLES = {
    **ROLES,
    "text_encoder_2": (("transformers",), ("CLIPTextModelWithProjection",)),
    "tokenizer_2": (("transformers",), _TOKENIZERS),
}
WITH_WEIGHTS = ("unet", "vae", "text_encoder", "text_encoder_2")
# Parts that many folders name and that are never read here.
LEFT_ASIDE = ("safety_checker", "feature_extractor", "image_encoder")
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")
_NO_FOLDER = (
    "there is no such Stable Diffusion folder; give a folder in the layout of diffusers "
    f"({INDEX}, unet, vae, text_encoder, tokenizer, scheduler), or a name on the model hub as "
    "OWNER/NAME or OWNER/NAME@REVISION"
)


@dataclass(frozen=True, kw_only=True)
class StableFolder:
    """A folder that was looked through and can be loaded.

    Attributes:
        path: where it lies.
        name: of the folder, or on the hub; never a path.
        revision: on the hub, "" for a folder.
        classes: of each part that is read, by role.
        is_xl: whether two text encoders and the sizes of the picture tell the network what to do.
        sha256: digest over everything that decides a pixel.
    """

    path: Path
    name: str
    revision: str
    classes: Mapping[str, str]
    is_xl: bool
    sha256: str

    def config(self, role: str) -> dict[str, Any]:
        """The configuration of a part, as its file has it."""
        file = "scheduler_config.json" if role == "scheduler" else "config.json"
        return read_json(self.path / role / file, f"{role}/{file}")

    def is_half(self, role: str) -> bool:
        """Whether the weights of a part are there in half precision alone."""
        return not any(f".{HALF}" not in one.name for one in _weights(self.path / role))


def open_folder(model: str | Path) -> StableFolder:
    """Find a Stable Diffusion model, or fetch it from the hub, and look through it.

    Args:
        model: a folder, or OWNER/NAME on the hub, with @REVISION where one is meant. What was
            fetched before is not fetched again.

    Raises:
        ModelRefused: there is none, it cannot be fetched, it holds pickled weights, or it is of
            another kind.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        refuse_pickles(folder)
        return _looked_through(folder, name=folder.resolve().name, revision="")
    if folder.is_file():
        raise ModelRefused(
            "this is a file, and a single file of weights is not read here; give a folder in the "
            "layout of diffusers, as its StableDiffusionPipeline.save_pretrained writes it with "
            "safe_serialization"
        )
    if isinstance(model, Path) or not _is_hub_name(model):
        raise ModelRefused(_NO_FOLDER, reason="no_such_model")
    name, _, revision = model.partition("@")
    fetched = fetch(name, revision=revision or None)
    is_commit = re.fullmatch(r"[0-9a-f]{40}", fetched.name)
    return _looked_through(fetched, name=name, revision=fetched.name if is_commit else revision)


def _is_hub_name(name: str) -> bool:
    """Whether a text names a model on the hub, not a folder that was mistyped: no folder of ours
    leaves the machine."""
    return bool(_HUB_NAME.fullmatch(name)) and not Path(name).parent.exists()


def fetch(name: str, *, revision: str | None = None) -> Path:
    """The folder of a model on the hub, in this machine's cache.

    Text and tensors of the parts that are read are fetched, nothing else: no pickles, no code, no
    safety checker. Only the name of the model leaves the machine.

    Raises:
        ModelRefused: it cannot be fetched, as without a network, or where it does not exist.
    """
    hub = library("huggingface_hub")
    wanted = [f"{role}/*{ending}" for role in XL_ROLES for ending in (".json", ".txt")]
    wanted += [f"{role}/*.safetensors" for role in WITH_WEIGHTS]
    try:
        found = hub.snapshot_download(
            name,
            revision=revision,
            allow_patterns=[INDEX, "README.md", *wanted],
            ignore_patterns=["*non_ema*", f"*.{HALF}*"],
        )
    except Exception as error:  # a client of the network may raise anything
        raise ModelRefused(
            f"the model {name} could not be fetched from the hub ({type(error).__name__}), and is "
            "not in this machine's cache; check the name and the network, accept the model's terms "
            "there if it asks for that, or fetch it elsewhere and give its folder",
            reason="no_such_model",
        ) from error
    return Path(found)


def read_json(path: Path, what: str) -> dict[str, Any]:
    """An object from a JSON file of a model.

    Args:
        path: of the file.
        what: to call it in a refusal.

    Raises:
        ModelRefused: it is missing, too large, not JSON or no object.
    """
    try:
        if path.stat().st_size > MOST_JSON_BYTES:
            raise ModelRefused(f"the model's file {what} is too large to be what it should be")
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, ModelRefused):
            raise
        raise ModelRefused(f"the model's file {what} is missing or not JSON") from error
    if not isinstance(value, dict):
        raise ModelRefused(f"the model's file {what} holds no object")
    return value


def refuse_pickles(folder: Path) -> None:
    """See that a folder holds no pickled weights.

    Raises:
        ModelRefused: it does.
    """
    pickled = [path for path in folder.rglob("*") if path.suffix.lower() in PICKLED]
    if pickled:
        shown = pickled[0].relative_to(folder).as_posix()
        raise ModelRefused(
            f"the folder holds {len(pickled)} file(s) of pickled weights, such as {shown}; opening "
            "a pickle can run any code, so only .safetensors are read here: take the pickles out "
            "of the folder, where .safetensors lie beside them, or get or save the model as "
            ".safetensors"
        )


def _looked_through(folder: Path, *, name: str, revision: str) -> StableFolder:
    if not (folder / INDEX).is_file():
        raise ModelRefused(f"the folder holds no {INDEX}; {_NO_FOLDER}", reason="no_such_model")
    index = read_json(folder / INDEX, INDEX)
    kind = index.get("_class_name")
    if kind not in (PLAIN, XL):
        raise ModelRefused(
            f"{INDEX} describes a {_shown(kind)}; Stable Diffusion 1.x, 2.x ({PLAIN}) and XL "
            f"({XL}) are accepted"
        )
    roles = XL_ROLES if kind == XL else ROLES
    _refuse_other_parts(index, roles)
    classes = {role: _class_of(role, index.get(role), roles) for role in roles}
    for role in roles:
        _check_part(folder, role)
    found = StableFolder(
        path=folder,
        name=name,
        revision=revision,
        classes=classes,
        is_xl=kind == XL,
        sha256=_digest(folder, roles),
    )
    _check_sizes(found)
    return found


def _class_of(role: str, named: object, roles: Mapping[str, Any]) -> str:
    libraries, classes = roles[role]
    pair = named if isinstance(named, list) and len(named) == 2 else [None, None]
    if pair[0] not in libraries or pair[1] not in classes:
        raise ModelRefused(
            f"{INDEX} names {_shown(named)} for the part {role}; accepted are "
            f"{', '.join(classes)} of {libraries[0]}, as code that a model brings is never run"
        )
    return str(pair[1])


def _refuse_other_parts(index: Mapping[str, Any], roles: Mapping[str, Any]) -> None:
    for name, value in index.items():
        is_part = isinstance(value, list) and value and value[0] is not None
        if is_part and name not in roles and name not in LEFT_ASIDE:
            raise ModelRefused(
                f"{INDEX} names a part {_shown(name)} that is not known here; a Stable Diffusion "
                f"has {', '.join(roles)}"
            )


def _check_part(folder: Path, role: str) -> None:
    if not (folder / role).is_dir():
        raise ModelRefused(f"the model's folder lacks its part {role}; get the model again")
    if role not in WITH_WEIGHTS:
        return
    config = read_json(folder / role / "config.json", f"{role}/config.json")
    if "quantization_config" in config:
        raise ModelRefused(f"{role} holds quantized weights, which are not read here")
    if not _weights(folder / role):
        raise ModelRefused(
            f"the model's part {role} holds no .safetensors; only those are read, as pickled "
            "weights can run code: get or save the model as .safetensors"
        )


def _check_sizes(folder: StableFolder) -> None:
    unet, vae = folder.config("unet"), folder.config("vae")
    channels = unet.get("in_channels"), unet.get("out_channels"), vae.get("latent_channels")
    if len(set(channels)) != 1:
        raise ModelRefused(
            f"the network takes {channels[0]} channels and gives {channels[1]}, its autoencoder "
            f"has {channels[2]}: this is a variant for inpainting or depth; give the plain model, "
            "which inpaints here as well"
        )
    if unet.get("time_cond_proj_dim") is not None:
        raise ModelRefused(
            "the network takes the strength of guidance as an input, as one distilled to few steps "
            "does; such models are not taken here, give the plain one"
        )


def _weights(part: Path) -> list[Path]:
    """The files of weights that count: full precision where it is there, else half."""
    found = [path for path in sorted(part.glob("*.safetensors")) if "non_ema" not in path.name]
    full = [path for path in found if f".{HALF}" not in path.name]
    return full or found


def _digest(folder: Path, roles: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for path in (folder / INDEX, *(one for role in sorted(roles) for one in _read(folder / role))):
        name = path.relative_to(folder).as_posix()
        digest.update(f"{sha256_of(path)}  {name}\n".encode())
    return digest.hexdigest()


def _read(part: Path) -> Iterator[Path]:
    """The files of a part that decide a pixel, in order."""
    yield from sorted(path for path in part.iterdir() if path.suffix in (".json", ".txt"))
    yield from _weights(part)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
