"""A generator: images of a family from noise, told what they are to be.

Axes: B batch, C channel, H row, W column. Inside, images are scaled to [-1, 1] and latents are
normalized by their own measured mean and deviation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from isocenter.core.checks import check_positive
from isocenter.core.device import resolve_device
from isocenter.core.errors import InputRefused, ModelRefused, SettingRefused
from isocenter.core.seeds import derived_seed
from isocenter.diffusion.guidance import Guidance, guided
from isocenter.diffusion.inpainting import keeping_known
from isocenter.diffusion.process import Process
from isocenter.diffusion.samplers import Callback, draw_noise, sample, samplers_for, start
from isocenter.modelpack.control.model import ImageControl
from isocenter.modelpack.folder import load_folder, save_folder
from isocenter.modelpack.generator.attention import AttentionOfWords
from isocenter.modelpack.generator.defaults import MOST_GUIDANCE, MOST_STEPS, OWN_SAMPLER, Defaults
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.measured import MEASURED, obedience_in_words
from isocenter.modelpack.generator.names import unknown_name
from isocenter.modelpack.generator.seams import hidden_seam
from isocenter.modelpack.generator.speech import Accepted, check_speech
from isocenter.modelpack.generator.told import Vocabulary, box_map, painted, vocabulary_of
from isocenter.modelpack.generator.wish import Generated, Wish
from isocenter.modelpack.text.bilingual import BilingualEncoder
from isocenter.modelpack.text.encoder import TextEncoder
from isocenter.networks.autoencoder import Autoencoder
from isocenter.networks.copy_guard import CopyGuard
from isocenter.networks.latent_unet import Conditions, Control, LatentControlNet, LatentUNet

UNGUARDED_CONTROL = (
    "The guard against copies knows what the generator was trained on, not the images that this "
    "ControlNet was fitted to."
)


@dataclass(frozen=True, kw_only=True)
class LatentScale:
    """Mean and deviation of each latent channel over the training images.

    Attributes:
        mean, deviation: one number a channel, before normalizing.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(float(one) for one in self.mean))
        object.__setattr__(self, "deviation", tuple(float(one) for one in self.deviation))
        if len(self.mean) != len(self.deviation) or not self.mean:
            raise ValueError(
                f"mean and deviation have one number a channel, got {len(self.mean)} and "
                f"{len(self.deviation)}"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.deviation).all()):
            raise ValueError("mean and deviation of latents are finite")
        check_positive("the least deviation of latents", min(self.deviation))

    def normalized(self, latent: Tensor) -> Tensor:
        """(B, C, ...) as networks see it."""
        return (latent - self._wide(self.mean, latent)) / self._wide(self.deviation, latent)

    def spread(self, deviation: Tensor) -> Tensor:
        """Deviations (B, C, ...) of latents on the normalized scale."""
        return deviation / self._wide(self.deviation, deviation)

    def restored(self, normalized: Tensor) -> Tensor:
        """(B, C, ...) as the autoencoder wants it."""
        wide = self._wide(self.deviation, normalized)
        return normalized * wide + self._wide(self.mean, normalized)

    @staticmethod
    def _wide(numbers: Sequence[float], like: Tensor) -> Tensor:
        return torch.tensor(numbers).to(like).view(1, -1, *[1] * (like.ndim - 2))


