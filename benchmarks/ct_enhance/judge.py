"""Judge one image of one case, and pool the judgements: patients count, not slices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.evaluation.ct.hu import SliceBias, pool_hu_bias, slice_hu_bias
from isocenter.evaluation.ct.noise_power import (
    Region,
    region_power,
    slice_regions,
    spectrum_of,
)
from isocenter.evaluation.fidelity import PROTOCOLS, Fidelity, slice_fidelity
from isocenter.evaluation.sets.distribution import frechet_report, texture_features
from isocenter.evaluation.uncertainty import SliceCoverage, pool_coverage, slice_coverage
from isocenter.image.ct_tissue import body_mask, tissue_masks

Interval = tuple[NDArray, NDArray]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A full-dose slice with what is measured on it alone."""

    patient: str
    image_hu: NDArray
    spacing_mm: tuple[float, float]
    inside: NDArray
    regions: list[Region]
    tissues: dict[str, NDArray]

    @classmethod
    def of(cls, image_hu: NDArray, *, patient: str, spacing_mm: tuple[float, float]) -> Truth:
        """Measure a full-dose slice."""
        inside = body_mask(image_hu)
        return cls(
            patient=patient,
            image_hu=image_hu,
            spacing_mm=spacing_mm,
            inside=inside,
            regions=slice_regions(image_hu, spacing_mm=spacing_mm, body=inside),
            tissues=tissue_masks(image_hu, spacing_mm=spacing_mm, body=inside),
        )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One image of one method."""

    patient: str
    fidelity: list[Fidelity]
    bias: list[SliceBias]
    noise_hu: float
    mean_frequency_per_mm: float
    features: NDArray
    seconds: float
    coverage: list[SliceCoverage] = field(default_factory=list)


def judge(
    truth: Truth, image_hu: NDArray, *, seconds: float, interval: Interval | None = None
) -> Verdict:
    """Compare an image with the truth."""
    spectrum = spectrum_of(
        (region_power(image_hu, region, spacing_mm=truth.spacing_mm) for region in truth.regions),
        spacing_mm=truth.spacing_mm,
    )
    coverage = (
        slice_coverage(truth.image_hu, *interval, masks=truth.tissues | {"all": truth.inside})
        if interval is not None
        else []
    )
    return Verdict(
        patient=truth.patient,
        fidelity=[
            slice_fidelity(truth.image_hu, image_hu, protocol=protocol, mask=truth.inside)
            for protocol in PROTOCOLS
        ],
        bias=slice_hu_bias(
            truth.image_hu, image_hu, spacing_mm=truth.spacing_mm, body=truth.inside
        ),
        noise_hu=float("nan") if spectrum is None else spectrum.noise_hu,
        mean_frequency_per_mm=float("nan") if spectrum is None else spectrum.mean_frequency_per_mm,
        features=texture_features(image_hu, truth.spacing_mm),
        seconds=seconds,
        coverage=coverage,
    )


def pooled(
    verdicts: Sequence[Verdict], full: Sequence[Verdict], *, seed: int = 0
) -> dict[str, Any]:
    """Figures of one method at one dose, each patient counting alike.

    Args:
        verdicts: of the method.
        full: of the full-dose images themselves, in the same order.
    """
    patients = [verdict.patient for verdict in verdicts]
    row: dict[str, Any] = {
        "patients": len(set(patients)),
        "slices": len(verdicts),
        "seconds": float(np.median([verdict.seconds for verdict in verdicts])),
        "noise_hu": _over_patients(patients, [verdict.noise_hu for verdict in verdicts]),
    }
    for number, protocol in enumerate(PROTOCOLS):
        scores = [verdict.fidelity[number] for verdict in verdicts]
        row[protocol.name] = {
            "psnr_db": _over_patients(patients, [score.psnr_db for score in scores]),
            "ssim": _over_patients(patients, [score.ssim for score in scores]),
            "rmse_hu": _over_patients(patients, [score.rmse_hu for score in scores]),
        }
    ratios = [
        verdict.mean_frequency_per_mm / reference.mean_frequency_per_mm
        for verdict, reference in zip(verdicts, full, strict=True)
    ]
    row["nps_mean_frequency_ratio"] = _over_patients(patients, ratios)
    parts = [(part, verdict.patient) for verdict in verdicts for part in verdict.bias]
    bias = pool_hu_bias(
        [part for part, _ in parts], patients=[patient for _, patient in parts], seed=seed
    )
    row["hu_bias"] = {
        name: {"mean": one.bias_hu, "low": one.interval_hu.low, "high": one.interval_hu.high}
        for name, one in bias.items()
    }
    row["frechet"] = frechet_report(_by_patient(full), _by_patient(verdicts), seed=seed)
    covered = [(part, verdict.patient) for verdict in verdicts for part in verdict.coverage]
    if covered:
        row["coverage"] = {
            name: {
                "fraction": one.fraction.mean,
                "low": one.fraction.low,
                "high": one.fraction.high,
                "width_hu": one.mean_width_hu,
                "patients": len({patient for part, patient in covered if part.name == name}),
            }
            for name, one in pool_coverage(
                [part for part, _ in covered],
                patients=[patient for _, patient in covered],
                seed=seed,
            ).items()
        }
    return row


def _over_patients(patients: Sequence[str], values: Sequence[float]) -> float:
    """Mean over patients of the mean over their slices."""
    groups: dict[str, list[float]] = defaultdict(list)
    for patient, value in zip(patients, values, strict=True):
        if np.isfinite(value):
            groups[patient].append(value)
    return float(np.mean([np.mean(group) for group in groups.values()])) if groups else float("nan")


def _by_patient(verdicts: Sequence[Verdict]) -> list[NDArray]:
    groups: dict[str, list[NDArray]] = defaultdict(list)
    for verdict in verdicts:
        groups[verdict.patient].append(verdict.features)
    return [np.concatenate(groups[patient]) for patient in sorted(groups)]
