"""Judge one image of one case, and pool the judgements: patients count, not slices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.evaluation.ct.hu import HuBias, SliceBias, pool_hu_bias
from isocenter.evaluation.ct.noise_power import NoiseMeter
from isocenter.evaluation.ct.texture import TextureFeatures
from isocenter.evaluation.ct.windows import PROTOCOLS, find_body
from isocenter.evaluation.fidelity import Fidelity, FidelityScores
from isocenter.evaluation.measure import Measurement, Pair, measure
from isocenter.evaluation.sets.frechet import frechet_report
from isocenter.evaluation.uncertainty import CoverageMeter, SliceCoverage, pool_coverage
from isocenter.image.ct_tissue import tissue_masks

Interval = tuple[NDArray, NDArray]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A full-dose slice with what is measured on it alone."""

    patient: str
    image_hu: NDArray
    spacing_mm: tuple[float, float]
    inside: NDArray

    @classmethod
    def of(cls, image_hu: NDArray, *, patient: str, spacing_mm: tuple[float, float]) -> Truth:
        """Measure a full-dose slice."""
        inside = find_body(image_hu, np.ones(image_hu.shape, bool))
        return cls(patient=patient, image_hu=image_hu, spacing_mm=spacing_mm, inside=inside)

    def beside(self, image_hu: NDArray, interval: Interval | None = None) -> Pair:
        """The truth as reference, an image as test."""
        return Pair(
            index=0,
            reference=self.image_hu,
            test=image_hu,
            valid=np.ones(image_hu.shape, bool),
            body=self.inside,
            spacing_mm=self.spacing_mm,
            interval=interval,
        )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One image of one method."""

    patient: str
    fidelity: tuple[Fidelity, ...]
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
    fidelity, bias, noise = FidelityScores(PROTOCOLS), HuBias(), NoiseMeter()
    features, coverage = TextureFeatures(), CoverageMeter(_tissues_and_all)
    wanted: list[Measurement[Any]] = [fidelity, bias, noise, features]
    pair = truth.beside(image_hu, interval)
    measure([pair], wanted if interval is None else [*wanted, coverage])
    found = noise.result()
    return Verdict(
        patient=truth.patient,
        fidelity=fidelity.result(),
        bias=bias.parts,
        noise_hu=float("nan") if found is None else found.test.noise_hu,
        mean_frequency_per_mm=float("nan") if found is None else found.test.mean_frequency_per_mm,
        features=features.result(),
        seconds=seconds,
        coverage=coverage.parts,
    )


def _tissues_and_all(pair: Pair) -> dict[str, NDArray]:
    tissues = tissue_masks(pair.reference, spacing_mm=pair.spacing_mm, body=pair.body)
    return tissues | {"all": pair.body}


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
            "rmse_hu": _over_patients(patients, [score.rmse for score in scores]),
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
                "width_hu": one.mean_width,
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