class ImageGenerator:
    """Families of images, one of them chosen, and the networks that draw them.

    Attributes:
        families: by name.
        family: the chosen one.
        name, version, weights_sha256, card: as every model has them.
        defaults: of drawing.
        measured: figures of a benchmark, None where nobody measured; they decide no pixel.
        steered_by: the ControlNet that steers it and the digest of its image; empty for none.
    """

    def __init__(
        self,
        *,
        families: Sequence[Family],
        autoencoder: Autoencoder,
        denoiser: LatentUNet,
        process: Process,
        text: TextEncoder,
        scale: LatentScale,
        card: dict[str, Any],
        guard: CopyGuard | None = None,
        speech: Mapping[str, Accepted] | None = None,
        family: str = "",
        defaults: Defaults | None = None,
        measured: Mapping[str, Any] | None = None,
        weights_sha256: str = "",
        device: str = "cpu",
    ) -> None:
        if not families:
            raise ValueError("a generator makes images of at least one family")
        self.families = {one.name: one for one in families}
        self.vocabulary: Vocabulary = vocabulary_of(families)
        self.autoencoder = _frozen(autoencoder)
        self.denoiser = _frozen(denoiser)
        self.process = process
        self.text = text
        self.scale = scale
        self.guard = None if guard is None else guard.eval().requires_grad_(False)
        self.speech = {
            name: {reading: tuple(values) for reading, values in accepted.items()}
            for name, accepted in (speech or {}).items()
        }
        self.card = card
        self.name: str = card["name"]
        self.version: str = card["version"]
        self.weights_sha256 = weights_sha256
        self.measured = measured
        self.defaults = defaults or Defaults()
        self.family = families[0]
        self._steering: tuple[LatentControlNet, Tensor] | None = None
        self.steered_by: dict[str, str] = {}
        self._check_parts()
        if family:
            self._choose(family)
        self.to(device)

    def of(self, family: str) -> Self:
        """The same generator with another family chosen; the networks are shared.

        Raises:
            SettingRefused: it makes no such images.
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._choose(family)
        return other

    def _choose(self, family: str) -> None:
        if family not in self.families:
            raise unknown_name("family", family, self.families, of=self.name)
        if family != self.family.name:
            self._steering, self.steered_by = None, {}  # that of other images
        self.family = self.families[family]

    def with_control(self, control: ImageControl | str | Path, image: NDArray) -> Self:
        """The same generator, steered by a ControlNet that was fitted beside it.

        Args:
            control: or its folder.
            image: (rows, columns), a label map or another image, as the control is told.

        Raises:
            ModelRefused: it is none, or belongs to another generator or family.
            InputRefused: the image has another size, or labels that are not known.
        """
        if not isinstance(control, ImageControl):
            control = ImageControl.from_pretrained(control)
        told = control.told_tensor(self, image)
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._steering = control.control.to(self.device), told
        other.steered_by = control.described(image)
        return other

    def to(self, device: str | torch.device) -> Self:
        """Move the networks.

        Raises:
            InputRefused: there is no such device here.
        """
        target = resolve_device(str(device))
        self.autoencoder.to(target)
        self.denoiser.to(target)
        return self

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known of images of the chosen family, in words.

        Raises:
            ModelRefused: the figures of the model's folder are not what a benchmark publishes.
        """
        said = obedience_in_words(
            self.measured, family=self.family.name, weights_sha256=self.weights_sha256
        )
        steered = UNGUARDED_CONTROL if self._steering is not None else ""
        return tuple(filter(None, (steered, said)))

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.denoiser.parameters()).device

    def check(self, wish: Wish) -> None:
        """See that images of the chosen family can be told what a wish says.

        Raises:
            SettingRefused, InputRefused: says in words what does not fit, and what would.
        """
        self.family.check(wish)
        if wish.text:
            self.text.check(wish.text)
            accepted = self.speech.get(self.family.name, {})
            check_speech(self.text, wish, family=self.family.name, accepted=accepted)

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
        """Draw one image for each wish.

        Args:
            wishes: what each image is to be.
            seeds: one an image. With ``batch_size`` 1 the same wish and seed give the same pixels
                on the same machine; larger batches differ from that by rounding alone.
            steps: of the sampler; the model's own number where None.
            guidance: how far images are driven towards what they are told, 1 not at all.
            sampler: of :mod:`isocenter.diffusion.samplers`; "own" takes Euler's along a flow, and
                DDIM elsewhere.
            batch_size: images computed together, which is faster on a GPU.
            attention: also say which word acted where.

        Raises:
            SettingRefused, InputRefused: nothing has been drawn.
            ModelRefused: the model gave no finite numbers.
        """
        if len(wishes) != len(seeds):
            raise ValueError(f"one seed an image is needed, got {len(seeds)} for {len(wishes)}")
        drawing = self._drawing(steps, guidance, sampler)
        for wish in wishes:
            self.check(wish)
        check_positive("batch_size", batch_size)
        return self._generated(wishes, seeds, drawing, batch_size, attention)

    def _generated(
        self,
        wishes: Sequence[Wish],
        seeds: Sequence[int],
        drawing: _Drawing,
        batch_size: int,
        attention: bool,
    ) -> Iterator[Generated]:
        for first in range(0, len(wishes), batch_size):
            group, own = wishes[first : first + batch_size], seeds[first : first + batch_size]
            conditions = self.conditions(group)
            generators = [_generator(seed) for seed in own]
            noise = draw_noise(self._latent_shape(), generators, device=self.device)
            watched = AttentionOfWords(self.denoiser) if attention else None
            latent = self._run(noise, conditions, drawing, generators, watched=watched)
            values = self._values(latent)
            for place, (wish, seed) in enumerate(zip(group, own, strict=True)):
                words = self.text.encode([wish.text]).words[0] if watched and wish.text else ()
                yield Generated(
                    values=values[place],
                    wish=wish,
                    seed=seed,
                    words={}
                    if watched is None
                    else watched.maps(place, words, values[place].shape),
                )

    def is_copy(self, values: NDArray) -> bool:
        """Whether an image is that of a patient the model was trained on, by its copy guard.

        Args:
            values: (rows, columns) in the family's unit.

        Raises:
            ModelRefused: the model has no guard, as one has that is not finished.
        """
        if self.guard is None:
            raise ModelRefused(
                f"{self.name} has no guard against copies of training images, so nothing that it "
                "draws may be written; finish its training"
            )
        scaled = self._image(values)[0].cpu().numpy()
        return bool(self.guard.judge(scaled, self.family.name).is_copy[0])

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
        """Draw an image anew, from as much noise as ``strength`` says.

        Args:
            values: (rows, columns) in the family's unit.
            wish: what it is to be.
            seed: of the noise.
            strength: from above 0 (almost as it was) to 1 (nothing of it is left).
            mask: (rows, columns) True where it may change; outside every value stays bit for bit.
            steps, guidance, sampler: see :meth:`generate`.

        Raises:
            SettingRefused, InputRefused: what does not fit, in words.
        """
        self.check(wish)
        drawing = self._drawing(steps, guidance, sampler)
        if not 0 < strength <= 1:
            raise SettingRefused(f"strength is a share from above 0 to 1, got {strength!r}")
        image = self._image(values)
        free = None if mask is None else self._free(mask)
        with torch.inference_mode():
            clean = self.scale.normalized(self.autoencoder.encode(image).mean)
            again = self._values(clean)[0]
        generators = [_generator(seed)]
        noise = draw_noise(self._latent_shape(), generators, device=self.device)
        state = start(clean, noise, self.process, strength=strength)
        latent = self._run(
            state,
            self.conditions([wish]),
            replace(drawing, strength=strength),
            generators,
            callback=None
            if free is None
            else keeping_known(clean, self._latent_mask(free), noise=noise, process=self.process),
        )
        drawn = self._values(latent)[0]
        if free is not None:
            drawn = hidden_seam(drawn, before=np.asarray(values), again=again, free=free)
        return Generated(values=drawn, wish=wish, seed=seed)

    @torch.inference_mode()
    def interpolate(
        self, first: NDArray, second: NDArray, fractions: Sequence[float]
    ) -> Iterator[NDArray]:
        """Images between two, in latent space, (rows, columns) in the family's unit.

        Args:
            first, second: (rows, columns).
            fractions: 0 is the first through the autoencoder, 1 the second.
        """
        begin, end = (
            self.scale.normalized(self.autoencoder.encode(self._image(one)).mean)
            for one in (first, second)
        )
        for fraction in fractions:
            yield self._values(torch.lerp(begin, end, fraction))[0]

    @torch.inference_mode()
    def reconstruct(self, values: NDArray) -> NDArray:
        """An image through the autoencoder and back: what the latents can hold of it."""
        latent = self.autoencoder.encode(self._image(values)).mean
        return self._values(self.scale.normalized(latent))[0]

    @torch.inference_mode()
    def sample_prior(self, seed: int) -> NDArray:
        """What the autoencoder alone makes of noise: a VAE's generator, to compare with.

        Source: Kingma & Welling, ICLR 2014.
        """
        noise = draw_noise(self._latent_shape(), [_generator(seed)], device=self.device)
        return self._values(noise)[0]

    @torch.inference_mode()
    def latent_of(self, values: NDArray) -> Tensor:
        """The normalized latent of an image (rows, columns) in the family's unit, (1, C, H, W)."""
        return self.scale.normalized(self.autoencoder.encode(self._image(values)).mean)

    # on disk

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path | None = None,
        *,
        family: str = "",
        device: str | torch.device = "cpu",
    ) -> ImageGenerator:
        """Load a model folder; the shipped one where absent.

        Raises:
            ModelRefused: no such model, altered, or of another kind.
            InputRefused: the device is not there.
            SettingRefused: it makes no images of this family.
        """
        loaded = load_folder(folder, kind=cls.__name__, device=str(device))
        assert isinstance(loaded, cls)
        return loaded.of(family) if family else loaded

    def save_pretrained(
        self, folder: str | Path, *, documents: Mapping[str, str] | None = None
    ) -> str:
        """Write a model folder whole or not at all; returns its digest.

        Args:
            folder: must not exist yet.
            documents: further text files by name, such as the card ``README.md``.

        Raises:
            OutputRefused: the folder exists.
            ModelRefused: the card does not say what a card must, or the text encoder is not ours.
        """
        return save_folder(self, folder, documents=documents)

    def parts(self) -> dict[str, Any]:
        """Networks and process, as the registry names their roles."""
        if not isinstance(self.text, BilingualEncoder):
            raise ModelRefused(
                f"a model folder holds a text encoder of our own, this generator has "
                f"{self.text.name}"
            )
        return {
            "autoencoder": self.autoencoder,
            "denoiser": self.denoiser,
            "text": self.text.network,
            "scheduler": self.process,
            "guard": self._guard_to_keep(),
        }

    def _guard_to_keep(self) -> CopyGuard:
        if self.guard is None:
            raise ModelRefused("a generator is kept with a guard against copies; make one first")
        return self.guard

    def settings(self) -> dict[str, Any]:
        """What stands in the index beside the parts."""
        return {"scale": asdict(self.scale), "defaults": asdict(self.defaults)}

    def tables(self) -> dict[str, dict[str, Any]]:
        """The families, in the order in which the denoiser knows them, and what each is told."""
        families = [one.described() for one in self.families.values()]
        return {"families": {"families": families, "speech": self.speech}}

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
    ) -> ImageGenerator:
        """The model that a folder describes.

        Raises:
            KeyError: a setting is missing.
            TypeError, ValueError: parts, settings and families do not fit each other.
            ModelRefused: measured figures cannot be; known here, and not after the work.
        """
        defaults = dict(settings["defaults"])
        defaults["guidance_interval"] = tuple(defaults["guidance_interval"])
        made = cls(
            families=[Family.from_json(one) for one in tables["families"]["families"]],
            autoencoder=parts["autoencoder"],
            denoiser=parts["denoiser"],
            process=parts["scheduler"],
            text=BilingualEncoder(parts["text"]),
            scale=LatentScale(**settings["scale"]),
            guard=parts["guard"],
            speech=tables["families"]["speech"],
            defaults=Defaults(**defaults),
            measured=tables.get(MEASURED),
            card=card,
            weights_sha256=weights_sha256,
            device=device,
        )
        for name in made.families:
            obedience_in_words(made.measured, family=name, weights_sha256=weights_sha256)
        return made

    # inside

    def conditions(self, wishes: Sequence[Wish]) -> Conditions:
        """What the network is told for these wishes."""
        channels, *grid = self._latent_shape()
        encoded = self.text.encode([wish.text for wish in wishes])
        boxes = [
            np.zeros(grid, np.float32) if wish.box is None else box_map(wish.box, grid)
            for wish in wishes
        ]
        guides = [
            torch.zeros(1, channels, *grid, device=self.device)
            if not _is_guided(wish)
            else self._guide(wish)
            for wish in wishes
        ]
        said = [
            self.vocabulary.category_codes(self.family.name, wish.categories) for wish in wishes
        ]
        numbers = [self.vocabulary.number_codes(wish.numbers) for wish in wishes]
        spoken = encoded.mask & torch.tensor([bool(wish.text) for wish in wishes])[:, None]
        found = Conditions(
            categories=torch.from_numpy(np.stack(said)),
            numbers=torch.from_numpy(np.stack(numbers)),
            words=encoded.tokens,
            spoken=spoken,
            meaning=encoded.pooled,
            box=torch.from_numpy(np.stack(boxes))[:, None],
            boxed=torch.tensor([wish.box is not None for wish in wishes]),
            guide=torch.cat(guides),
            guided=torch.tensor([_is_guided(wish) for wish in wishes]),
        )
        return found.changed(lambda tensor: tensor.to(self.device))

    @torch.inference_mode()
    def _guide(self, wish: Wish) -> Tensor:
        if wish.reference is not None:
            return self.latent_of(wish.reference).clone()
        assert wish.mask is not None
        gray = painted(wish.mask, len(self.family.guide))
        image = torch.from_numpy(gray)[None, None].to(self.device)
        return self.scale.normalized(self.autoencoder.encode(image).mean).clone()

    @torch.inference_mode()
    def _run(
        self,
        noise: Tensor,
        conditions: Conditions,
        drawing: _Drawing,
        generators: Sequence[torch.Generator],
        *,
        watched: AttentionOfWords | None = None,
        callback: Callback | None = None,
    ) -> Tensor:
        """Latents (B, C, H, W), normalized, at the end of the way."""
        guidance = Guidance(
            scale=drawing.guidance,
            rescale=self.defaults.guidance_rescale,
            interval=self.defaults.guidance_interval,
        )

        def told(state: Tensor, time_B: Tensor, **conditions: Tensor) -> Tensor:
            with nullcontext() if watched is None else watched.looking(len(noise)):
                wished = Conditions(**conditions)
                out: Tensor = self.denoiser(
                    state, time_B, wished, self._control(state, time_B, wished)
                )
            return out

        denoise = guided(
            told,
            given=conditions.named(),
            without=conditions.without(kept_categories=(0,)).named(),
            guidance=guidance,
        )

        return sample(
            denoise,
            noise,
            self.process,
            steps=drawing.steps,
            sampler=drawing.sampler,
            strength=drawing.strength,
            generators=generators,
            callback=callback,
        )

    def _control(self, state: Tensor, time_B: Tensor, conditions: Conditions) -> Control | None:
        """What a ControlNet adds, if there is one."""
        if self._steering is None:
            return None
        network, told = self._steering
        found: Control = network(state, time_B, conditions, told.expand(len(state), -1, -1, -1))
        return found

    @torch.inference_mode()
    def _values(self, latent: Tensor) -> NDArray:
        """(B, rows, columns) float32 in the family's unit."""
        image = self.autoencoder.decode(self.scale.restored(latent)).float()
        if not bool(torch.isfinite(image).all()):
            raise ModelRefused(f"{self.name} drew values that are no numbers; train it again")
        family = self.family
        scaled = (image[:, 0].clamp(-1, 1) + 1) / 2
        return (family.low + scaled * (family.high - family.low)).cpu().numpy()

    def _image(self, values: NDArray) -> Tensor:
        family = self.family
        array = np.asarray(values, np.float32)
        if array.shape != (family.rows, family.columns):
            raise InputRefused(
                f"the image is of shape {array.shape}; {family.name} takes {family.rows} x "
                f"{family.columns}"
            )
        if not np.isfinite(array).all():
            raise InputRefused("the image holds values that are no numbers; fill them first")
        scaled = 2 * (array - family.low) / (family.high - family.low) - 1
        return torch.from_numpy(scaled.clip(-1, 1))[None, None].to(self.device)

    def _free(self, mask: NDArray) -> NDArray:
        free = np.asarray(mask).astype(bool)
        family = self.family
        if free.shape != (family.rows, family.columns):
            raise InputRefused(
                f"the mask is of shape {free.shape}; {family.name} takes {family.rows} x "
                f"{family.columns}"
            )
        if not free.any():
            raise InputRefused("the mask is empty, so nothing may change; mark what may")
        return free

    def _latent_mask(self, free: NDArray) -> Tensor:
        """True where a latent's field holds anything that may change, (1, 1, H, W)."""
        plain = torch.from_numpy(free.astype(np.float32))[None, None].to(self.device)
        return nn.functional.max_pool2d(plain, self.autoencoder.factor) > 0

    def _latent_shape(self) -> tuple[int, ...]:
        return self.autoencoder.latent_shape((self.family.rows, self.family.columns))

    def _drawing(self, steps: int | None, guidance: float | None, sampler: str) -> _Drawing:
        steps = self.defaults.steps if steps is None else steps
        guidance = self.defaults.guidance if guidance is None else guidance
        if not (
            isinstance(steps, int) and not isinstance(steps, bool) and 1 <= steps <= MOST_STEPS
        ):
            raise SettingRefused(f"steps must be whole and within 1..{MOST_STEPS}, got {steps!r}")
        if not 0 <= guidance <= MOST_GUIDANCE:
            raise SettingRefused(f"guidance is from 0 to {MOST_GUIDANCE:g}, got {guidance!r}")
        known = samplers_for(self.process)
        if sampler not in (OWN_SAMPLER, *known):
            raise SettingRefused(
                f"sampler is {OWN_SAMPLER} (the model's own) or one of {', '.join(known)} for this "
                f"model, got {sampler!r}"
            )
        if sampler == OWN_SAMPLER:
            sampler = "flow" if self.process.is_flow else "ddim"
        return _Drawing(steps=steps, guidance=guidance, sampler=sampler)

    def _check_parts(self) -> None:
        channels = self.autoencoder.latent_channels
        config = self.denoiser.config
        if not channels == config["latent_channels"] == len(self.scale.mean):
            raise ValueError(
                f"autoencoder, denoiser and scale disagree on the latent channels: {channels}, "
                f"{config['latent_channels']}, {len(self.scale.mean)}"
            )
        if config["category_sizes"] != self.vocabulary.category_sizes:
            raise ValueError("the denoiser was made for other categories than its families have")
        if config["num_numbers"] != len(self.vocabulary.numbers):
            raise ValueError("the denoiser was made for other numbers than its families have")
        if self.guard is not None and set(self.guard.groups) != set(self.families):
            raise ValueError("the guard against copies knows other families than the generator")
        if config["text_width"] != self.text.width:
            raise ValueError(
                f"the denoiser takes words of width {config['text_width']}, the text encoder gives "
                f"{self.text.width}"
            )
        for family in self.families.values():
            if family.rows % self.autoencoder.factor or family.columns % self.autoencoder.factor:
                raise ValueError(
                    f"{self.autoencoder.factor} must divide rows and columns of {family.name}"
                )


@dataclass(frozen=True, kw_only=True)
class _Drawing:
    steps: int
    guidance: float
    sampler: str
    strength: float = 1.0


def _is_guided(wish: Wish) -> bool:
    return wish.mask is not None or wish.reference is not None


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(derived_seed(seed, "image"))


def _frozen(module: Any) -> Any:
    module.to(memory_format=torch.channels_last)
    return module.eval().requires_grad_(False)
