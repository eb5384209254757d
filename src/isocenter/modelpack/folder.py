"""One model folder: loaded, saved and verified, whatever kind of model it holds.

The folder has the layout of diffusers: ``model_index.json`` names the kind and its parts; a part is
a folder with ``config.json`` (``scheduler_config.json`` for a scheduler) and, for a network,
``diffusion_pytorch_model.safetensors``. Beside them lie JSON files that the kind asks for,
``card.json``, documents for people and, once it was measured, ``measured.json``. ``SHA256SUMS``
lists the digest of every file, and nothing is built before all of them agree.

A folder may come from anywhere, so it is treated as input: it holds text and tensors only, what it
names is looked up in :mod:`isocenter.modelpack.registry`, and tensors are read once their names
and shapes fit. diffusers itself, which takes ten seconds to import, is not needed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from isocenter.core.device import resolve_device
from isocenter.core.errors import ModelRefused, OutputRefused
from isocenter.core.files import (
    digests_below,
    folder_appearing_whole,
    raise_what_stops,
    write_text,
    writing_to,
)
from isocenter.modelpack.card import checked_card
from isocenter.modelpack.registry import (
    PARTS,
    ModelKind,
    PartKind,
    model_kind,
    part_kind,
    shipped_kind,
    shipped_names,
)

INDEX = "model_index.json"
CARD = "card.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
CHECKSUMS = "SHA256SUMS"
# Files that explain but decide no pixel; a card may be corrected without making another model.
EXPLAINING = ("README.md", CARD, "training.json", "measured.json", CHECKSUMS)
# Nothing that could run is read, so nothing else is let in.
ENDINGS = (".json", ".safetensors", ".md", ".txt")
MOST_JSON_BYTES = 10_000_000


class FolderModel(Protocol):
    """A kind of model that can be kept in a folder."""

    card: dict[str, Any]

    def parts(self) -> dict[str, Any]:
        """Networks and schedulers by role; each has ``config``, the arguments of its class."""
        ...

    def settings(self) -> dict[str, Any]:
        """What stands in ``model_index.json`` beside the parts, ready for JSON."""
        ...

    def tables(self) -> dict[str, dict[str, Any]]:
        """Content of the further JSON files, by name without ending."""
        ...

    @classmethod
    def from_parts(
        cls,
        parts: Mapping[str, Any],
        *,
        settings: Mapping[str, Any],
        tables: Mapping[str, Mapping[str, Any]],
        card: dict[str, Any],
        weights_sha256: str,
        device: str,
    ) -> Self:
        """The model again.

        Raises:
            ValueError, KeyError, TypeError: parts, settings or tables do not fit each other.
        """
        ...


def load_folder(
    folder: str | Path | None = None, *, kind: str | None = None, device: str = "cpu"
) -> Any:
    """Load a model after verifying every file.

    Args:
        folder: a model folder; the shipped one of ``kind`` where absent.
        kind: name of the kind that is needed, such as "CtEnhancer"; None takes what is there.
        device: "cpu", "cuda", "cuda:N" or "auto".

    Returns:
        A model of the class that the registry has for the kind.

    Raises:
        ModelRefused: no model folder, altered, or not what it should be.
        InputRefused: the device is not there.
    """
    if folder is None and kind is None:
        raise ValueError("name a folder, or the kind whose shipped folder is meant")
    place = Path(folder) if folder is not None else shipped_folder(model_kind(kind).shipped)
    device = resolve_device(device)
    digest = verify(place)
    index = _read_json(place, INDEX)
    found = model_kind(index.pop("_class_name", None))
    if kind is not None and found.name != kind:
        raise ModelRefused(f"this folder holds a {found.name}, a {kind} is needed")
    parts = {role: _load_part(place, role, index.pop(role, None), found) for role in found.roles}
    for name, value in index.items():
        if isinstance(value, list) and len(value) == 2 and all(isinstance(v, str) for v in value):
            raise ModelRefused(
                f"{INDEX} names a part {name!r}, and a {found.name} has none of that name; its "
                f"parts are {', '.join(found.roles)}"
            )
    there = [name for name in found.explaining_tables if (place / f"{name}.json").is_file()]
    tables = {name: _read_json(place, f"{name}.json") for name in (*found.tables, *there)}
    card = checked_card(_read_json(place, CARD))
    with _fitting("the model folder"):
        return found.load().from_parts(
            parts, settings=index, tables=tables, card=card, weights_sha256=digest, device=device
        )


def save_folder(
    model: FolderModel, folder: str | Path, *, documents: Mapping[str, str] | None = None
) -> str:
    """Write a model folder whole or not at all.

    Args:
        model: of a registered kind; its weights are stored in half precision.
        folder: must not exist yet.
        documents: further text files by name, such as ``README.md`` and ``training.json``.

    Returns:
        The digest over everything that decides a pixel.

    Raises:
        OutputRefused: the folder exists, or the disk does not take it.
        ModelRefused: the model is of no registered kind, or its card does not say enough.
        ValueError: a document has a name that is taken or not one of a text file.
    """
    folder = Path(folder)
    kind = model_kind(type(model).__name__)
    if folder.exists() or folder.is_symlink():
        raise OutputRefused("the model folder exists already; name another or remove it first")
    with writing_to(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder_appearing_whole(folder) as partial:
            _write_parts(model, kind, partial)
            for name, text in (documents or {}).items():
                _check_document(partial, name)
                write_text(partial / name, text)
            return write_checksums(partial)


def verify(folder: str | Path) -> str:
    """Compare every file with ``SHA256SUMS``.

    Returns:
        The digest over everything that decides a pixel.

    Raises:
        ModelRefused: a file is missing, altered, not listed, of a kind that is not read here, or
            a link that leads out of the folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ModelRefused(
            "there is no such model folder; name a folder made by `isocenter train`",
            reason="no_such_model",
        )
    listing = folder / CHECKSUMS
    if not listing.is_file():
        raise ModelRefused(
            f"no {CHECKSUMS} in the model folder; expected a folder made by `isocenter train` or "
            "the one that comes with the package"
        )
    _refuse_links_outside(folder)
    text = listing.read_text(errors="replace")  # a damaged list fits no file
    lines = [line.split("  ", 1) for line in text.splitlines() if "  " in line]
    expected = {name: digest for digest, name in lines}
    found = _digests(folder)
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ModelRefused(
                f"the model's file {name} is missing, altered or not listed in {CHECKSUMS}; "
                "get the model again from where it came",
                reason="model_altered",
            )
    for name in found:
        if not name.endswith(ENDINGS):
            raise ModelRefused(
                f"the model folder holds {name}; only {', '.join(ENDINGS)} belong into one, as "
                "other files, such as pickled weights, could run code"
            )
    return _deciding_digest(found)


