"""The shipped CT enhancement model: a posterior mean, a bridge, a calibrated interval and their
card on disk.

The folder has the layout of diffusers: ``model_index.json``, a folder a part with ``config.json``
and ``diffusion_pytorch_model.safetensors``. It is read here without importing diffusers, which
takes ten seconds. ``SHA256SUMS`` lists the digest of every file, and nothing is loaded before all
of them agree.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from isocenter.core.errors import ModelRefused
from isocenter.diffusion.bridge import MeanBridgeScheduler
from isocenter.image.ct_noise import NoiseMeasure, measure_noise
from isocenter.modelpack.ct_enhance.calibration import LEAST_SPREAD_HU, Calibration, tissue_classes
from isocenter.modelpack.ct_enhance.contract import AcceptedScans, Estimate
from isocenter.modelpack.ct_enhance.dose_prior import DosePrior
from isocenter.modelpack.ct_enhance.mean import CtMeanModel, MeanAndSpread
from isocenter.modelpack.ct_enhance.texture import CtTextureModel
from isocenter.networks.restoration_unet import RestorationUNet

Module = TypeVar("Module", bound=nn.Module)

CLASS_NAME = "CtEnhancer"
WEIGHTS = "diffusion_pytorch_model.safetensors"
CHECKSUMS = "SHA256SUMS"
# Files that explain but decide no pixel; a card may be corrected without making another model.
_EXPLAINING = ("README.md", "card.json", "training.json", CHECKSUMS)


@dataclass(frozen=True, kw_only=True)
class _State:
    """A slice's estimate as the network gave it, kept for sampling."""

    middle: Tensor
    estimate: MeanAndSpread


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
        device: str = "cpu",
    ) -> None:
        self.mean = _frozen(mean, device)
        self.texture = _frozen(texture, device)
        self.calibration = calibration
        self.accepted = accepted
        self.dose_prior = dose_prior or DosePrior()
        self.card = card
        self.name: str = card["name"]
        self.version: str = card["version"]
        self.weights_sha256 = weights_sha256
        self.context: int = mean.context
        self.device = device

    def guess_dose_fraction(
        self, noise: NoiseMeasure, *, slice_thickness_mm: float | None = None
    ) -> float:
        """Dose of a scan over the standard dose, from its noise."""
        return self.dose_prior.expected_fraction(
            noise.level_hu, noise.mean_frequency_per_mm, slice_thickness_mm
        )

    @torch.inference_mode()
    def raw_estimate(
        self,
        window_hu: NDArray,
        *,
        spacing_mm: tuple[float, float],
        dose_fraction: float | None = None,
    ) -> tuple[MeanAndSpread, NoiseMeasure]:
        """Mean and uncalibrated spread of a window, and the noise measured in its middle."""
        noise = measure_noise(window_hu[self.context], spacing_mm=spacing_mm)
        fraction = self.guess_dose_fraction(noise) if dose_fraction is None else dose_fraction
        window = self._tensor(window_hu)
        raw: MeanAndSpread = self.mean(window, torch.tensor([fraction]).to(window))
        even = replace(
            raw, below=without_pixel_grid(raw.below), above=without_pixel_grid(raw.above)
        )
        return even, noise

    def estimate(
        self,
        window_hu: NDArray,
        *,
        spacing_mm: tuple[float, float],
        dose_fraction: float | None = None,
    ) -> Estimate:
        """Mean and calibrated interval of the middle slice, (row, column) float32 HU."""
        raw, noise = self.raw_estimate(
            window_hu, spacing_mm=spacing_mm, dose_fraction=dose_fraction
        )
        mean, below, above = (part[0, 0].cpu().numpy() for part in (raw.mean, raw.below, raw.above))
        classes = tissue_classes(mean, spacing_mm=spacing_mm)
        factor_below, factor_above = self.calibration.factors(classes, noise.level_hu)
        return Estimate(
            mean_hu=mean,
            lower_hu=mean - factor_below * np.maximum(below, LEAST_SPREAD_HU),
            upper_hu=mean + factor_above * np.maximum(above, LEAST_SPREAD_HU),
            state=_State(middle=self._tensor(window_hu[self.context][None]), estimate=raw),
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
        state: _State = estimate.state
        generator = torch.Generator().manual_seed(seed)
        white = torch.randn(state.middle.shape, generator=generator).to(state.middle)
        image = self.texture.sample(
            white, middle=state.middle, estimate=state.estimate, steps=steps
        )
        return image[0, 0].cpu().numpy()

    def _tensor(self, images_hu: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(images_hu, np.float32))[None].to(self.device)


def without_pixel_grid(spread_BCHW: Tensor) -> Tensor:
    """Mean of neighbours with binomial weights, which removes what alternates from pixel to pixel.

    The network answers four pixels at a time, whose spreads differ a little by their place.
    """
    weights = torch.tensor([1.0, 2.0, 1.0]).to(spread_BCHW) / 4
    padded = functional.pad(spread_BCHW, (1, 1, 1, 1), mode="replicate")
    return functional.conv2d(padded, torch.outer(weights, weights)[None, None])


def _frozen(module: Module, device: str) -> Module:
    module.to(device)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module.eval().requires_grad_(False)


def save_ct_enhancer(model: CtEnhancer, folder: Path, *, documents: dict[str, str]) -> str:
    """Write a model folder whole or not at all.

    Args:
        model: what to save; weights are stored in half precision.
        folder: must not exist yet.
        documents: further text files by name, such as the card ``README.md``.

    Returns:
        The digest over everything that decides a pixel, also written to ``SHA256SUMS``.

    Raises:
        ModelRefused: the folder exists.
    """
    if folder.exists():
        raise ModelRefused("the model folder exists already; name another or remove it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        parts = {"mean": model.mean.network, "texture": model.texture.network}
        for name, network in parts.items():
            _save_network(network, temporary / name)
        _write_json(
            temporary / "scheduler" / "scheduler_config.json",
            {"_class_name": "MeanBridgeScheduler", **model.texture.scheduler.config},
        )
        _write_json(
            temporary / "model_index.json",
            {
                "_class_name": CLASS_NAME,
                "context": model.context,
                "accepted": asdict(model.accepted),
                "dose_prior": asdict(model.dose_prior),
                "mean": ["isocenter.networks.restoration_unet", "RestorationUNet"],
                "texture": ["isocenter.networks.restoration_unet", "RestorationUNet"],
                "scheduler": ["isocenter.diffusion.bridge", "MeanBridgeScheduler"],
            },
        )
        _write_json(temporary / "calibration.json", asdict(model.calibration))
        _write_json(temporary / "card.json", model.card)
        for name, text in documents.items():
            (temporary / name).write_text(text)
        digest = write_checksums(temporary)
        temporary.chmod(0o755)
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return digest


def _save_network(network: RestorationUNet, folder: Path) -> None:
    _write_json(folder / "config.json", {"_class_name": "RestorationUNet", **network.config})
    state = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")


def _digests(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path != folder / CHECKSUMS
    }


def write_checksums(folder: Path) -> str:
    """List the digest of every file; return the digest over those that decide a pixel."""
    digests = _digests(folder)
    lines = [f"{digest}  {name}\n" for name, digest in digests.items()]
    (folder / CHECKSUMS).write_text("".join(lines))
    return _deciding_digest(digests)


def _deciding_digest(digests: dict[str, str]) -> str:
    deciding = [f"{digest}  {name}" for name, digest in digests.items() if name not in _EXPLAINING]
    return hashlib.sha256("\n".join(deciding).encode()).hexdigest()


def shipped_folder() -> Path:
    """Where the weights that come with the package lie."""
    return Path(str(files("isocenter.modelpack"))) / "shipped" / "ct_enhance"


def verify(folder: Path) -> str:
    """Compare every file with ``SHA256SUMS``.

    Returns:
        The digest over everything that decides a pixel.

    Raises:
        ModelRefused: a file is missing, altered or not listed.
    """
    listing = folder / CHECKSUMS
    if not listing.is_file():
        raise ModelRefused(
            f"no {CHECKSUMS} in the model folder; expected a folder made by `isocenter train` or "
            "the one that comes with the package"
        )
    text = listing.read_text(errors="replace")  # a damaged list fits no file
    lines = [line.split("  ", 1) for line in text.splitlines() if "  " in line]
    expected = {name: digest for digest, name in lines}
    found = _digests(folder)
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ModelRefused(
                f"the model's file {name} is missing, altered or not listed in {CHECKSUMS}; "
                "get the model again from where it came"
            )
    return _deciding_digest(found)


def load(folder: Path | str | None = None, *, device: str = "cpu") -> CtEnhancer:
    """Load a CT enhancement model after verifying every file.

    Args:
        folder: a model folder; the shipped one where absent.
        device: "cpu", "cuda" or "auto".

    Raises:
        ModelRefused: not such a folder, altered, or the device is not there.
    """
    place = shipped_folder() if folder is None else Path(folder)
    digest = verify(place)
    index = _read_json(place / "model_index.json")
    if index.get("_class_name") != CLASS_NAME:
        raise ModelRefused(
            f"this folder holds a {index.get('_class_name', 'model without a class')}, "
            f"a {CLASS_NAME} is needed to enhance CT"
        )
    try:
        return _assembled(place, index, digest=digest, device=chosen_device(device))
    except (KeyError, TypeError) as error:
        raise ModelRefused(
            f"the model folder lacks {error}; it was written by another version of Isocenter, get "
            "or train the model for this one"
        ) from error


def _assembled(place: Path, index: dict[str, Any], *, digest: str, device: str) -> CtEnhancer:
    scheduler = _read_json(place / "scheduler" / "scheduler_config.json")
    calibration = _read_json(place / "calibration.json")
    prior = index["dose_prior"]
    return CtEnhancer(
        mean=CtMeanModel(_load_network(place / "mean"), context=index["context"]),
        texture=CtTextureModel(
            _load_network(place / "texture"),
            scheduler=MeanBridgeScheduler(max_steps=scheduler["max_steps"]),
        ),
        calibration=Calibration(
            coverage=calibration["coverage"],
            noise_hu=tuple(calibration["noise_hu"]),
            below={name: tuple(row) for name, row in calibration["below"].items()},
            above={name: tuple(row) for name, row in calibration["above"].items()},
            patients=calibration["patients"],
        ),
        accepted=AcceptedScans(
            **{name: (low, high) for name, (low, high) in index["accepted"].items()}
        ),
        dose_prior=DosePrior(**prior | {"fractions": tuple(prior["fractions"])}),
        card=_read_json(place / "card.json"),
        weights_sha256=digest,
        device=device,
    )


def chosen_device(device: str) -> str:
    """Resolve "auto"; refuse a GPU that is not there."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelRefused(f"device {device!r} was asked for and no GPU is ready; use 'cpu'")
    return device


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelRefused(f"the model's file {path.name} is missing or not JSON") from error
    if not isinstance(value, dict):
        raise ModelRefused(f"the model's file {path.name} holds no object")
    return value


def _load_network(folder: Path) -> RestorationUNet:
    config = _read_json(folder / "config.json")
    config.pop("_class_name", None)
    network = RestorationUNet(**config)
    weights = {name: tensor.float() for name, tensor in load_file(folder / WEIGHTS).items()}
    network.load_state_dict(weights)
    return network
