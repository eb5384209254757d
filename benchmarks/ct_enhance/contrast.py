"""Contrast that faint small lesions keep: ``python -m benchmarks.ct_enhance.contrast --data FOLDER
--output FOLDER``.

Discs of -20 HU go into soft tissue of the test patients, at three doses, and of the pairs that were
measured at two doses. What a disc changes in the result, over what it changed in the input, is the
contrast kept: mean over the disc minus mean over a ring around it. Noise left is measured with two
draws of the lower dose's noise, so that neither anatomy nor error counts as noise. Both are given
for every share of the input that ``lesion_contrast`` gives back, and for BM3D at several strengths,
so that contrast can be compared at equal noise. Writes ``contrast.json`` and ``contrast.png``.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from scipy import ndimage

from benchmarks.ct_enhance.baselines import BASELINES
from benchmarks.ct_enhance.cases import SEED, Slice, console, gather
from isocenter.core.seeds import derived_seed, generator_for
from isocenter.datasets.ct_dose_cases import DoseCase, simulated_cases
from isocenter.datasets.ct_scans import read_training_scans
from isocenter.image.ct_noise import measure_noise
from isocenter.image.ct_tissue import body_mask
from isocenter.modelpack.ct_enhance.contract import LESION_CONTRAST
from isocenter.modelpack.ct_enhance.judged import JudgedSlice
from isocenter.modelpack.ct_enhance.lesion_band import give_back
from isocenter.modelpack.ct_enhance.model import CtEnhancer
from isocenter.recipes.ct_enhance.recipe import TEST_PATIENTS

DIAMETERS_MM = (4.0, 6.0, 8.0, 10.0, 15.0)
CONTRAST_HU = -20.0
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
BM3D_SIGMAS = (0.5, 0.8, 1.2, 1.8)
BM3D_SLICES = 6
TRADE_DOSE = 0.25
# Levels of the input's noise for which the report tells what is kept, HU.
NOISE_LEVELS_HU = (10.0, 20.0, 40.0, 80.0)
_EDGE_MM = 0.5
_MARGIN_MM, _APART_MM, _MOST_DISCS = 12.0, 26.0, 6
_RING_MM = (1.0, 4.0)
MEASURED = "measured quarter dose"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Contrast kept in one slice by one process, for each diameter, and the noise that it left."""

    patient: str
    noise_in_hu: float
    kept: dict[float, list[float]]
    noise_left: float = float("nan")


@dataclass(kw_only=True)
class _Places:
    """Where discs lie in a slice."""

    centers: list[NDArray]
    spacing_mm: tuple[float, float]
    shape: tuple[int, ...]
    _distance: list[NDArray] = field(default_factory=list)

    def __post_init__(self) -> None:
        rows, columns = np.ogrid[: self.shape[0], : self.shape[1]]
        row_mm, column_mm = self.spacing_mm
        self._distance = [
            np.hypot((rows - row) * row_mm, (columns - column) * column_mm)
            for row, column in self.centers
        ]

    def discs(self, diameter_mm: float) -> NDArray:
        """(row, column) HU to add."""
        total = np.zeros(self.shape, np.float32)
        for distance in self._distance:
            away = np.clip((distance - diameter_mm / 2) / (_EDGE_MM / 2), -50, 50)
            total += CONTRAST_HU / (1 + np.exp(away))
        return total

    def kept(self, change: NDArray, discs: NDArray, diameter_mm: float) -> list[float]:
        """Contrast of a change of the result over that of the discs themselves."""
        shares = []
        for distance in self._distance:
            inside = distance <= diameter_mm / 2
            near, far = (diameter_mm / 2 + away for away in _RING_MM)
            ring = (distance > near) & (distance < far)
            found, wanted = (
                float(one[inside].mean() - one[ring].mean()) for one in (change, discs)
            )
            shares.append(found / wanted)
        return shares


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ct/")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--model", type=Path, help="model folder; the shipped one by default")
    parser.add_argument("--no-bm3d", action="store_true", help="leave BM3D out")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    cases = gather(arguments.data, arguments.output / "cache", num_judged=1, workers=2)
    again = _second_draws(arguments.data)
    model = CtEnhancer.from_pretrained(arguments.model)
    slices = [(case, index, window) for case in cases for index, window in case.windows(1)]
    found = study(slices, again, model, with_bm3d=not arguments.no_bm3d)
    figures = {"version": model.version, "weights_sha256": model.weights_sha256, **found}
    (arguments.output / "contrast.json").write_text(json.dumps(figures, indent=1))
    draw(figures, arguments.output / "contrast.png")
    console.print(markdown(figures))


def _second_draws(data: Path) -> dict[tuple[str, float], DoseCase]:
    """The test patients once more, with other noise."""
    scans = read_training_scans(data, patients=TEST_PATIENTS)
    made = simulated_cases(
        scans, dose_fractions=(TRADE_DOSE,), seed=derived_seed(SEED, "again"), num_judged=1
    )
    return {(case.name, case.dose_fraction): case for case in made}


