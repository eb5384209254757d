"""Stable Diffusion as a generator of gray images with values: from text, from an image, or both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isocenter.core.device import resolve_device
from isocenter.core.errors import InputRefused, ModelRefused, SettingRefused
from isocenter.modelpack.generator.attention import word_maps
from isocenter.modelpack.generator.defaults import OWN_SAMPLER, Defaults
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.seams import hidden_seam
from isocenter.modelpack.generator.wish import Generated, Wish
from isocenter.modelpack.stable_diffusion.adapter import (
    GUARDED,
    Adapter,
    check_base,
    is_adapter,
    open_adapter,
    put_on,
)
from isocenter.modelpack.stable_diffusion.attention import watched, words_of
from isocenter.modelpack.stable_diffusion.card import card_of
from isocenter.modelpack.stable_diffusion.folder import INDEX, StableFolder, open_folder
from isocenter.modelpack.stable_diffusion.gray import (
    MOST_DIFFERENCE,
    GrayScale,
    color_difference,
)
from isocenter.modelpack.stable_diffusion.parts import StableParts, load_parts
from isocenter.modelpack.stable_diffusion.sampling import (
    Course,
    Kept,
    decode,
    encode,
    noise_of,
    sample,
)
from isocenter.modelpack.stable_diffusion.text import longest, num_tokens

NAME = "stable_diffusion"
STEPS, GUIDANCE = 30, 7.5
# What a model of photographs makes is of no modality and shows no part of a body for certain.
NO_MODALITY, NO_BODY_PART = "OT", "UNKNOWN"
LEAST_SIDE = 16
MOST_SIDE = 4096
NO_GUARD = (
    "What this model was trained on is not known here, so nobody has looked whether an image is a "
    "copy of a training image."
)
GUARDED_ADAPTER = (
    "No image is a copy of one that the LoRA was fitted to, as its guard tells copies. What the "
    "model below it was trained on is not known here, and nobody has looked for copies of that."
)
COLOR = (
    "The model drew in color: its channels lie {levels:.0f} of 255 levels apart on average. The "
    "values are the brightness of the picture."
)


class StableDiffusionGenerator:
    """A Stable Diffusion model that is told what to draw by text alone.

    It does not change when used.

    Attributes:
        family: what it makes and what it may be told.
        name, version: of its card.
        weights_sha256: digest over everything that decides a pixel, adapter and scale included.
        card: licence, limits and what it is not for.
        defaults: what it takes where a setting is left out.
        guard: against copies of what its adapter was fitted to, None where there is none.
        notes: what everybody should know of its images.
    """

    defaults = Defaults(steps=STEPS, guidance=GUIDANCE)

    def __init__(
        self,
        parts: StableParts,
        *,
        base: StableFolder,
        adapter: Adapter | None = None,
        lora_scale: float = 1.0,
    ) -> None:
        self.parts = parts
        self.gray = _scale_of(adapter)
        self.guard = None if adapter is None else adapter.guard
        self.notes: tuple[str, ...] = (NO_GUARD if self.guard is None else GUARDED_ADAPTER,)
        self.family = _family(parts, adapter)
        _check_size(self.family, parts)
        self.card: dict[str, Any] = card_of(base, adapter)
        self.name: str = self.card["name"]
        self.version: str = self.card["version"]
        self.weights_sha256 = _digest(base, adapter, lora_scale)

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        lora: str | Path | None = None,
        lora_scale: float = 1.0,
        device: str = "cpu",
        precision: str = "auto",
    ) -> StableDiffusionGenerator:
        """Load a model, with an adapter where one is given.

        Args:
            model: a folder in the layout of diffusers, or OWNER/NAME on the hub of models.
            lora: a LoRA folder, such as one of ``isocenter train lora``.
            lora_scale: 0 leaves the model as it is, 1 is what was fitted.
            device: "cpu", "cuda", "cuda:N" or "auto".
            precision: "auto" takes float16 on a graphics card and float32 on a processor; or
                float32, float16, bfloat16.

        Raises:
            ModelRefused: not there, not fetched, altered, pickled, or of another kind.
            SettingRefused: an unknown device or precision, or a scale out of range.
        """
        device = resolve_device(device)
        _refuse_adapter_as_model(model)
        adapter = open_adapter(lora) if lora is not None else None
        base = open_folder(model)
        if adapter is not None:
            check_base(adapter, base)
        parts = load_parts(base, device=device, precision=precision)
        if adapter is not None:
            put_on(parts, adapter, scale=lora_scale)
        return cls(parts, base=base, adapter=adapter, lora_scale=lora_scale)

    def check(self, wish: Wish) -> None:
        """See that a wish can be fulfilled.

        Raises:
            SettingRefused, InputRefused: it says more than text, or its text is too long.
        """
        self.family.check(wish)
        most = longest(self.parts) - 2
        if (number := num_tokens(self.parts, wish.text)) > most:
            raise SettingRefused(
                f"the text has {number} tokens, the model reads {most} and would leave the rest "
                "out; shorten it"
            )

    def generate(
        self,
        wishes: Sequence[Wish],
        seeds: Sequence[int],
        *,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: str = OWN_SAMPLER,
        batch_size: int = 1,
        attention: bool = False,
    ) -> Iterator[Generated]:
        """Draw one image for each wish and seed, in order.

        Args:
            wishes: what each is to show.
            seeds: one an image. With ``batch_size`` 1 a wish and a seed give the same pixels in any
                company, to the last bit on one machine; larger batches differ by rounding alone.
            steps: evaluations of the network, 30 where None.
            guidance: how strongly the text is followed, 7.5 where None; 1 as learned.
            sampler: "own" takes the model's; or "ddim", "dpm", "euler".
            batch_size: images computed together, which is faster on a graphics card.
            attention: also say where the network looked for each word, one image at a time.

        Raises:
            SettingRefused, InputRefused: a wish cannot be fulfilled, or a setting is out of range;
                nothing has been drawn.
            ModelRefused: the network gave no numbers.
        """
        if len(wishes) != len(seeds):
            raise InputRefused(f"{len(wishes)} wishes came with {len(seeds)} seeds; give one each")
        if batch_size < 1:
            raise SettingRefused(f"batch_size is at least 1, got {batch_size}")
        course = _course(steps, guidance, sampler)
        for wish in wishes:
            self.check(wish)
        return self._drawn(wishes, seeds, course, 1 if attention else batch_size, attention)

    def is_copy(self, values: NDArray) -> bool:
        """Whether an image is one of those that the adapter was fitted to, by its copy guard.

        Without a guard always False. Training images of the model below are never at hand;
        :attr:`notes` says so.

        Args:
            values: (row, column) in the family's unit, of any size.
        """
        if self.guard is None:
            return False
        side = self.guard.embedding.config["side"]
        square = self.gray.scaled(self.gray.on_square(values, side))
        return bool(self.guard.judge(square[None], GUARDED).is_copy[0])

    def edit(
        self,
        values: NDArray,
        wish: Wish,
        seed: int,
        *,
        strength: float,
        mask: NDArray | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: str = OWN_SAMPLER,
    ) -> Generated:
        """Draw an image anew from what it shows, the whole or a part of it.

        Args:
            values: (row, column) in the family's unit, of any size from 16 pixels; sizes that the
                network does not take are filled up at the edges and cut again. What lies beyond
                the window is lost where it is drawn anew.
            wish: what the result is to show.
            seed: of the noise.
            strength: above 0, where nothing changes, to 1, where all is forgotten.
            mask: (row, column) bool, True where it may change; outside it every pixel stays bit
                for bit.
            steps, guidance, sampler: as for :meth:`generate`; a share ``strength`` of the steps is
                gone through.

        Raises:
            SettingRefused, InputRefused: the wish, the values or the mask cannot be worked on.
            ModelRefused: the network gave no numbers.
        """
        self.check(wish)
        course = _course(steps, guidance, sampler)
        values = _checked_values(values)
        if not 0 < strength <= 1:
            raise SettingRefused(f"strength is above 0 and up to 1, got {strength:g}")
        change = None if mask is None else _checked_mask(mask, values)
        filled = _filled(values, self.parts.multiple)
        latent = encode(self.parts, self.gray.to_network(filled))
        latent_change = None if change is None else self._latent_mask(change)
        kept = Kept(latent=latent, strength=strength, change=latent_change)
        generator = torch.Generator().manual_seed(seed)
        noise = noise_of(self.parts, generator, *filled.shape)
        drawn = sample(self.parts, [wish.text], noise, course, [generator], kept=kept)
        image = self._image(decode(self.parts, drawn)[0], wish, seed)
        made = self._cut(image.values, values)
        if change is not None:
            again = self._cut(self.gray.to_values(decode(self.parts, latent)[0]), values)
            made = self._put_in(made, values, again, change)
        return replace(image, values=made)

    def interpolate(
        self, first: NDArray, second: NDArray, fractions: Sequence[float]
    ) -> Iterator[NDArray]:
        """Images on the straight line between two in the space of the autoencoder.

        Args:
            first, second: (row, column) in the family's unit, of one size.
            fractions: 0 is the first, 1 the second, as the autoencoder gives them back.

        Returns:
            (row, column) float32 in the family's unit, one a fraction.

        Raises:
            InputRefused: the images cannot be worked on, differ in size, or a fraction is out of
                range.
        """
        ends = [_checked_values(one) for one in (first, second)]
        if ends[0].shape != ends[1].shape:
            raise InputRefused(
                f"the images have shapes {ends[0].shape} and {ends[1].shape}; give two of one size"
            )
        for fraction in fractions:
            if not 0 <= fraction <= 1:
                raise InputRefused(f"a fraction is from 0 to 1, got {fraction:g}")
        rows, columns = ends[0].shape
        pictures = [self.gray.to_network(_filled(one, self.parts.multiple)) for one in ends]
        begin, end = (encode(self.parts, picture) for picture in pictures)
        between = ((1 - fraction) * begin + fraction * end for fraction in fractions)
        return (
            self.gray.to_values(decode(self.parts, latent)[0])[:rows, :columns]
            for latent in between
        )

    def _drawn(
        self,
        wishes: Sequence[Wish],
        seeds: Sequence[int],
        course: Course,
        size: int,
        attention: bool,
    ) -> Iterator[Generated]:
        rows, columns = self.family.rows, self.family.columns
        for begin in range(0, len(wishes), size):
            group, own = wishes[begin : begin + size], seeds[begin : begin + size]
            generators = [torch.Generator().manual_seed(seed) for seed in own]
            noise = torch.cat([noise_of(self.parts, one, rows, columns) for one in generators])
            texts = [wish.text for wish in group]
            with watched(self.parts.unet, noise) if attention else nullcontext() as gathered:
                latent = sample(self.parts, texts, noise, course, generators)
            for place, (wish, seed) in enumerate(zip(group, own, strict=True)):
                picture = decode(self.parts, latent[place : place + 1])[0]
                image = self._image(picture, wish, seed)
                if gathered is not None and gathered.total is not None:
                    said = words_of(self.parts, wish.text)
                    words = word_maps(gathered.total, said, image.values.shape)
                    image = replace(image, words=words)
                yield image

    def _image(self, picture: Tensor, wish: Wish, seed: int) -> Generated:
        """The image of (3, row, column)."""
        difference = color_difference(picture)
        notes = [COLOR.format(levels=255 * difference)] if difference > MOST_DIFFERENCE else []
        values = self.gray.to_values(picture)
        return Generated(values=values, wish=wish, seed=seed, notes=tuple(notes))

    def _put_in(
        self, made: NDArray, values: NDArray, again: NDArray, change: NDArray
    ) -> NDArray[np.float32]:
        """What was made, in the image as it was, without a seam."""
        low, high = self.gray.low, self.gray.high
        before = np.clip(values, low, high)
        mended = hidden_seam(made, before=before, again=again, free=change)
        return np.where(change, np.clip(mended, low, high), values).astype(np.float32)

    @staticmethod
    def _cut(filled: NDArray, values: NDArray) -> NDArray:
        rows, columns = values.shape
        return filled[:rows, :columns]

    def _latent_mask(self, change: NDArray) -> Tensor:
        """(1, 1, row, column) of the latent: 1 where any pixel below may change."""
        filled = _filled(change.astype(np.float32), self.parts.multiple)
        tensor = torch.from_numpy(filled)[None, None].to(self.parts.unet.device)
        return torch.nn.functional.max_pool2d(tensor, self.parts.pixels_a_latent)


def _refuse_adapter_as_model(model: str | Path) -> None:
    folder = Path(model).expanduser()
    if is_adapter(folder) and not (folder / INDEX).is_file():
        raise ModelRefused(
            "this folder holds a LoRA, which changes a model and is none; give the model that it "
            "was fitted to, and this folder as its LoRA"
        )


def _scale_of(adapter: Adapter | None) -> GrayScale:
    return adapter.facts.scale if adapter is not None and adapter.facts is not None else GrayScale()


def _family(parts: StableParts, adapter: Adapter | None) -> Family:
    facts = adapter.facts if adapter is not None else None
    scale = _scale_of(adapter)
    return Family(
        name=NAME,
        title=facts.title if facts is not None else "Stable Diffusion",
        modality=(facts.modality if facts is not None else "") or NO_MODALITY,
        body_part=(facts.body_part if facts is not None else "") or NO_BODY_PART,
        rows=facts.rows if facts is not None else parts.side,
        columns=facts.columns if facts is not None else parts.side,
        pixel_mm=facts.pixel_mm if facts is not None else None,
        unit=scale.unit,
        low=scale.low,
        high=scale.high,
        window=(scale.center, scale.width),
        categories={},
        numbers=(),
        box="",
        guide=(),
        text=True,
    )


def _check_size(family: Family, parts: StableParts) -> None:
    for size in (family.rows, family.columns):
        if size % parts.pixels_a_latent or not LEAST_SIDE <= size <= MOST_SIDE:
            raise ModelRefused(
                f"pictures of {family.rows} x {family.columns} are named; both must be multiples "
                f"of {parts.pixels_a_latent} from {LEAST_SIDE} to {MOST_SIDE}"
            )


def _digest(base: StableFolder, adapter: Adapter | None, lora_scale: float) -> str:
    if adapter is None:
        return base.sha256
    together = f"{base.sha256}\n{adapter.sha256}\n{lora_scale:g}\n"
    return hashlib.sha256(together.encode()).hexdigest()


def _course(steps: int | None, guidance: float | None, sampler: str) -> Course:
    return Course(
        steps=STEPS if steps is None else steps,
        guidance=GUIDANCE if guidance is None else guidance,
        sampler=sampler,
    )


def _checked_values(values: NDArray) -> NDArray:
    """(row, column) as float32."""
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise InputRefused(
            f"an image of shape {array.shape} and type {array.dtype} is not accepted; give numbers "
            "as (row, column)"
        )
    if not (min(array.shape) >= LEAST_SIDE and max(array.shape) <= MOST_SIDE):
        raise InputRefused(
            f"an image of {array.shape[0]} x {array.shape[1]} is not accepted; rows and columns "
            f"are from {LEAST_SIDE} to {MOST_SIDE}"
        )
    if not np.isfinite(array).all():
        raise InputRefused("the image holds values that are not finite", reason="values")
    return array.astype(np.float32)


def _checked_mask(mask: NDArray, values: NDArray) -> NDArray:
    array = np.asarray(mask)
    if array.dtype != bool or array.shape != values.shape:
        raise InputRefused(
            f"the mask is {array.dtype} of shape {array.shape}; bool of the image's shape "
            f"{values.shape} is needed"
        )
    if not array.any():
        raise InputRefused("the mask lets no pixel change; mark what is to be drawn anew")
    return array


def _filled(values: NDArray, multiple: int) -> NDArray:
    """Edges repeated below and to the right until both sides are multiples."""
    rows, columns = ((-size) % multiple for size in values.shape)
    return np.pad(values, ((0, rows), (0, columns)), mode="edge")
