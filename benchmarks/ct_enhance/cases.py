"""The cases, and every baseline on them; both take long and are kept on disk by digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from benchmarks.ct_enhance.baselines import BASELINES, Filtered, best_of
from isocenter.datasets.ct_dose_cases import DoseCase, real_cases, simulated_cases
from isocenter.datasets.ct_pairs import TrainingScan
from isocenter.datasets.ct_scans import read_training_scans
from isocenter.image.ct_tissue import body_mask
from isocenter.recipes.ct_enhance.recipe import TEST_PATIENTS

DOSES = (0.1, 0.25, 0.5)
SEED = 7
console = Console(stderr=True)

Slice = tuple[DoseCase, int, NDArray]


def gather(data: Path, cache: Path, *, num_judged: int, workers: int) -> list[DoseCase]:
    """Simulated cases of the test patients, and the pairs that were measured at two doses."""
    scans = _one_single_a_patient(read_training_scans(data, patients=TEST_PATIENTS))
    cache.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        found = pool.map(_cases_of, [(scan, cache, num_judged) for scan in scans])
        listed = track(found, "simulating lower doses", total=len(scans), console=console)
        simulated = [case for cases in listed for case in cases]
    return simulated + real_cases(data)


def _one_single_a_patient(scans: Sequence[TrainingScan]) -> list[TrainingScan]:
    """All runs of slices, and the first single slice of each other patient."""
    singles = {scan.patient: scan for scan in reversed(scans) if len(scan.array) == 1}
    return [scan for scan in scans if len(scan.array) > 1 or singles[scan.patient] is scan]


def _cases_of(job: tuple[TrainingScan, Path, int]) -> list[DoseCase]:
    scan, cache, num_judged = job
    path = (
        cache / f"case-{_digest(scan.array, scan.name, scan.noise_hu, DOSES, SEED, num_judged)}.npz"
    )
    if not path.exists():
        made = list(simulated_cases([scan], dose_fractions=DOSES, seed=SEED, num_judged=num_judged))
        if not made:
            return []
        np.savez_compressed(
            path,
            full=made[0].full_hu,
            low=np.stack([case.low_hu for case in made]),
            judged=made[0].judged,
            kernel=made[0].kernel,
        )
    with np.load(path) as kept:
        full, lower = kept["full"], kept["low"]
        judged, kernel = tuple(int(index) for index in kept["judged"]), str(kept["kernel"])
    return [
        DoseCase(
            name=scan.name,
            patient=scan.patient,
            dose_fraction=fraction,
            full_hu=full,
            low_hu=low,
            spacing_mm=scan.spacing_mm,
            slice_thickness_mm=scan.slice_thickness_mm,
            judged=judged,
            kernel=kernel,
        )
        for fraction, low in zip(DOSES, lower, strict=True)
    ]


def filter_all(slices: Sequence[Slice], cache: Path, *, workers: int) -> list[dict[str, Filtered]]:
    """The result of every baseline on every slice, by name."""
    jobs = [
        (number, chosen, case.low_hu[index], case.full_hu[index], cache)
        for number, (case, index, _) in enumerate(slices)
        for chosen in range(len(BASELINES))
    ]
    results: list[dict[str, Filtered]] = [{} for _ in slices]
    with ProcessPoolExecutor(workers) as pool:
        found = pool.map(_filter_one, jobs)
        for number, name, result in track(found, "baselines", total=len(jobs), console=console):
            results[number][name] = result
    return results


def _filter_one(job: tuple[int, int, NDArray, NDArray, Path]) -> tuple[int, str, Filtered]:
    number, chosen, low_hu, full_hu, cache = job
    baseline = BASELINES[chosen]
    path = cache / f"filter-{_digest(low_hu, baseline.name, baseline.choices)}.npz"
    if not path.exists():
        result = best_of(baseline, low_hu, full_hu, body_mask(full_hu))
        np.savez_compressed(path, image=result.image_hu, parameter=result.parameter)
    with np.load(path) as kept:
        result = Filtered(image_hu=kept["image"], parameter=float(kept["parameter"]))
    return number, baseline.name, result


def _digest(array: NDArray, *parts: object) -> str:
    name = "/".join(map(str, parts)).encode()
    return hashlib.sha256(name + np.ascontiguousarray(array).tobytes()).hexdigest()[:24]
