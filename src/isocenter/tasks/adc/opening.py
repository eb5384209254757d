"""What a folder must hold for an ADC: images of two b-values of one head, on one grid."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from isocenter.core.errors import InputRefused, UnreadableInput, UnsuitableScan
from isocenter.core.limits import Limits
from isocenter.core.volume import SliceSource
from isocenter.image.volume_files import volume_ending

if TYPE_CHECKING:
    from isocenter.dicom.reading.diffusion_study import DiffusionStudy


def open_study(
    path: Path, /, *, series: str | None, largest_run: bool, limits: Limits
) -> Mapping[str, SliceSource]:
    """The stacks of a diffusion study by name, by rising b-value: "b0", "b1000", "b1000_2" ...

    Raises:
        InputRefused: there is no such study, one b-value alone, or more than the limits allow.
    """
    from isocenter.dicom.reading.diffusion_study import open_diffusion_study

    if volume_ending(path) and not path.is_dir():
        raise InputRefused(
            "a volume file does not say with which b-value its images were taken; give the folder "
            "of the DICOM study"
        )
    run = "largest" if largest_run else "all"
    study = open_diffusion_study(path, series=series, run=run, limits=limits)
    if len(study.b_values) < 2:
        raise _one_b_value_alone(study)
    num_voxels = len(study.b_values) * math.prod(study.stacks[0].geometry.shape)
    if num_voxels > limits.volume_voxels:
        raise UnreadableInput(
            f"the images of all b-values have {num_voxels} voxels, more than "
            f"{limits.volume_voxels} (limit volume_voxels); they are worked on in memory"
        )
    counts: Counter[str] = Counter()
    scans: dict[str, SliceSource] = {}
    for stack in study.stacks:
        name = f"b{stack.b_value_s_per_mm2:.0f}"
        counts[name] += 1
        scans[name if counts[name] == 1 else f"{name}_{counts[name]}"] = stack
    return scans


def _one_b_value_alone(study: DiffusionStudy) -> UnsuitableScan:
    """Of one b-value there is no fit.

    This is where an estimate by a model, from the weighted image and other contrasts of the same
    head, takes over once there is one; until then it is refused.
    """
    return UnsuitableScan(
        f"only images of b = {study.b_values[0]:g} s/mm² were found; an ADC is fitted to two or "
        "more b-values of one acquisition, such as 0 and 1000, and those of b = 0 are missing. "
        "They may lie in a series of their own: give the folder of the whole study. Without them "
        "an ADC could only be estimated, which this version does not do",
        reason="one_b_value",
    )
