"""The run that makes the shipped CT enhancement model, complete.

Stage one fits the posterior mean and, on the same batches, the plain L1 regressor it is compared
with. Stage two fits the bridge on the frozen mean. Then the interval is calibrated on patients of
its own, and all is packed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from isocenter.core.device import resolve_device
from isocenter.core.seeds import derived_seed
from isocenter.core.version import __version__
from isocenter.datasets.ct_dose_cases import DoseCase, simulated_cases
from isocenter.datasets.ct_pairs import CtPairs, PairSettings, TrainingScan
from isocenter.datasets.ct_scans import read_training_scans
from isocenter.diffusion.bridge import MeanBridgeScheduler
from isocenter.modelpack.ct_enhance.calibration import CLASSES, Calibration
from isocenter.modelpack.ct_enhance.contract import AcceptedScans
from isocenter.modelpack.ct_enhance.mean import HU_SCALE, CtMeanModel
from isocenter.modelpack.ct_enhance.model import CtEnhancer
from isocenter.modelpack.ct_enhance.texture import CtTextureModel, spread_hu
from isocenter.networks.restoration_unet import RestorationUNet
from isocenter.recipes.ct_enhance import card as ct_enhance_card
from isocenter.recipes.ct_enhance.calibration import COVERAGE, NOISE_LEVELS_HU, calibrate
from isocenter.training.ct_enhance.losses import body_weight, gain_db, mean_loss
from isocenter.training.loop import Batch, Learner, LoopSettings, Trainer, save_state

MODEL_VERSION = "0.3"
CALIBRATION_DOSES = (0.1, 0.25, 0.5)
ACCEPTED = AcceptedScans(
    pixel_spacing_mm=(0.5, 1.4),
    field_of_view_mm=(250.0, 710.0),
    slice_thickness_mm=(0.5, 10.0),
    noise_hu=(4.0, 150.0),
    noise_mean_frequency_per_mm=(0.18, 0.80),
)

# Patients by the names under which the public collections publish them.
TEST_PATIENTS = (
    "1.3.6.1.4.1.9328.50.1.0117",
    "CRLM-CT-1004",
    "TCGA-DE-A4MA",
    "TCGA-50-5044",
    "TCGA-50-6673",
    "TCGA-51-6867",
    "TCGA-60-2724",
    "TCGA-92-7340",
    "TCGA-34-A5IX",
    "TCGA-17-Z031",
    "TCGA-17-Z058",
    "A058062",
    "A048383",
)
CALIBRATION_PATIENTS = (
    "1.3.6.1.4.1.9328.50.1.0109",
    "ACRIN-FLT-Breast_001",
    "TCGA-17-Z034",
    "TCGA-17-Z053",
    "TCGA-17-Z062",
    "TCGA-34-8455",
    "TCGA-38-6178",
    "TCGA-50-8460",
    "TCGA-51-4079",
    "TCGA-60-2715",
    "TCGA-60-2723",
    "TCGA-92-8065",
    "A056642",
    "A002304",
)
# Standard deviation of the logarithm of the estimated dose fraction.
_FRACTION_ERROR = 0.4
# How far a feature may go beyond the largest that the calibration patients gave.
_LIMIT_MARGIN = 2.0
# Scans too noisy to stand for a standard dose even when shrunk.
NOISIEST_TRAINING_HU = 55.0
VALIDATION_PATIENTS = (
    "LungFCP-01-0001",
    "TCGA-17-Z028",
    "TCGA-50-6591",
    "TCGA-60-2696",
    "TCGA-92-7341",
    "A027284",
)


@dataclass(frozen=True, kw_only=True)
class CtEnhanceRecipe:
    """Everything that decides the weights.

    Attributes:
        seed: of the pairs, the initial weights and the bridge's noise.
        pairs: how pairs are drawn.
        mean, refine, texture: how stage one is fitted, how it goes on from its best weights (a warm
            restart of the learning rate), and how stage two is fitted.
        small_steps: first steps of stage one, which see small crops.
        widths, blocks: of stage one's network; the plain regressor has the same.
        texture_widths, texture_blocks, texture_time_channels: of the bridge's network.
        validation_pairs: how many pairs judge each learner.
    """

    seed: int = 20261120
    pairs: PairSettings = field(default_factory=PairSettings)
    mean: LoopSettings = field(
        default_factory=lambda: LoopSettings(steps=21_000, learning_rate=6e-4, validate_every=1_000)
    )
    small_steps: int = 16_000
    refine: LoopSettings = field(
        default_factory=lambda: LoopSettings(steps=15_000, learning_rate=4e-4, validate_every=1_000)
    )
    texture: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=1_500,
            learning_rate=1e-3,
            warm_up_steps=100,
            average_decay=0.995,
            validate_every=250,
        )
    )
    widths: tuple[int, ...] = (48, 96, 144, 192)
    blocks: tuple[int, ...] = (1, 1, 2, 2)
    texture_widths: tuple[int, ...] = (48, 64, 96)
    texture_blocks: tuple[int, ...] = (1, 1, 2)
    texture_time_channels: int = 64
    validation_pairs: int = 64


def ct_enhance() -> CtEnhanceRecipe:
    """The configuration of the shipped weights."""
    return CtEnhanceRecipe()


def split(scans: Sequence[TrainingScan]) -> dict[str, list[TrainingScan]]:
    """Sort scans into train, validation, calibration and test, by patient.

    Scans whose noise cannot be measured stay for training, where they are only used shrunk.
    """
    parts: dict[str, list[TrainingScan]] = {
        "train": [],
        "validation": [],
        "calibration": [],
        "test": [],
    }
    for scan in scans:
        if scan.patient in TEST_PATIENTS:
            parts["test"].append(scan)
        elif scan.patient in CALIBRATION_PATIENTS:
            parts["calibration"].append(scan)
        elif scan.patient in VALIDATION_PATIENTS:
            parts["validation"].append(scan)
        elif not scan.noise_hu > NOISIEST_TRAINING_HU:
            parts["train"].append(scan)
    return parts


class PlainRegressor(nn.Module):
    """What is usually done: a U-Net of the same size, slices in, slice out, L1 loss."""

    def __init__(self, recipe: CtEnhanceRecipe) -> None:
        super().__init__()
        self.context = recipe.pairs.context
        self.network = RestorationUNet(
            in_channels=2 * self.context + 1, widths=recipe.widths, blocks=recipe.blocks
        )

    def forward(self, window_BCHW: Tensor) -> Tensor:
        """Map windows in HU to the middle slice in HU."""
        middle = window_BCHW[:, self.context : self.context + 1]
        return middle + HU_SCALE * self.network(window_BCHW / HU_SCALE).float()


def save_plain(recipe: CtEnhanceRecipe, folder: Path, weights: Path) -> None:
    """Write the baseline's averaged weights of its best validation, in half precision."""
    plain = PlainRegressor(recipe)
    plain.load_state_dict(torch.load(folder / "plain.pt", map_location="cpu", weights_only=True))
    state = {name: part.half().contiguous() for name, part in plain.state_dict().items()}
    temporary = weights.with_name(weights.name + ".part")
    save_file(state, temporary)
    temporary.chmod(0o644)
    os.replace(temporary, weights)