def write_checksums(folder: Path) -> str:
    """List the digest of every file; return the digest over those that decide a pixel."""
    digests = _digests(folder)
    write_text(
        folder / CHECKSUMS, "".join(f"{digest}  {name}\n" for name, digest in digests.items())
    )
    return _deciding_digest(digests)


def shipped_folder(name: str = "ct_enhance") -> Path:
    """Where a model that comes with the package lies.

    Raises:
        ModelRefused: there is none of that name.
    """
    kind = shipped_kind(name)
    if kind is None:
        raise ModelRefused(f"no model named {name!r} comes with the package; give its folder")
    return Path(str(files("isocenter.modelpack"))) / "shipped" / kind.shipped


def load(model: str | Path | None = None, *, device: str = "cpu") -> Any:
    """A model by the name under which it is shipped, or from its folder.

    Args:
        model: "ct_enhance" (taken where absent), the name of a family of images that a shipped
            generator draws, or a model folder. A folder that has the name of a shipped model is
            given as a path, such as "./ct_enhance".
        device: "cpu", "cuda", "cuda:N" or "auto".

    Raises:
        ModelRefused: no such model, altered, or not what it should be.
        InputRefused: the device is not there.
    """
    name = "ct_enhance" if model is None else str(model)
    kind = shipped_kind(name) if not isinstance(model, Path) else None
    if kind is not None:
        loaded = load_folder(kind=kind.name, device=device)
        return loaded.of(name) if name in kind.families else loaded
    folder = Path(name).expanduser()
    if not folder.is_dir():
        shipped = shipped_names()
        near = difflib.get_close_matches(folder.name, shipped, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        comes = "come" if len(shipped) > 1 else "comes"
        raise ModelRefused(
            f"there is no such model and no such folder; {hint}{', '.join(shipped)} {comes} with "
            "the package, for any other give the model's folder"
        )
    return load_folder(folder, device=device)


def _refuse_links_outside(folder: Path) -> None:
    inside = folder.resolve()
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(inside):
            raise ModelRefused(
                f"{path.relative_to(folder).as_posix()} is a link that leads out of the model "
                "folder; put the file itself there"
            )


def _digests(folder: Path) -> dict[str, str]:
    digests = digests_below(folder)
    digests.pop(CHECKSUMS, None)
    return digests


def _deciding_digest(digests: Mapping[str, str]) -> str:
    deciding = [f"{digest}  {name}" for name, digest in digests.items() if name not in EXPLAINING]
    return hashlib.sha256("\n".join(deciding).encode()).hexdigest()


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    try:
        if path.stat().st_size > MOST_JSON_BYTES:
            raise ModelRefused(f"the model's file {name} is too large to be what it should be")
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except ModelRefused:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise ModelRefused(f"the model's file {name} is missing or not JSON") from error
    if not isinstance(value, dict):
        raise ModelRefused(f"the model's file {name} holds no object")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")


@contextmanager
def _fitting(what: str) -> Iterator[None]:
    """Turn what a constructor finds wrong into a refusal."""
    try:
        yield
    except ModelRefused:
        raise
    except KeyError as error:
        raise ModelRefused(
            f"{what} lacks {error}; it was written by another version of Isocenter, get or train "
            "the model for this one"
        ) from error
    except (TypeError, ValueError, AttributeError, OverflowError, RuntimeError) as error:
        raise ModelRefused(f"{what} does not fit this version of Isocenter: {error}") from error


def load_part(folder: Path, role: str, part: PartKind) -> Any:
    """Build one part of a folder whose files were verified.

    Raises:
        ModelRefused: it is not there, or not what it should be.
    """
    config = _read_json(folder, f"{role}/{part.config_file}")
    described = config.get("_class_name", part.name)
    if described != part.name:
        raise ModelRefused(
            f"{role}/{part.config_file} describes a {described}, a {part.name} is needed"
        )
    arguments = {name: value for name, value in config.items() if not name.startswith("_")}
    # A network gets no memory for weights until the sizes in its file are known to fit.
    where = torch.device("meta") if part.has_weights else nullcontext()
    with _fitting(f"{role}/{part.config_file}"), where:
        built = part.load()(**arguments)
    if part.has_weights:
        _fill(built, folder / role / WEIGHTS, role)
    return built


def save_part(folder: Path, role: str, made: Any, *, ordered: bool = False) -> PartKind:
    """Write what :func:`load_part` reads, weights in half precision.

    ``ordered`` keeps names in their order; else they stand as in the alphabet.

    Raises:
        ModelRefused: a weight is not finite in half precision.
    """
    part = PARTS[type(made).__name__]
    _write_json(
        folder / role / part.config_file, {"_class_name": part.name, **made.config}, ordered
    )
    if part.has_weights:
        _save_weights(made, folder / role / WEIGHTS, role)
    return part


def _load_part(place: Path, role: str, named: object, kind: ModelKind) -> Any:
    if named is None:
        raise ModelRefused(f"{INDEX} names no part {role}, and a {kind.name} needs one")
    return load_part(place, role, part_kind(role, named, kind=kind))


def _fill(network: nn.Module, path: Path, role: str) -> None:
    """Give a network without memory the tensors of a file, once names and shapes fit."""
    what = f"{role}/{path.name}"
    if not path.is_file():
        raise ModelRefused(f"the model's file {what} is missing")
    wanted = network.state_dict()
    try:
        with safe_open(path, framework="pt") as stored:
            names = set(stored.keys())
            for name in sorted(wanted.keys() ^ names):
                found = "lacks the tensor" if name in wanted else "holds a tensor too many,"
                raise ModelRefused(f"{what} {found} {name}; it belongs to another network")
            for name, tensor in wanted.items():
                shape = tuple(stored.get_slice(name).get_shape())
                if shape != tuple(tensor.shape):
                    raise ModelRefused(
                        f"the tensor {name} in {what} has shape {shape}, the network that "
                        f"{role}/config.json describes needs {tuple(tensor.shape)}"
                    )
            state = {name: _finite(stored.get_tensor(name), name, what) for name in wanted}
    except (SafetensorError, OSError) as error:
        raise ModelRefused(f"{what} is damaged or no file of tensors: {error}") from error
    network.load_state_dict(state, assign=True)


def _finite(tensor: Tensor, name: str, what: str) -> Tensor:
    single = tensor.float()  # first, as half precision is slow to look through on a processor
    if not tensor.is_floating_point() or not bool(torch.isfinite(single).all()):
        raise ModelRefused(f"the tensor {name} in {what} holds something else than finite numbers")
    return single


def _write_parts(model: FolderModel, kind: ModelKind, folder: Path) -> None:
    parts = model.parts()
    index: dict[str, Any] = {"_class_name": kind.name, **model.settings()}
    for role in kind.roles:
        part = save_part(folder, role, parts[role], ordered=kind.ordered)
        index[role] = [part.module, part.name]
    _write_json(folder / INDEX, index, kind.ordered)
    for name, table in model.tables().items():
        _write_json(folder / f"{name}.json", table, kind.ordered)
    _write_json(folder / CARD, checked_card(model.card), kind.ordered)


def _save_weights(network: nn.Module, path: Path, role: str) -> None:
    state = {
        name: tensor.detach().cpu().half().contiguous()
        for name, tensor in network.state_dict().items()
    }
    for name, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ModelRefused(
                f"the tensor {name} of {role} is not finite in half precision; train again"
            )
    try:
        save_file(state, path)
    except SafetensorError:
        raise_what_stops(path.parent, sum(tensor.nbytes for tensor in state.values()))
        raise
    path.chmod(0o644)


def _check_document(folder: Path, name: str) -> None:
    if Path(name).name != name or not name.endswith((".md", ".txt", ".json")):
        raise ValueError(f"a document is a .md, .txt or .json file beside the index, got {name!r}")
    if (folder / name).exists():
        raise ValueError(f"the model folder has a file {name} of its own; name the document else")


def _write_json(path: Path, value: Mapping[str, Any], ordered: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1, sort_keys=not ordered, allow_nan=False)
    write_text(path, text + "\n")