def study(
    slices: Sequence[Slice],
    again: dict[tuple[str, float], DoseCase],
    model: CtEnhancer,
    *,
    with_bm3d: bool,
) -> dict[str, Any]:
    """Contrast kept by dose, by noise, and against the noise left."""
    found: dict[str, dict[float, list[Kept]]] = defaultdict(lambda: defaultdict(list))
    baseline: dict[float, list[Kept]] = defaultdict(list)
    for case, index, window in track(slices, "lesions", console=console):
        places = find_places(case, index)
        if not places.centers:
            continue
        second = again.get((case.name, case.dose_fraction)) if not case.real else None
        other = None if second is None else dict(second.windows(1))[index]
        dose = MEASURED if case.real else f"{case.dose_fraction:g} of the dose"
        for share, one in _ours(model, case, window, other, places).items():
            found[dose][share].append(one)
        if with_bm3d and other is not None and len(baseline[BM3D_SIGMAS[0]]) < BM3D_SLICES:
            for sigma in BM3D_SIGMAS:
                baseline[sigma].append(_bm3d(case, index, window, other, places, sigma))
    everything = [one for doses in found.values() for one in doses[LESION_CONTRAST]]
    trade = f"{TRADE_DOSE:g} of the dose"
    return {
        "contrast_hu": CONTRAST_HU,
        "diameter_mm": list(DIAMETERS_MM),
        "default_share": LESION_CONTRAST,
        "doses": {
            dose: {f"{share:g}": _pooled(kept) for share, kept in shares.items()}
            for dose, shares in found.items()
        },
        "trade": {
            "dose": trade,
            "ours": {f"{share:g}": _pooled(kept) for share, kept in found[trade].items()},
            "BM3D": {f"{sigma:g}": _pooled(kept) for sigma, kept in baseline.items() if kept},
        },
        "by_noise": by_noise(everything),
    }


def find_places(case: DoseCase, index: int) -> _Places:
    """Up to six places in the soft tissue of a full-dose slice, away from its borders."""
    image = case.full_hu[index]
    smooth = ndimage.gaussian_filter(image, [2.5 / step for step in case.in_plane_mm])
    soft = (smooth > -20) & (smooth < 120) & body_mask(image)
    deep = ndimage.distance_transform_edt(soft, sampling=case.in_plane_mm) > _MARGIN_MM
    candidates = generator_for(SEED, "disc", case.name).permutation(np.argwhere(deep))
    chosen: list[NDArray] = []
    for place in candidates[:4000]:
        away = [np.hypot(*((place - one) * case.in_plane_mm)) for one in chosen]
        if not away or min(away) > _APART_MM:
            chosen.append(place)
        if len(chosen) == _MOST_DISCS:
            break
    return _Places(centers=chosen, spacing_mm=case.in_plane_mm, shape=image.shape)