def load_plain(weights: Path) -> PlainRegressor:
    """The baseline from its safetensors file, ready to judge."""
    plain = PlainRegressor(ct_enhance())
    plain.load_state_dict({name: part.float() for name, part in load_file(weights).items()})
    return plain.eval()


def _middle(batch: Batch) -> Tensor:
    window = batch["input"]
    context = window.shape[1] // 2
    return window[:, context : context + 1]


def mean_learner(recipe: CtEnhanceRecipe) -> Learner:
    """Stage one: squared error for the mean, pinball for the interval."""
    context = recipe.pairs.context
    network = CtMeanModel.build_network(
        context=context, widths=list(recipe.widths), blocks=list(recipe.blocks)
    )

    def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        squared, ends = mean_loss(
            model(batch["input"], batch["fraction"]),
            batch["target"],
            anatomy=batch["anatomy"],
            lesion=batch["lesion"],
            is_clean=batch["is_clean"],
        )
        logs = {"squared": squared.item(), "ends": ends.item()}
        return squared + 0.3 * ends, logs

    def merit(model: nn.Module, batch: Batch) -> Tensor:
        estimate = model(batch["input"], batch["fraction"])
        return gain_db(estimate.mean, _middle(batch), batch["target"])

    return Learner(
        name="mean", network=CtMeanModel(network, context=context), loss=loss, merit=merit
    )


