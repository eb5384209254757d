"""The CT enhancement model: a posterior mean, a bridge, a calibrated interval and their card.

Axes: B batch, C channel, H row, W column. Images are HU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor, nn

from isocenter.core.device import resolve_device
from isocenter.core.seeds import seed_for_pixels
from isocenter.image.ct_noise import NUM_BANDS, NoiseMeasure, measure_noise
from isocenter.modelpack.ct_enhance.calibration import (
    LEAST_SPREAD_HU,
    Calibration,
    Factors,
    tissue_classes,
)
from isocenter.modelpack.ct_enhance.call import Enhanced, enhance_images
from isocenter.modelpack.ct_enhance.contract import LESION_CONTRAST, AcceptedScans, Estimate
from isocenter.modelpack.ct_enhance.dose_prior import DosePrior
from isocenter.modelpack.ct_enhance.judged import JudgedSlice
from isocenter.modelpack.ct_enhance.lesion_band import give_back, noise_share
from isocenter.modelpack.ct_enhance.mean import NUM_ANSWERS, CtMeanModel, MeanAndSpread
from isocenter.modelpack.ct_enhance.measured import MEASURED, Measured, measured_of
from isocenter.modelpack.ct_enhance.texture import (
    COARSE_END_PER_MM,
    CtTextureModel,
    without_coarse_excess,
)
from isocenter.modelpack.folder import load_folder, save_folder
from isocenter.networks.restoration_unet import RestorationUNet

Module = TypeVar("Module", bound=nn.Module)

MOST_CONTEXT = 8


class CtEnhancer:
    """Mean, bridge and calibration as one model; see :class:`Enhancer` for the attributes."""

    def __init__(
        self,
        *,
        mean: CtMeanModel,
        texture: CtTextureModel,
        calibration: Calibration,
        accepted: AcceptedScans,
        card: dict[str, Any],
        dose_prior: DosePrior | None = None,
        weights_sha256: str = "",
        measured: Measured | None = None,
        notes: tuple[str, ...] = (),
        device: str = "cpu",
    ) -> None:
        self.mean = _frozen(mean)
        self.texture = _frozen(texture)
        self.calibration = calibration
        self.accepted = accepted
        self.dose_prior = dose_prior or DosePrior()
        self.card = card
        self.name: str = card["name"]
        self.version: str = card["version"]
        self.weights_sha256 = weights_sha256
        self.measured = measured
        self.notes = notes
        self.context: int = mean.context
        self.to(device)

    def to(self, device: str | torch.device) -> Self:
        """Move the networks; results of arrays and tensors stay where their input is.

        Raises:
            InputRefused: there is no such device here.
        """
        target = resolve_device(str(device))
        self.mean.to(target)
        self.texture.to(target)
        return self

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.mean.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """In which type the networks count."""
        return next(self.mean.parameters()).dtype

    @property
    def max_steps(self) -> int:
        """Most steps of the bridge."""
        return self.texture.scheduler.max_steps

    def __call__(
        self,
        hu: Any,
        *,
        spacing_mm: Any = None,
        dose_fraction: float | Sequence[float] | None = None,
        lesion_contrast: float = LESION_CONTRAST,
        samples: int = 0,
        steps: int = 4,
        strength: float | None = None,
        seed: int | Sequence[int] | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        valid: Any = None,
    ) -> Enhanced:
        """Enhance images that are in memory: arrays, tensors, SimpleITK images and volumes.

        Whether the scan is one that the model was made for is not checked here; the task does.

        Args:
            hu: HU, as one of

                - a NumPy array or tensor (row, column), (slice, row, column), or a batch
                  (image, 1, row, column) or (image, 1, slice, row, column),
                - a ``SimpleITK.Image`` in two or three dimensions,
                - a :class:`isocenter.core.volume.Volume` or slice source in HU.

                Slices of a volume are seen with their neighbours, those of a batch alone.
            spacing_mm: (row, column) or (slice, row, column), or for a batch one such tuple an
                image; not needed where the input knows it.
            dose_fraction: dose of the scan over the standard dose, in (0, 1], or one an image;
                where absent it is guessed once a scan, from its noise.
            lesion_contrast: share of the input given back below 0.12 cycles per mm, where faint
                lesions have their contrast; 0 gives the least error.
            samples: how many images of the posterior are drawn.
            steps: of the bridge, for each sample.
            strength: from 0 (mean) to 1 (average of the samples); gives ``image``. Above 0 at
                least one sample is drawn.
            seed: of the samples, or one an image; 0 where absent. Image number n of a batch gets
                a seed of its own from one seed, image 0 that seed itself.
            generator: draws the samples instead of a seed; or one an image.
            valid: same shape as ``hu``, False where the scanner measured nothing. There the model
                sees air, and results are as the input.

        Returns:
            Results in the kind of the input; of tensors on its device and in its type, whole
            numbers become float32. Of a tensor that asks for gradients they are differentiable;
            the guessed dose, the noise level and the tissue that choose the interval's factors
            count as constants. A slice source gives volumes.

        Raises:
            InputRefused: the input or a setting, in words.
            ModelRefused: the model gave no finite numbers.
        """
        return enhance_images(
            self,
            hu,
            spacing_mm=spacing_mm,
            dose_fraction=dose_fraction,
            lesion_contrast=lesion_contrast,
            samples=samples,
            steps=steps,
            strength=strength,
            seed=seed,
            generator=generator,
            valid=valid,
        )

    def guess_dose_fraction(
        self, noise: NoiseMeasure, *, slice_thickness_mm: float | None = None
    ) -> float:
        """Dose of a scan over the standard dose, from its noise."""
        return self.dose_prior.likely_fraction(
            noise.level_hu, noise.mean_frequency_per_mm, slice_thickness_mm
        )

    def dose_range(
        self, noise: NoiseMeasure, *, slice_thickness_mm: float | None = None
    ) -> tuple[float, float]:
        """Dose fractions between which nine of ten such scans lie."""
        return self.dose_prior.fraction_range(
            noise.level_hu, noise.mean_frequency_per_mm, slice_thickness_mm
        )

    def judge(
        self,
        window_BCHW: Tensor,
        *,
        spacing_mm: tuple[float, float],
        dose_fraction: float | None = None,
        lesion_contrast: float = LESION_CONTRAST,
    ) -> JudgedSlice:
        """Mean and calibrated interval of the middle slice; differentiable.

        Args:
            window_BCHW: (1, 2 * context + 1, H, W) on the model's device and of its type.
            spacing_mm: row and column spacing.
            dose_fraction, lesion_contrast: see :meth:`estimate`.
        """
        middle = window_BCHW[:, self.context : self.context + 1]
        noise = measure_noise(middle[0, 0].detach().cpu().numpy(), spacing_mm=spacing_mm)
        fraction = self.guess_dose_fraction(noise) if dose_fraction is None else dose_fraction
        found: MeanAndSpread = self.mean(window_BCHW, torch.tensor([fraction]).to(window_BCHW))
        raw = replace(
            found, below=without_pixel_grid(found.below), above=without_pixel_grid(found.above)
        )
        mean = give_back(
            raw.mean,
            middle - raw.anatomy,
            share=lesion_contrast,
            dose_fraction=fraction,
            spacing_mm=spacing_mm,
        )
        mean_hu = mean[0, 0].detach().cpu().numpy()
        below, above = (
            torch.from_numpy(factors).to(mean)
            for factors in self.calibration.factors(
                tissue_classes(mean_hu, spacing_mm=spacing_mm), noise
            )
        )
        return JudgedSlice(
            middle=middle,
            mean=mean,
            lower=mean - below * raw.below.clamp_min(LEAST_SPREAD_HU),
            upper=mean + above * raw.above.clamp_min(LEAST_SPREAD_HU),
            raw=raw,
            spacing_mm=spacing_mm,
            dose_fraction=fraction,
            lesion_contrast=lesion_contrast,
            noise=noise,
        )

    def draw(self, judged: JudgedSlice, white: Tensor, *, steps: int) -> Tensor:
        """One image of the posterior, (1, 1, H, W), from white noise of that shape.

        Raises:
            ValueError: the bridge does not run in that many steps.
        """
        middle, raw, spacing_mm = judged.middle, judged.raw, judged.spacing_mm
        fraction = judged.dose_fraction
        residual = self.texture.residual(
            white.to(middle),
            middle=middle,
            estimate=raw,
            steps=steps,
            coarse_end=COARSE_END_PER_MM * sum(spacing_mm) / 2,
        )
        shown = noise_share(
            tuple(middle.shape),
            spacing_mm,
            dose_fraction=fraction,
            lesion_contrast=judged.lesion_contrast,
        )
        return judged.mean + without_coarse_excess(
            residual,
            removed_BCHW=middle - raw.anatomy,
            mean_BCHW=raw.mean,
            share=(fraction - shown.square()).clamp_min(0),
            spacing_mm=spacing_mm,
        )

    @torch.inference_mode()
    def estimate(
        self,
        window_hu: NDArray,
        *,
        spacing_mm: tuple[float, float],
        dose_fraction: float | None = None,
        lesion_contrast: float = LESION_CONTRAST,
    ) -> Estimate:
        """Mean and calibrated interval of the middle slice, (row, column) float32 HU."""
        judged = self.judge(
            self._tensor(window_hu),
            spacing_mm=spacing_mm,
            dose_fraction=dose_fraction,
            lesion_contrast=lesion_contrast,
        )
        return Estimate(
            mean_hu=judged.mean[0, 0].cpu().numpy(),
            lower_hu=judged.lower[0, 0].cpu().numpy(),
            upper_hu=judged.upper[0, 0].cpu().numpy(),
            state=judged,
        )

    @torch.inference_mode()
    def sample(
        self,
        window_hu: NDArray,
        estimate: Estimate,
        *,
        spacing_mm: tuple[float, float],
        steps: int,
        seed: int,
    ) -> NDArray:
        """One image of the posterior, (row, column) float32 HU.

        Raises:
            ValueError: the bridge does not run in that many steps.
        """
        judged: JudgedSlice = estimate.state
        middle = judged.middle.cpu().numpy()
        generator = torch.Generator().manual_seed(seed_for_pixels(seed, middle))
        white = torch.randn(judged.middle.shape, generator=generator)
        return self.draw(judged, white, steps=steps)[0, 0].cpu().numpy()

    def _tensor(self, window_hu: NDArray) -> Tensor:
        window = torch.from_numpy(np.ascontiguousarray(window_hu, np.float32))[None]
        return window.to(self.device, self.dtype)

    # on disk

    @classmethod
    def from_pretrained(
        cls, folder: str | Path | None = None, *, device: str | torch.device = "cpu"
    ) -> CtEnhancer:
        """Load a model folder; the shipped one where absent.

        Raises:
            ModelRefused: no such model, altered, or of another kind.
            InputRefused: the device is not there.
        """
        loaded = load_folder(folder, kind=cls.__name__, device=str(device))
        assert isinstance(loaded, cls)
        return loaded

    def save_pretrained(
        self, folder: str | Path, *, documents: Mapping[str, str] | None = None
    ) -> str:
        """Write a model folder whole or not at all; returns its digest.

        Args:
            folder: must not exist yet.
            documents: further text files by name, such as the card ``README.md``.

        Raises:
            OutputRefused: the folder exists.
            ModelRefused: the card does not say what a card must.
        """
        return save_folder(self, folder, documents=documents)

    def parts(self) -> dict[str, Any]:
        """Networks and scheduler, as the registry names their roles."""
        return {
            "mean": self.mean.network,
            "texture": self.texture.network,
            "scheduler": self.texture.scheduler,
        }

    def settings(self) -> dict[str, Any]:
        """What stands in the index beside the parts."""
        return {
            "context": self.context,
            "accepted": asdict(self.accepted),
            "dose_prior": asdict(self.dose_prior),
        }

    def tables(self) -> dict[str, dict[str, Any]]:
        """The factors of the interval; what was measured belongs to the weights as published."""
        return {"calibration": asdict(self.calibration)}

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
    ) -> CtEnhancer:
        """The model that a folder describes.

        Raises:
            KeyError: a setting is missing.
            ValueError: a setting is unknown, or parts and settings do not fit each other.
        """
        _refuse_unknown(settings, {"context", "accepted", "dose_prior"}, "model_index.json")
        context = settings["context"]
        _check_parts(parts["mean"], parts["texture"], context)
        measured, note = (
            measured_of(tables[MEASURED], weights_sha256) if MEASURED in tables else (None, "")
        )
        return cls(
            mean=CtMeanModel(parts["mean"], context=context),
            texture=CtTextureModel(parts["texture"], scheduler=parts["scheduler"]),
            calibration=_calibration(tables["calibration"]),
            accepted=_accepted(settings["accepted"]),
            dose_prior=_dose_prior(settings["dose_prior"]),
            card=card,
            weights_sha256=weights_sha256,
            measured=measured,
            notes=(note,) if note else (),
            device=device,
        )


def without_pixel_grid(spread_BCHW: Tensor) -> Tensor:
    """Mean of neighbours with binomial weights, which removes what alternates from pixel to pixel.

    The network answers four pixels at a time, whose spreads differ a little by their place.
    """
    weights = torch.tensor([1.0, 2.0, 1.0]).to(spread_BCHW) / 4
    padded = functional.pad(spread_BCHW, (1, 1, 1, 1), mode="replicate")
    return functional.conv2d(padded, torch.outer(weights, weights)[None, None])


def _frozen(module: Module) -> Module:
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module.eval().requires_grad_(False)


def _check_parts(mean: RestorationUNet, texture: RestorationUNet, context: object) -> None:
    whole = isinstance(context, int) and not isinstance(context, bool)
    if not whole or not 0 <= context <= MOST_CONTEXT:  # type: ignore[operator]
        raise ValueError(f"context must be whole and within 0..{MOST_CONTEXT}, got {context!r}")
    assert isinstance(context, int)
    wanted = {
        "mean": (mean, {"in_channels": 2 * context + 2, "out_channels": NUM_ANSWERS}, False),
        "texture": (texture, {"in_channels": 3, "out_channels": 1}, True),
    }
    for role, (network, sizes, has_time) in wanted.items():
        for name, size in (sizes | {"map_channels": NUM_BANDS}).items():
            if network.config[name] != size:
                raise ValueError(
                    f"the part {role} has {name} {network.config[name]}, {size} are needed for "
                    f"context {context}"
                )
        if bool(network.time_channels) != has_time:
            raise ValueError(f"the part {role} must {'' if has_time else 'not '}have time_channels")


def _refuse_unknown(found: Mapping[str, Any], known: set[str], where: str) -> None:
    if not isinstance(found, Mapping):
        raise ValueError(f"{where} must be an object, got {type(found).__name__}")
    for name in found.keys() - known:
        raise ValueError(f"{where} holds {name!r}, which is none of {', '.join(sorted(known))}")


def _field_names(kind: type) -> set[str]:
    return {field.name for field in fields(kind)}


def _accepted(ranges: Mapping[str, Any]) -> AcceptedScans:
    _refuse_unknown(ranges, _field_names(AcceptedScans), "accepted")
    for name, (low, high) in ranges.items():
        if not 0 <= low <= high <= 1e6:
            raise ValueError(f"the accepted {name} must be a range, got {(low, high)}")
    return AcceptedScans(**{name: (low, high) for name, (low, high) in ranges.items()})


def _dose_prior(numbers: Mapping[str, Any]) -> DosePrior:
    _refuse_unknown(numbers, _field_names(DosePrior), "dose_prior")
    return DosePrior(**dict(numbers) | {"fractions": tuple(numbers["fractions"])})


def _calibration(table: Mapping[str, Any]) -> Calibration:
    _refuse_unknown(table, _field_names(Calibration), "calibration.json")
    return Calibration(
        coverage=table["coverage"],
        noise_hu=tuple(table["noise_hu"]),
        frequency_per_mm=tuple(table["frequency_per_mm"]),
        below=_factors(table["below"]),
        above=_factors(table["above"]),
        patients=table["patients"],
    )


def _factors(side: Mapping[str, Any]) -> dict[str, Factors]:
    return {name: tuple(tuple(row) for row in rows) for name, rows in side.items()}