def _ours(
    model: CtEnhancer, case: DoseCase, window: NDArray, other: NDArray | None, places: _Places
) -> dict[float, Kept]:
    fraction = case.guessed_fraction(model)

    def images(seen: NDArray) -> dict[float, NDArray]:
        judged: JudgedSlice = model.estimate(
            seen, spacing_mm=case.in_plane_mm, dose_fraction=fraction
        ).state
        removed = judged.middle - judged.raw.anatomy
        return {
            share: give_back(
                judged.raw.mean,
                removed,
                share=share,
                dose_fraction=fraction,
                spacing_mm=case.in_plane_mm,
            )[0, 0].numpy()
            for share in SHARES
        }

    plain = images(window)
    repeated = {} if other is None else images(other)
    kept: dict[float, dict[float, list[float]]] = {share: {} for share in SHARES}
    for diameter in DIAMETERS_MM:
        discs = places.discs(diameter)
        for share, image in images(window + discs).items():
            kept[share][diameter] = places.kept(image - plain[share], discs, diameter)
    noise = measure_noise(window[len(window) // 2], spacing_mm=case.in_plane_mm).level_hu
    return {
        share: Kept(
            patient=case.patient,
            noise_in_hu=noise,
            kept=kept[share],
            noise_left=_noise_left(window, other, plain[share], repeated.get(share)),
        )
        for share in SHARES
    }


def _bm3d(
    case: DoseCase, index: int, window: NDArray, other: NDArray, places: _Places, sigma: float
) -> Kept:
    (baseline,) = (one for one in BASELINES if one.name == "BM3D")
    inside = body_mask(case.full_hu[index])
    added = float((case.low_hu[index] - case.full_hu[index])[inside].std())
    middle = len(window) // 2

    def filtered(image: NDArray) -> NDArray:
        return np.asarray(baseline.apply(image.astype(np.float32), sigma * added), np.float32)

    plain, repeated = filtered(window[middle]), filtered(other[middle])
    kept = {}
    for diameter in DIAMETERS_MM:
        discs = places.discs(diameter)
        change = filtered(window[middle] + discs) - plain
        kept[diameter] = places.kept(change, discs, diameter)
    return Kept(
        patient=case.patient,
        noise_in_hu=measure_noise(window[middle], spacing_mm=case.in_plane_mm).level_hu,
        kept=kept,
        noise_left=_noise_left(window, other, plain, repeated),
    )


def _noise_left(
    window: NDArray, other: NDArray | None, result: NDArray, repeated: NDArray | None
) -> float:
    """Noise of the result over that of the input, in soft tissue."""
    if other is None or repeated is None:
        return float("nan")
    middle = window[len(window) // 2]
    smooth = ndimage.gaussian_filter(result, 3.0)
    soft = ndimage.binary_erosion((smooth > -20) & (smooth < 120), iterations=4)
    before = (middle - other[len(other) // 2])[soft].std()
    return float((result - repeated)[soft].std() / before)


def _pooled(kept: Sequence[Kept]) -> dict[str, Any]:
    """Means over patients, each counting alike."""
    patients = sorted({one.patient for one in kept})

    def mean(values: dict[str, list[float]]) -> float:
        means = [np.nanmean(found) for found in values.values() if np.isfinite(found).any()]
        return float(np.mean(means)) if means else float("nan")

    by_diameter = {
        diameter: mean(
            {
                patient: [
                    value for one in kept if one.patient == patient for value in one.kept[diameter]
                ]
                for patient in patients
            }
        )
        for diameter in DIAMETERS_MM
    }
    left = mean({p: [one.noise_left for one in kept if one.patient == p] for p in patients})
    return {
        "patients": len(patients),
        "discs": sum(len(one.kept[DIAMETERS_MM[0]]) for one in kept),
        "kept": [by_diameter[diameter] for diameter in DIAMETERS_MM],
        "noise_left": left if np.isfinite(left) else None,
    }


def by_noise(kept: Sequence[Kept]) -> dict[str, Any]:
    """Contrast kept at a few levels of the input's noise, from the slices nearest to each."""
    logs = np.log(NOISE_LEVELS_HU)
    near = [int(np.abs(logs - np.log(max(one.noise_in_hu, 1e-3))).argmin()) for one in kept]
    levels = [level for level in range(len(logs)) if level in near]
    pooled = [
        _pooled([one for one, place in zip(kept, near, strict=True) if place == k]) for k in levels
    ]
    return {
        "noise_hu": [NOISE_LEVELS_HU[level] for level in levels],
        "kept": [one["kept"] for one in pooled],
        "patients": [one["patients"] for one in pooled],
    }


def markdown(figures: dict[str, Any]) -> str:
    """Contrast kept at every dose and share, and against the noise left."""
    sizes = " | ".join(f"{diameter:g} mm" for diameter in figures["diameter_mm"])
    head = f"| {sizes} |\n|---|---|" + "---|" * len(figures["diameter_mm"]) + "\n"
    lines = [
        f"Contrast kept by discs of {figures['contrast_hu']:g} HU in soft tissue:\n",
        "| dose | share given back " + head.rstrip("\n"),
    ]
    for dose, shares in figures["doses"].items():
        lines += [f"| {dose} | {share} | {_cells(row)} |" for share, row in shares.items()]
    trade = figures["trade"]
    lines += [
        f"\nAgainst the noise left, as a share of the input's, at {trade['dose']}:\n",
        "| process | noise left " + head.rstrip("\n"),
    ]
    for name, unit in (("ours", "share"), ("BM3D", "sigma")):
        lines += [
            f"| {name}, {unit} {setting} | {row['noise_left']:.3f} | {_cells(row)} |"
            for setting, row in trade[name].items()
        ]
    return "\n".join(lines) + "\n"


def _cells(row: dict[str, Any]) -> str:
    return " | ".join(f"{value:.2f}" for value in row["kept"])


def draw(figures: dict[str, Any], path: Path) -> None:
    """Contrast kept against noise left, a panel for 6 and one for 10 mm."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    trade = figures["trade"]
    for axis, diameter in zip(figure.subplots(1, 2, sharey=True), (6.0, 10.0), strict=True):
        place = figures["diameter_mm"].index(diameter)
        for name, color in (("ours", "#0b6e99"), ("BM3D", "#b35c1e")):
            rows = [row for row in trade[name].values() if row["noise_left"] is not None]
            points = [(row["noise_left"], row["kept"][place]) for row in rows]
            if points:
                axis.plot(*zip(*points, strict=True), "o-", color=color, label=name)
        for share, row in trade["ours"].items():
            axis.annotate(
                share,
                (row["noise_left"], row["kept"][place]),
                textcoords="offset points",
                xytext=(4, -11),
                fontsize=8,
            )
        axis.set_title(f"{diameter:g} mm, {figures['contrast_hu']:g} HU", fontsize=10)
        axis.set_xlabel("noise left, share of the input's")
        axis.grid(alpha=0.3)
        axis.set_ylim(0, 1.02)
        axis.legend(fontsize=8)
    figure.axes[0].set_ylabel("contrast kept")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
