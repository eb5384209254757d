"""``isocenter.enhance``: the task as a call with its options written out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from isocenter.core.progress import Progress
from isocenter.tasks.ct_enhance.outputs import ENHANCED, UNCERTAINTY
from isocenter.tasks.ct_enhance.settings import EnhanceSettings, parse_strength
from isocenter.tasks.ct_enhance.task import TASK
from isocenter.tasks.run import RunResult, run

if TYPE_CHECKING:
    from isocenter.modelpack.ct_enhance.contract import Enhancer
    from isocenter.tasks.inputs import Input


class EnhanceResult(RunResult):
    """Where the results lie and what made them; see :class:`isocenter.tasks.run.RunResult`."""

    @property
    def series_folder(self) -> Path:
        """The enhanced series."""
        return self.folder / ENHANCED.name

    @property
    def uncertainty_files(self) -> tuple[Path, ...]:
        """The map, in one or more files; its images where ``maps`` asked for these alone."""
        return self.files.get(UNCERTAINTY.name) or self.files[f"{UNCERTAINTY.name}_images"]


def enhance(
    input: Input,
    output: str | Path,
    *,
    strength: float | str = 0.0,
    samples: int = 1,
    steps: int = 4,
    seed: int = 0,
    dose_fraction: float | None = None,
    model: str | Path | Enhancer | None = None,
    device: str = "cpu",
    series: str | None = None,
    largest_run: bool = False,
    force: bool = False,
    dicom: bool = False,
    maps: str = "parametric",
    color_map: bool = False,
    private: bool = False,
    progress: Progress | None = None,
) -> EnhanceResult:
    """Enhance one low-dose CT series.

    Args:
        input: a DICOM file, a folder or a tree of folders; a NIfTI or MetaImage file in HU; or a
            volume in memory, in HU.
        output: folder for the results; new or empty. It appears when everything is written, never
            half. Where it already holds the result of the same scan, model and settings, that is
            checked and returned.
        strength: 0 (the model's mean, smoothest) to 1 (texture of a standard-dose scan), or "low"
            (0.25), "medium" (0.5), "high" (1).
        samples, steps, seed: see :class:`EnhanceSettings`; without effect at strength 0.
        dose_fraction: dose of this scan over that of a standard one, where you know it.
        model: a model folder or a loaded enhancer; None takes the shipped weights.
        device: "cpu", "cuda", "cuda:1" and so on, or "auto".
        series: which series, where ``input`` holds several that fit.
        largest_run: where slices are missing or uneven or files damaged, take the largest even run.
        force: go on with a scan outside the model's range; the warnings are written into the
            report and into every DICOM object.
        dicom: write DICOM also where ``input`` has no DICOM header, as nobody's patient.
        maps: how the uncertainty map is written as DICOM: "parametric", "images" or "both".
        color_map: write it in color over the enhanced image too.
        private: folders and files are for their owner alone (0700 and 0600).
        progress: called after every slice.

    Raises:
        InputRefused: the input or a setting; nothing has been written.
        ModelRefused: the model folder, or the model gave no numbers.
        OutputRefused: the place to write to.
    """
    result = run(
        TASK,
        input,
        output,
        settings=EnhanceSettings(
            strength=parse_strength(strength),
            samples=samples,
            steps=steps,
            seed=seed,
            dose_fraction=dose_fraction,
        ),
        model=model,
        device=device,
        series=series,
        largest_run=largest_run,
        force=force,
        dicom=dicom,
        maps=maps,
        color_map=color_map,
        private=private,
        progress=progress,
    )
    return EnhanceResult(**vars(result))