def plain_learner(recipe: CtEnhanceRecipe) -> Learner:
    """The baseline, on the same batches."""

    def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        weight = body_weight(batch["target"])
        error = (model(batch["input"]) - batch["target"]).abs() / HU_SCALE
        value = 4 * (weight * error).sum() / weight.sum()
        return value, {"l1": value.item()}

    def merit(model: nn.Module, batch: Batch) -> Tensor:
        return gain_db(model(batch["input"]), _middle(batch), batch["target"])

    return Learner(name="plain", network=PlainRegressor(recipe), loss=loss, merit=merit)


def texture_learner(recipe: CtEnhanceRecipe, mean: CtMeanModel) -> Learner:
    """Stage two: velocity of the bridge between coloured noise and the mean's residual."""
    mean.eval().requires_grad_(False)
    scheduler = MeanBridgeScheduler()
    network = CtTextureModel.build_network(
        widths=list(recipe.texture_widths),
        blocks=list(recipe.texture_blocks),
        time_channels=recipe.texture_time_channels,
    )

    def velocity_error(model: nn.Module, batch: Batch, generator: torch.Generator | None) -> Tensor:
        assert isinstance(model, CtTextureModel)
        middle, target = _middle(batch), batch["target"]
        mean.to(target.device)
        with torch.no_grad():
            # At use the fraction is only estimated, so it is blurred here.
            blur = torch.randn(len(target), generator=generator).to(target) * _FRACTION_ERROR
            fraction = (batch["fraction"] * blur.exp()).clamp_max(0.9)
            estimate = mean(batch["input"], fraction)
            white = torch.randn(target.shape, generator=generator).to(target)
            noise = model.start(white, middle=middle, estimate=estimate)
            residual = ((target - estimate.mean) / spread_hu(estimate)).clamp(-8, 8)
            time_B = torch.rand(len(target), generator=generator).to(target)
            state = scheduler.add_noise(residual, noise, time_B)
            wanted = scheduler.velocity(residual, noise, time_B)
        found = model.velocity(state, time_B, middle=middle, estimate=estimate)
        weight = body_weight(target)
        return (weight * (found - wanted).square()).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3))

    def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        value = velocity_error(model, batch, None).mean()
        return value, {"velocity": value.item()}

    def merit(model: nn.Module, batch: Batch) -> Tensor:
        generator = torch.Generator().manual_seed(derived_seed(recipe.seed, "bridge merit"))
        return -velocity_error(model, batch, generator)

    return Learner(
        name="texture",
        network=CtTextureModel(network, scheduler=scheduler),
        loss=loss,
        merit=merit,
    )


def validation_batches(recipe: CtEnhanceRecipe, scans: Sequence[TrainingScan]) -> list[Batch]:
    """The same pairs at every validation, in batches."""
    pairs = CtPairs(
        scans,
        settings=recipe.pairs,
        seed=derived_seed(recipe.seed, "validation"),
        length=recipe.validation_pairs,
    )
    size = recipe.mean.batch_size
    groups = [range(k, min(k + size, len(pairs))) for k in range(0, len(pairs), size)]
    return [
        {name: torch.stack([part[name] for part in pairs_of_group]) for name in pairs_of_group[0]}
        for pairs_of_group in ([pairs[k] for k in group] for group in groups)
    ]


