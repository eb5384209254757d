"""The plain regressor that the model is compared with: ``python -m benchmarks.ct_enhance.plain``.

What is usually done: a U-Net of the same size, slices in, slice out, L1 loss. It sees the pairs of
the recipe in the same order and is fitted in the same two runs, whose weights are averaged. Writes
``plain.safetensors``; the benchmark takes it from there where it is. Takes about as long as stage
one of the model; the same command goes on after a stop.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmarks.ct_enhance.cases import console
from isocenter.core.device import resolve_device
from isocenter.core.files import appearing_whole
from isocenter.modelpack.ct_enhance.mean import HU_SCALE
from isocenter.networks.restoration_unet import RestorationUNet
from isocenter.recipes.ct_enhance.collection import gather
from isocenter.recipes.ct_enhance.configuration import CtEnhanceRecipe, ct_enhance
from isocenter.recipes.ct_enhance.stages import fit_stage_one, mean_learner
from isocenter.training.checkpoint import load_state
from isocenter.training.ct_enhance.learners import middle_slice
from isocenter.training.ct_enhance.losses import batch_mean, body_weight, gain_db
from isocenter.training.learner import Batch, Learner

OUTPUT = Path("runs") / "plain"
WEIGHTS = OUTPUT / "plain.safetensors"
_LOSS_SCALE = 4  # brings the gradient to the size that the recipe's clipping is meant for


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ct/")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for the runs")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")
    arguments = parser.parse_args()
    train_plain(
        ct_enhance(), arguments.data, arguments.output, device=resolve_device(arguments.device)
    )


class PlainRegressor(nn.Module):
    """Windows in HU to the middle slice in HU."""

    def __init__(self, recipe: CtEnhanceRecipe) -> None:
        super().__init__()
        self.context = recipe.pairs.context
        self.network = RestorationUNet(
            in_channels=2 * self.context + 1, widths=recipe.widths, blocks=recipe.blocks
        )

    def forward(self, window_BCHW: Tensor) -> Tensor:
        """The middle slice, (B, 1, H, W) HU."""
        middle = window_BCHW[:, self.context : self.context + 1]
        return middle + HU_SCALE * self.network(window_BCHW / HU_SCALE).float()


def plain_learner(recipe: CtEnhanceRecipe) -> Learner:
    """The regressor, initialized with the random numbers that follow those of stage one."""
    mean_learner(recipe)

    def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        error = (model(batch["input"]) - batch["target"]).abs() / HU_SCALE
        value = _LOSS_SCALE * batch_mean(error, body_weight(batch["target"]))
        return value, {"l1": value.item()}

    def merit(model: nn.Module, batch: Batch) -> Tensor:
        return gain_db(model(batch["input"]), middle_slice(batch), batch["target"])

    return Learner(name="plain", network=PlainRegressor(recipe), loss=loss, merit=merit)


def train_plain(recipe: CtEnhanceRecipe, data: Path, output: Path, *, device: str = "cpu") -> Path:
    """Fit the regressor as stage one is fitted; the file of its weights."""
    output.mkdir(parents=True, exist_ok=True)
    collection = gather(recipe, data, output, say=console.print)
    kept = fit_stage_one(
        lambda: plain_learner(recipe),
        recipe,
        collection.parts,
        output,
        resume=True,
        device=device,
        say=console.print,
    )
    return save_plain(recipe, kept, output / WEIGHTS.name)


def save_plain(recipe: CtEnhanceRecipe, kept: Path, weights: Path) -> Path:
    """Write averaged weights in half precision, as the model's are."""
    plain = PlainRegressor(recipe)
    plain.load_state_dict(load_state(kept))
    state = {name: part.half().contiguous() for name, part in plain.state_dict().items()}
    with appearing_whole(weights, mode=0o644) as part:
        save_file(state, part)
    return weights


def load_plain(weights: Path = WEIGHTS) -> PlainRegressor:
    """The baseline from its safetensors file, ready to judge."""
    plain = PlainRegressor(ct_enhance())
    plain.load_state_dict({name: part.float() for name, part in load_file(weights).items()})
    return plain.eval().requires_grad_(False)


def plain_if_there(weights: Path = WEIGHTS) -> PlainRegressor | None:
    """The baseline where it has been trained."""
    if weights.exists():
        return load_plain(weights)
    console.print(
        f"no {weights}: the plain regressor is left out; python -m benchmarks.ct_enhance.plain "
        "trains it"
    )
    return None


if __name__ == "__main__":
    main()
