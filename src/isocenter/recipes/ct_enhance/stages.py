"""The two stages of CT enhancement, fitted one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from isocenter.core.progress import Say, say_nothing
from isocenter.core.seeds import derived_seed
from isocenter.datasets.ct_pairs import CtPairs, TrainingScan
from isocenter.modelpack.ct_enhance.mean import CtMeanModel
from isocenter.modelpack.ct_enhance.texture import CtTextureModel
from isocenter.recipes.ct_enhance.configuration import CtEnhanceRecipe
from isocenter.training.averaging import halfway
from isocenter.training.checkpoint import load_state, save_state
from isocenter.training.ct_enhance import learners
from isocenter.training.learner import Batch, Learner
from isocenter.training.loop import LoopSettings, Trainer
from isocenter.training.processes import is_main_process, wait_for_all

Parts = dict[str, list[TrainingScan]]
ALL_SMALL = (
    "all {steps:,} steps of stage one's first run see small crops, as small_steps is {small:,}; "
    "set it below mean.steps to show crops of full size there too"
)
FIRST_RUN, SECOND_RUN, AVERAGED, ADAPTED = "mean", "refine", "averaged", "adapt"
TEXTURE = "texture"


def mean_learner(recipe: CtEnhanceRecipe) -> Learner:
    """Stage one as the recipe has it."""
    return learners.mean_learner(
        context=recipe.pairs.context,
        widths=recipe.widths,
        blocks=recipe.blocks,
        losses=recipe.losses,
    )


def texture_learner(recipe: CtEnhanceRecipe, mean: CtMeanModel) -> Learner:
    """Stage two as the recipe has it."""
    return learners.texture_learner(
        mean,
        widths=recipe.texture_widths,
        blocks=recipe.texture_blocks,
        time_channels=recipe.texture_time_channels,
        fraction_error=recipe.fraction_error,
        losses=recipe.losses,
        seed=recipe.seed,
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
    fitted: Sequence[Learner],
    recipe: CtEnhanceRecipe,
    settings: LoopSettings,
    parts: Parts,
    folder: Path,
    *,
    resume: bool,
    small_steps: int = 0,
    steps_before: int = 0,
    judge_first: bool = False,
    device: str = "cpu",
    say: Say = say_nothing,
) -> None:
    """Train learners on the training patients, judged on the validation patients.

    Learners that have already seen ``steps_before`` steps go on with new pairs. With
    ``judge_first`` what they come with is judged first: only better weights replace it.
    """
    before = steps_before * settings.batch_size

    def make_pairs(start: int) -> CtPairs:
        return CtPairs(
            parts["train"],
            settings=recipe.pairs,
            seed=recipe.seed,
            length=before + settings.steps * settings.batch_size,
            start=before + start,
            num_small=small_steps * settings.batch_size,
        )

    trainer = Trainer(fitted, settings=settings, folder=folder, device=device, say=say)
    if resume:
        trainer.resume()
    say(f"{folder.name}: from step {trainer.step:,} to {settings.steps:,}")
    validation = validation_batches(recipe, parts["validation"])
    trainer.fit(make_pairs, validation, judge_first=judge_first)


def fit_stage_one(
    make_learner: Callable[[], Learner],
    recipe: CtEnhanceRecipe,
    parts: Parts,
    output: Path,
    *,
    resume: bool,
    device: str = "cpu",
    say: Say = say_nothing,
) -> Path:
    """Fit stage one, go on from its best weights, and average both runs' best ones.

    The second run is a warm restart on crops of full size: the learning rate falls a second time.
    The average restores a little less than the weights of the second run alone and answers the
    unknown more steadily.

    Args:
        make_learner: called for each run after the seed of its weights is set; a network that is to
            be compared with stage one is fitted in the same way by another learner.
        recipe, parts: the configuration and the scans.
        output: gets a folder a run and ``averaged``.
        resume: go on from the last checkpoints.
        device: where the network is fitted.
        say: is told what happens.

    Returns:
        The file of the weights that count.

    Sources: Loshchilov & Hutter, ICLR 2017 (warm restarts); Wortsman et al., ICML 2022 (averages
    of fine-tuned weights).
    """
    torch.manual_seed(derived_seed(recipe.seed, "mean") % 2**32)
    learner = make_learner()
    if recipe.small_steps >= recipe.mean.steps:
        say(ALL_SMALL.format(steps=recipe.mean.steps, small=recipe.small_steps))
    fit(
        [learner],
        recipe,
        recipe.mean,
        parts,
        output / FIRST_RUN,
        resume=resume,
        small_steps=recipe.small_steps,
        device=device,
        say=say,
    )
    torch.manual_seed(derived_seed(recipe.seed, "refine") % 2**32)
    learner = make_learner()
    weights = f"{learner.name}.pt"
    learner.network.load_state_dict(load_state(output / FIRST_RUN / weights))
    fit(
        [learner],
        recipe,
        recipe.refine,
        parts,
        output / SECOND_RUN,
        resume=resume,
        steps_before=recipe.mean.steps,
        judge_first=True,
        device=device,
        say=say,
    )
    if is_main_process():
        (output / AVERAGED).mkdir(exist_ok=True)
        runs = (load_state(output / run / weights) for run in (FIRST_RUN, SECOND_RUN))
        save_state(output / AVERAGED / weights, halfway(*runs))
    wait_for_all()
    return output / AVERAGED / weights


def fit_mean(
    recipe: CtEnhanceRecipe,
    parts: Parts,
    output: Path,
    *,
    resume: bool,
    device: str = "cpu",
    say: Say = say_nothing,
) -> CtMeanModel:
    """Stage one, fitted, and then fitted to keep faint lesions too."""
    weights = fit_stage_one(
        lambda: mean_learner(recipe), recipe, parts, output, resume=resume, device=device, say=say
    )
    fit_adapted(recipe, weights, parts, output, resume=resume, device=device, say=say)
    return best_mean(recipe, output)


def fit_adapted(
    recipe: CtEnhanceRecipe,
    weights: Path,
    parts: Parts,
    output: Path,
    *,
    resume: bool,
    device: str = "cpu",
    say: Say = say_nothing,
) -> None:
    """Go on from a file of stage one's weights with the lesions and the losses of ``adapt``."""
    adapted = replace(recipe, pairs=recipe.adapt_pairs, losses=recipe.adapt_losses)
    torch.manual_seed(derived_seed(recipe.seed, "adapt") % 2**32)
    learner = mean_learner(adapted)
    learner.network.load_state_dict(load_state(weights))
    fit(
        [learner],
        adapted,
        recipe.adapt,
        parts,
        output / ADAPTED,
        resume=resume,
        steps_before=recipe.mean.steps + recipe.refine.steps,
        device=device,
        say=say,
    )