def fit(
    learners: Sequence[Learner],
    recipe: CtEnhanceRecipe,
    settings: LoopSettings,
    parts: dict[str, list[TrainingScan]],
    folder: Path,
    *,
    resume: bool,
    small_steps: int = 0,
    steps_before: int = 0,
    device: str = "cpu",
) -> None:
    """Train learners on the training patients, judged on the validation patients.

    Learners that have already seen ``steps_before`` steps go on with new pairs, and what they come
    with is judged first: only better weights replace it.
    """

    before = steps_before * settings.batch_size

    def make_pairs(start: int) -> CtPairs:
        return CtPairs(
            parts["train"],
            settings=replace(recipe.pairs, num_small=small_steps * settings.batch_size),
            seed=recipe.seed,
            length=before + settings.steps * settings.batch_size,
            start=before + start,
        )

    trainer = Trainer(learners, settings=settings, folder=folder, device=device)
    if resume:
        trainer.resume()
    validation = validation_batches(recipe, parts["validation"])
    if steps_before and trainer.step == 0:
        trainer.validate(validation)
    trainer.fit(make_pairs, validation)


def train(*, data: Path, output: Path, resume: bool = False, device: str = "cpu") -> Path:
    """Fit both stages, calibrate and pack: everything from scans to a model folder.

    Args:
        data: folder that holds ``ct/index.json`` and ``ct/train``.
        output: ``mean``, ``refine`` and ``texture`` keep checkpoints there, ``averaged`` holds the
            weights of stage one, ``model`` is the result; ``plain.safetensors`` is the baseline
            that the benchmark sets beside it.
        resume: go on from the last checkpoints.
        device: "cpu", or "auto" to use a GPU that is there.

    Returns:
        The model folder.
    """
    device = resolve_device(device)
    recipe = ct_enhance()
    scans = read_training_scans(data)
    parts = split(scans)
    fit_mean(recipe, parts, output, resume=resume, device=device)
    save_plain(recipe, output / "averaged", output / "plain.safetensors")
    mean = best_mean(recipe, output / "averaged")
    torch.manual_seed(derived_seed(recipe.seed, "texture") % 2**32)
    learner = texture_learner(recipe, mean)
    fit([learner], recipe, recipe.texture, parts, output / "texture", resume=resume, device=device)
    return pack(recipe, parts, data=data, output=output)


def fit_mean(
    recipe: CtEnhanceRecipe,
    parts: dict[str, list[TrainingScan]],
    output: Path,
    *,
    resume: bool,
    device: str = "cpu",
) -> None:
    """Fit stage one and the plain regressor, go on from the best weights of both, and average.

    The second run is a warm restart on crops of full size: the learning rate falls a second time.
    The weights that count, in ``output / "averaged"``, are the mean of both runs' best ones. They
    restore a little less than those of the second run alone and answer the unknown more steadily.

    Sources: Loshchilov & Hutter, ICLR 2017 (warm restarts); Wortsman et al., ICML 2022 (averages
    of fine-tuned weights).
    """
    torch.manual_seed(derived_seed(recipe.seed, "mean") % 2**32)
    learners = [mean_learner(recipe), plain_learner(recipe)]
    fit(
        learners,
        recipe,
        recipe.mean,
        parts,
        output / "mean",
        resume=resume,
        small_steps=recipe.small_steps,
        device=device,
    )
    torch.manual_seed(derived_seed(recipe.seed, "refine") % 2**32)
    learners = [mean_learner(recipe), plain_learner(recipe)]
    for learner in learners:
        best = torch.load(
            output / "mean" / f"{learner.name}.pt", map_location="cpu", weights_only=True
        )
        learner.network.load_state_dict(best)
    fit(
        learners,
        recipe,
        recipe.refine,
        parts,
        output / "refine",
        resume=resume,
        steps_before=recipe.mean.steps,
        device=device,
    )
    (output / "averaged").mkdir(exist_ok=True)
    for learner in learners:
        first, second = (
            torch.load(output / run / f"{learner.name}.pt", map_location="cpu", weights_only=True)
            for run in ("mean", "refine")
        )
        averaged = {name: (first[name] + second[name]) / 2 for name in first}
        save_state(output / "averaged" / f"{learner.name}.pt", averaged)


