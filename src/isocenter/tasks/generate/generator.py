"""The models that draw images, as this task and that of editing see them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from isocenter.core.errors import ModelRefused
from isocenter.core.files import named_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isocenter.modelpack.generator.defaults import Defaults
    from isocenter.modelpack.generator.family import Family
    from isocenter.modelpack.generator.wish import Generated, Wish

_INDEX, _LORA = "model_index.json", "pytorch_lora_weights.safetensors"


class Generator(Protocol):
    """A model that draws images of one family.

    Attributes:
        family: what it makes and what it may be told.
        name, version, weights_sha256, card: as every model has them.
        defaults: what it takes where a setting is left out.
    """

    family: Family
    defaults: Defaults
    name: str
    version: str
    weights_sha256: str
    card: dict[str, Any]

    def check(self, wish: Wish, /) -> None:
        """See that it can be told this.

        Raises:
            InputRefused: it cannot, in words; such as a word of the text that it does not know.
        """
        ...

    def generate(
        self,
        wishes: Sequence[Wish],
        seeds: Sequence[int],
        *,
        steps: int | None = ...,
        guidance: float | None = ...,
        sampler: str = ...,
        batch_size: int = ...,
        attention: bool = ...,
    ) -> Iterator[Generated]:
        """One image a wish, in order; the same wish and seed give the same pixels in any batch."""
        ...

    def edit(
        self,
        values: NDArray,
        wish: Wish,
        seed: int,
        *,
        strength: float,
        mask: NDArray | None = ...,
        steps: int | None = ...,
        guidance: float | None = ...,
    ) -> Generated:
        """Draw an image again in part; outside ``mask``, booleans of its shape, it stays."""
        ...

    def interpolate(
        self, first: NDArray, second: NDArray, fractions: Sequence[float]
    ) -> Iterator[NDArray]:
        """Images between two, (rows, columns) in the family's unit, one a fraction of the way."""
        ...

    def is_copy(self, values: NDArray, /) -> bool:
        """Whether an image is that of a patient the model was trained on."""
        ...


def load_generator(
    name: str | Path | Generator, model: str | Path | Generator | None, device: str
) -> Generator:
    """The model that is meant.

    Args:
        name: of a shipped model, its folder, or a loaded model.
        model: a folder or a loaded model to take instead; it must make what ``name`` says.
        device: where it runs.

    Raises:
        ModelRefused: there is no such model, it draws no images, or others than named.
        InputRefused: the device is not there.
    """
    found = _loaded(name if model is None else model, device, is_name=model is None)
    if not hasattr(found, "family"):
        raise ModelRefused(
            "this model draws no images; name one that does, such as brain_t1c, or its folder"
        )
    generator: Generator = found
    if model is not None and isinstance(name, str) and generator.family.name != name:
        return _of_family(found, name)
    return generator


def _of_family(found: Any, name: str) -> Generator:
    """The family of this name, of a model that may draw several."""
    families = list(getattr(found, "families", {})) or [found.family.name]
    if name not in families:
        raise ModelRefused(
            f"the model folder makes {', '.join(families)}, not what was named; name that, or "
            "give another folder"
        )
    generator: Generator = found.of(name)
    return generator


def _loaded(model: str | Path | Generator, device: str, *, is_name: bool) -> Any:
    if not isinstance(model, str | Path):
        return model
    from isocenter.modelpack.folder import load, load_folder

    if is_name and isinstance(model, str) and not _is_on_a_hub(model):
        if _is_stable_diffusion(Path(model)):
            return _stable_diffusion(model, device)
        return load(model, device=device)
    if _is_on_a_hub(model) or _is_stable_diffusion(named_path(model)):
        return _stable_diffusion(model, device)
    return load_folder(named_path(model), device=device)


def _is_stable_diffusion(folder: Path) -> bool:
    """Whether a folder is one of diffusers' Stable Diffusion, or a LoRA for one."""
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return (folder / _LORA).is_file()
    name = index.get("_class_name") if isinstance(index, dict) else None
    return isinstance(name, str) and name.startswith("StableDiffusion")


def _is_on_a_hub(model: str | Path) -> bool:
    """Whether a name is OWNER/NAME of a hub of models, and no folder here."""
    return (
        isinstance(model, str)
        and model.count("/") == 1
        and not model.startswith((".", "/", "~"))
        and not Path(model).exists()
    )


def _stable_diffusion(model: str | Path, device: str) -> Any:
    from isocenter.modelpack.stable_diffusion.generator import StableDiffusionGenerator

    return StableDiffusionGenerator.load(model, device=device)