def fit_texture(
    recipe: CtEnhanceRecipe,
    mean: CtMeanModel,
    parts: Parts,
    output: Path,
    *,
    resume: bool,
    device: str = "cpu",
    say: Say = say_nothing,
) -> CtTextureModel:
    """Stage two, fitted on the frozen stage one."""
    torch.manual_seed(derived_seed(recipe.seed, "texture") % 2**32)
    learner = texture_learner(recipe, mean)
    folder = output / TEXTURE
    fit([learner], recipe, recipe.texture, parts, folder, resume=resume, device=device, say=say)
    return best_texture(recipe, mean, output)


def best_mean(recipe: CtEnhanceRecipe, output: Path) -> CtMeanModel:
    """Stage one with the weights that count."""
    model = mean_learner(recipe).network
    assert isinstance(model, CtMeanModel)
    model.load_state_dict(load_state(output / ADAPTED / "mean.pt"))
    return model.eval().requires_grad_(False)


def best_texture(recipe: CtEnhanceRecipe, mean: CtMeanModel, output: Path) -> CtTextureModel:
    """Stage two with the averaged weights of its best validation."""
    model = texture_learner(recipe, mean).network
    assert isinstance(model, CtTextureModel)
    model.load_state_dict(load_state(output / TEXTURE / "texture.pt"))
    return model.eval().requires_grad_(False)