def best_mean(recipe: CtEnhanceRecipe, folder: Path) -> CtMeanModel:
    """Stage one with the averaged weights of its best validation."""
    model = mean_learner(recipe).network
    assert isinstance(model, CtMeanModel)
    model.load_state_dict(torch.load(folder / "mean.pt", map_location="cpu", weights_only=True))
    return model.eval().requires_grad_(False)


def best_texture(recipe: CtEnhanceRecipe, mean: CtMeanModel, folder: Path) -> CtTextureModel:
    """Stage two with the averaged weights of its best validation."""
    model = texture_learner(recipe, mean).network
    assert isinstance(model, CtTextureModel)
    state = torch.load(folder / "texture.pt", map_location="cpu", weights_only=True)
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


def pack(
    recipe: CtEnhanceRecipe, parts: dict[str, list[TrainingScan]], *, data: Path, output: Path
) -> Path:
    """Calibrate the best weights of both stages and write the model folder."""
    mean = best_mean(recipe, output / "averaged")
    patients = {part: len({scan.patient for scan in scans}) for part, scans in parts.items()}
    card = ct_enhance_card.facts(version=MODEL_VERSION, training=parts["train"], patients=patients)
    model = CtEnhancer(
        mean=mean,
        texture=best_texture(recipe, mean, output / "texture"),
        calibration=uncalibrated(),
        accepted=ACCEPTED,
        card=card,
    )
    cases = list(
        simulated_cases(
            parts["calibration"],
            dose_fractions=CALIBRATION_DOSES,
            seed=derived_seed(recipe.seed, "calibration"),
        )
    )
    model.mean.network.limit_features(_LIMIT_MARGIN * largest_features(model, cases))
    model.calibration = calibrate(model, cases)
    folder = output / "model"
    shutil.rmtree(folder, ignore_errors=True)
    sources = ct_enhance_card.citations(data, parts["train"] + parts["validation"])
    documents = {
        "README.md": ct_enhance_card.readme(card, seed=recipe.seed, sources=sources),
        "training.json": json.dumps(run_configuration(recipe, parts), indent=1),
    }
    model.save_pretrained(folder, documents=documents)
    return folder


def largest_features(model: CtEnhancer, cases: Iterable[DoseCase]) -> NDArray:
    """Largest feature inside and after each residual block of stage one, (blocks, 2)."""
    blocks = model.mean.network.residual_blocks()
    largest = np.zeros((len(blocks), 2))

    def note(place: tuple[int, int]) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(_: nn.Module, __: object, features: Tensor) -> None:
            largest[place] = max(largest[place], float(features.abs().max()))

        return hook

    hooks = []
    for number, block in enumerate(blocks):
        hooks.append(block.first.register_forward_hook(note((number, 0))))
        hooks.append(block.register_forward_hook(note((number, 1))))
    try:
        for case in cases:
            for _, window in case.windows(model.context):
                model.raw_estimate(
                    window, spacing_mm=case.in_plane_mm, dose_fraction=case.dose_fraction
                )
    finally:
        for hook in hooks:
            hook.remove()
    return largest


def uncalibrated() -> Calibration:
    """Factors of one: the raw interval."""
    ones = {name: (1.0,) * len(NOISE_LEVELS_HU) for name in CLASSES}
    return Calibration(coverage=COVERAGE, noise_hu=NOISE_LEVELS_HU, below=ones, above=ones)


def run_configuration(
    recipe: CtEnhanceRecipe, parts: dict[str, list[TrainingScan]]
) -> dict[str, object]:
    """The resolved configuration, the split and the versions, for the model folder."""
    return {
        "recipe": asdict(recipe),
        "isocenter": __version__,
        "torch": torch.__version__,
        "split": {part: sorted({scan.patient for scan in scans}) for part, scans in parts.items()},
    }
