"""Are small lesions still seen? ``python -m benchmarks.ct_enhance.lesions --data F --output F``.

Known nodules and faint lesions go into full-dose scans of the test patients before the dose is
lowered to a quarter; a channelised Hotelling observer looks for them. Writes ``lesions.json`` and
``lesions.md``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress

from benchmarks.ct_enhance.baselines import BASELINES
from benchmarks.ct_enhance.cases import SEED, console
from benchmarks.ct_enhance.ours import MEAN, SAMPLE, STEPS
from isocenter.core.acquisition import CtAcquisition
from isocenter.core.volume import Geometry, Volume
from isocenter.datasets.ct_dose_cases import dose_settings
from isocenter.datasets.ct_pairs import TrainingScan
from isocenter.datasets.ct_scans import read_training_scans
from isocenter.evaluation.lesions.detectability import (
    DetectabilityTable,
    OverallRatio,
    detectability_study,
)
from isocenter.image.ct_noise import measure_noise
from isocenter.modelpack.ct_enhance.contract import Estimate
from isocenter.modelpack.ct_enhance.model import CtEnhancer
from isocenter.physics.ct_dose import DoseSimulator
from isocenter.recipes.ct_enhance.recipe import TEST_PATIENTS

DOSE = 0.25
CONTEXT = 1
# Of the noise that the lower dose added; near the best of the main comparison at this dose.
BM3D_SIGMA = 1.3


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ct/")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--model", type=Path, help="model folder; the shipped one by default")
    parser.add_argument("--slices", type=int, default=3, help="slices of each scan")
    parser.add_argument("--no-bm3d", action="store_true", help="leave BM3D out")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    scans = [
        scan
        for scan in read_training_scans(arguments.data, patients=TEST_PATIENTS)
        if len(scan.array) > 2 * CONTEXT
    ]
    torch.set_num_threads(2)
    found = study(
        scans,
        CtEnhancer.from_pretrained(arguments.model),
        slices=arguments.slices,
        with_bm3d=not arguments.no_bm3d,
    )
    (arguments.output / "lesions.json").write_text(json.dumps(found.as_dict(), indent=1))
    (arguments.output / "lesions.md").write_text(markdown(found))
    console.print(markdown(found))


def study(
    scans: Sequence[TrainingScan], model: CtEnhancer, *, slices: int, with_bm3d: bool
) -> DetectabilityTable:
    """d' at full dose, at a quarter of it, and after each process."""
    volumes = [_volume(scan) for scan in scans]
    settings = {
        volume.geometry.spacing_mm: dose_settings(scan, volume.array)
        for scan, volume in zip(scans, volumes, strict=True)
    }

    def degrade(slab: Volume, rng: np.random.Generator) -> NDArray:
        one = settings[slab.geometry.spacing_mm]
        simulator = DoseSimulator(
            slab.array,
            spacing_mm=slab.geometry.spacing_mm[1:],
            photons=one.photons,
            slice_correlation=one.slice_correlation,
        )
        return np.rint(slab.array + simulator.noise_hu(DOSE, one.kernel, rng))

    thickness_mm = {
        volume.geometry.spacing_mm: scan.slice_thickness_mm
        for scan, volume in zip(scans, volumes, strict=True)
    }

    def estimate_of(slab: Volume) -> Estimate:
        spacing = slab.geometry.spacing_mm[1:]
        fraction = model.guess_dose_fraction(
            measure_noise(slab.array[CONTEXT], spacing_mm=spacing),
            slice_thickness_mm=thickness_mm[slab.geometry.spacing_mm],
        )
        return model.estimate(slab.array, spacing_mm=spacing, dose_fraction=fraction)

    def mean(slab: Volume) -> NDArray:
        return estimate_of(slab).mean_hu

    def sample(slab: Volume) -> NDArray:
        spacing = slab.geometry.spacing_mm[1:]
        estimate = estimate_of(slab)
        return model.sample(slab.array, estimate, spacing_mm=spacing, steps=STEPS, seed=SEED)

    def bm3d(slab: Volume) -> NDArray:
        noise = settings[slab.geometry.spacing_mm].noise_hu * np.sqrt(1 / DOSE - 1)
        (baseline,) = (one for one in BASELINES if one.name == "BM3D")
        return baseline.apply(slab.array[CONTEXT].astype(np.float32), BM3D_SIGMA * noise)

    processors = {MEAN: mean, SAMPLE: sample} | ({"BM3D": bm3d} if with_bm3d else {})
    with Progress(console=console) as bar:
        task = bar.add_task("lesions", total=None)
        return detectability_study(
            volumes,
            degrade=degrade,
            processors=processors,
            slices_per_scan=slices,
            context=CONTEXT,
            seed=SEED,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _volume(scan: TrainingScan) -> Volume:
    return Volume(
        array=scan.array.astype(np.float32),
        geometry=Geometry(shape=scan.array.shape, spacing_mm=scan.spacing_mm),
        unit="HU",
        acquisition=CtAcquisition(kernel=scan.kernel),
    )


def markdown(found: DetectabilityTable) -> str:
    """d' of every kind of lesion, and the ratio to the low-dose input."""
    processings = list(dict.fromkeys(row.processing for row in found.rows))
    kinds = list(
        dict.fromkeys(
            (row.lesion, row.tissue, row.diameter_mm, row.contrast_hu) for row in found.rows
        )
    )
    values = {
        (row.processing, row.lesion, row.tissue, row.diameter_mm, row.contrast_hu): row
        for row in found.rows
    }
    lines = [
        "| lesion | " + " | ".join(processings) + " |",
        "|---|" + "---|" * len(processings),
    ]
    for kind in kinds:
        lesion, tissue, diameter, contrast = kind
        cells = [f"{values[processing, *kind].d_prime:.2f}" for processing in processings]
        name = f"{lesion}, {tissue}, {diameter:g} mm, {contrast:+g} HU"
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for group in ("small", "all"):
        overall = {row.processing: row for row in found.overall if row.group == group}
        cells = [_limits(overall[name]) if name in overall else "" for name in processings]
        lines.append(f"| ratio to {found.baseline}, {group} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _limits(one: OverallRatio) -> str:
    return f"{one.ratio:.2f} ({one.ratio_low:.2f}-{one.ratio_high:.2f})"


if __name__ == "__main__":
    main()
