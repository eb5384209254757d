"""What a sample draws: ``python -m benchmarks.ct_enhance.samples --data FOLDER --output FOLDER``.

Strength 1 minus strength 0, at one seed, on a quarter of the dose of the test patients and on the
measured pairs: whether what is drawn is alike in different patients, how much coarse power it has
beside a standard dose's noise, whether it moves the mean HU, and whether it runs in the directions
in which the full dose's noise runs. Writes ``samples.json`` and ``samples.png``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from scipy import ndimage

from benchmarks.ct_enhance.cases import SEED, Slice, console, gather
from benchmarks.ct_enhance.ours import STEPS
from isocenter.core.seeds import derived_seed
from isocenter.image.ct_tissue import body_mask, tissue_masks
from isocenter.modelpack.ct_enhance.model import CtEnhancer
from isocenter.modelpack.ct_enhance.texture import COARSE_END_PER_MM, local_directions

DOSE = 0.25
_BLUR_PIXELS = 5.0
_LEAST_VOXELS = 500
_BANDS_PER_MM = ((0.0, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.4), (0.4, 0.8))


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ct/")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--model", type=Path, help="model folder; the shipped one by default")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    cases = gather(arguments.data, arguments.output / "cache", num_judged=1, workers=2)
    model = CtEnhancer.from_pretrained(arguments.model)
    slices = [
        (case, index, window)
        for case in cases
        if case.real or case.dose_fraction == DOSE
        for index, window in case.windows(1)
    ]
    figures, pictures = study(slices, model)
    figures = {"version": model.version, "weights_sha256": model.weights_sha256, **figures}
    (arguments.output / "samples.json").write_text(json.dumps(figures, indent=1))
    draw(pictures, arguments.output / "samples.png")
    console.print(markdown(figures))


def study(
    slices: Sequence[Slice], model: CtEnhancer
) -> tuple[dict[str, Any], list[tuple[NDArray, ...]]]:
    """Figures over all slices; pictures of a few."""
    blurred: list[tuple[str, NDArray]] = []
    rows: list[dict[str, Any]] = []
    pictures: list[tuple[NDArray, ...]] = []
    for case, index, window in track(slices, "samples", console=console):
        fraction = case.guessed_fraction(model)
        estimate = model.estimate(window, spacing_mm=case.in_plane_mm, dose_fraction=fraction)
        sample, other = (
            model.sample(
                window,
                estimate,
                spacing_mm=case.in_plane_mm,
                steps=STEPS,
                seed=derived_seed(SEED, "samples", number),
            )
            for number in (0, 1)
        )
        drawn, full = sample - estimate.mean_hu, case.full_hu[index]
        inside = body_mask(full)
        added = case.low_hu[index] - full
        # Going down to a fraction f adds (1 / f - 1) times the standard dose's noise.
        standard = added / np.sqrt(1 / case.dose_fraction - 1)
        blurred.append((case.patient, ndimage.gaussian_filter(drawn, _BLUR_PIXELS)))
        seeds = [
            ndimage.gaussian_filter(one - estimate.mean_hu, _BLUR_PIXELS) for one in (sample, other)
        ]
        tissues = tissue_masks(full, spacing_mm=case.in_plane_mm, body=inside)
        rows.append(
            {
                "patient": case.patient,
                "real": case.real,
                "between_seeds": _correlation(seeds[0], seeds[1], inside),
                "power": [
                    _band_power(drawn, inside, case.in_plane_mm, band)
                    / _band_power(standard, inside, case.in_plane_mm, band)
                    for band in _BANDS_PER_MM
                ],
                "shift_hu": float(drawn[inside].mean()),
                "tissue_shift_hu": {
                    name: float(drawn[mask].mean())
                    for name, mask in tissues.items()
                    if mask.sum() >= _LEAST_VOXELS
                },
                "directions": _same_directions(drawn, added, inside),
            }
        )
        if len(pictures) < 4 or case.real:
            pictures.append((window[len(window) // 2], full, estimate.mean_hu, sample, drawn))
    between = [
        _correlation(first, second, np.ones(first.shape, bool))
        for (one, first), (two, second) in combinations(blurred, 2)
        if one != two and first.shape == second.shape
    ]
    shifts = [value for row in rows for value in row["tissue_shift_hu"].values()]
    return {
        "slices": len(rows),
        "patients": len({row["patient"] for row in rows}),
        "between_patients": {
            "median": float(np.median(between)),
            "largest": float(np.abs(between).max()),
        },
        "between_seeds": {
            "median": float(np.median([row["between_seeds"] for row in rows])),
            "largest": float(np.abs([row["between_seeds"] for row in rows]).max()),
        },
        "bands_per_mm": [list(band) for band in _BANDS_PER_MM],
        "power": {
            kind: np.mean([row["power"] for row in rows if row["real"] == real], axis=0).tolist()
            for kind, real in (("simulated", False), ("measured", True))
        },
        "largest_coarse_power": float(max(max(row["power"][:2]) for row in rows)),
        "largest_shift_hu": float(max(abs(row["shift_hu"]) for row in rows)),
        "largest_tissue_shift_hu": float(np.abs(shifts).max()),
        "directions": float(np.mean([row["directions"] for row in rows])),
    }, pictures[:6]


def _correlation(first: NDArray, second: NDArray, where: NDArray) -> float:
    return float(np.corrcoef(first[where], second[where])[0, 1])


def _band_power(
    image: NDArray,
    inside: NDArray,
    spacing_mm: tuple[float, float],
    band: tuple[float, float],
) -> float:
    masked = np.where(inside, image - image[inside].mean(), 0.0)
    axes = [np.fft.fftfreq(n, step) for n, step in zip(image.shape, spacing_mm, strict=True)]
    frequency = np.hypot(axes[0][:, None], axes[1])
    low, high = band
    power: NDArray = np.abs(np.fft.fft2(masked)) ** 2
    return float(power[(frequency >= low) & (frequency < high)].sum())


def _same_directions(drawn: NDArray, noise: NDArray, inside: NDArray) -> float:
    """Correlation of the shares of power that run in each direction at each place."""
    mask = torch.from_numpy(inside.astype(np.float32))[None, None]
    shares = []
    for image in (drawn, noise):
        scaled = image / max(float(image[inside].std()), 1e-6)
        found = local_directions(torch.from_numpy(scaled.astype(np.float32))[None, None], mask)
        shares.append(found[0].numpy()[:, inside].ravel())
    return float(np.corrcoef(shares[0], shares[1])[0, 1])


def markdown(figures: dict[str, Any]) -> str:
    """One line a question."""
    bands = ", ".join(f"{low:g} to {high:g}" for low, high in figures["bands_per_mm"])
    power = {
        kind: ", ".join(f"{value:.2f}" for value in values)
        for kind, values in figures["power"].items()
    }
    patients, seeds = (
        f"{figures[name]['median']:.3f}, {figures[name]['largest']:.2f}"
        for name in ("between_patients", "between_seeds")
    )
    lines = [
        f"Strength 1 minus strength 0 at one seed, {figures['slices']} slices of "
        f"{figures['patients']} patients at a quarter of the dose, simulated and measured:",
        "",
        "| what | found |",
        "|---|---|",
        f"| correlation between patients, blurred by {_BLUR_PIXELS:g} pixels: median, largest | "
        f"{patients} |",
        f"| the same between two seeds of one slice | {seeds} |",
        f"| power over that of a standard dose's noise, {bands} cycles/mm, simulated | "
        f"{power['simulated']} |",
        f"| the same on measured pairs | {power['measured']} |",
        f"| largest such power below {COARSE_END_PER_MM:g} cycles/mm in any slice | "
        f"{figures['largest_coarse_power']:.2f} |",
        f"| largest shift of the mean HU of a slice | {figures['largest_shift_hu']:.2f} HU |",
        "| largest shift of the mean HU of a tissue in a slice | "
        f"{figures['largest_tissue_shift_hu']:.1f} HU |",
        "| directions of the texture, place by place: correlation with those of the noise | "
        f"{figures['directions']:.2f} |",
    ]
    return "\n".join(lines) + "\n"


def draw(pictures: Sequence[tuple[NDArray, ...]], path: Path) -> None:
    """A row a slice: low dose, full dose, mean, sample, and what was drawn plain and blurred."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = ("low dose", "full dose", "strength 0", "strength 1", "drawn", "drawn, blurred x 5")
    figure = Figure(figsize=(3.2 * len(names), 3.3 * len(pictures)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(pictures), len(names), squeeze=False)
    for row, images in enumerate(pictures):
        drawn = images[-1]
        shown = (*images, 5 * ndimage.gaussian_filter(drawn, _BLUR_PIXELS))
        for column, image in enumerate(shown):
            low, high = (-160.0, 240.0) if column < 4 else (-60.0, 60.0)
            axes[row, column].imshow(image, cmap="gray", vmin=low, vmax=high)
            axes[row, column].set_xticks([])
            axes[row, column].set_yticks([])
            if not row:
                axes[row, column].set_title(names[column], fontsize=10)
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
