"""A judged denoiser as plain values and as lines of a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from isocenter.evaluation.comparison import Comparison
from isocenter.evaluation.ct.noise_power import NoiseComparison, NoisePowerSpectrum
from isocenter.evaluation.denoiser.judged import Judged
from isocenter.evaluation.lesions.detectability import (
    FULL_DOSE,
    DetectabilityTable,
    OverallRatio,
)
from isocenter.evaluation.tables import comparison_dict, plain


class JudgementRow(NamedTuple):
    """One line of the table; :data:`JUDGEMENT_COLUMNS` names the cells."""

    measure: str
    low: str
    denoised: str
    reference: str


JUDGEMENT_COLUMNS = ("Measure", "Low dose", "Denoised", "Reference")


def judged_dict(judged: Judged) -> dict[str, Any]:
    """Plain values, ready for JSON; what has no finite value is None."""
    return {
        "denoiser": judged.name,
        "seed": judged.seed,
        "left_out": list(judged.left_out),
        "table": [row._asdict() for row in judged_rows(judged)],
        "cases": [
            {
                "name": case.name,
                "seconds_a_slice": plain(case.seconds_a_slice),
                "low_against_reference": comparison_dict(case.low),
                "denoised_against_reference": comparison_dict(case.denoised),
            }
            for case in judged.cases
        ],
        "detectability": None
        if judged.detectability is None
        else plain(judged.detectability.as_dict()),
    }


def judged_rows(judged: Judged) -> list[JudgementRow]:
    """Means over cases, each case counting alike, with the least and the largest of several."""
    low = [case.low for case in judged.cases]
    denoised = [case.denoised for case in judged.cases]
    both = (low, denoised)
    return [
        JudgementRow(
            "Slices",
            "",
            str(sum(len(each.pairs) for each in denoised)),
            f"{len(judged.cases)} case{'s' if len(judged.cases) > 1 else ''}",
        ),
        *_fidelity_rows(both),
        _both("Faint detail kept, soft tissue (smoothing cannot raise it)", both, _kept, ".3f"),
        *_noise_rows(both),
        *_sharpness_rows(both),
        *_bias_rows(both),
        _both(
            "Difference of neighbouring slices over the reference's",
            both,
            lambda each: each.continuity.ratio if each.continuity else math.nan,
            ".2f",
        ),
        *(_seen_rows(judged.detectability, judged.name) if judged.detectability else []),
        JudgementRow(
            "Time a slice", "", _mean((c.seconds_a_slice for c in judged.cases), ".3g", " s"), ""
        ),
        *(JudgementRow(each, "", "left out", "") for each in judged.left_out),
    ]


def _kept(comparison: Comparison) -> float:
    detail = comparison.faint_detail
    return detail.kept if detail is not None and detail.is_sure else math.nan


Both = tuple[list[Comparison], list[Comparison]]


def _fidelity_rows(both: Both) -> list[JudgementRow]:
    rows = []
    for number, score in enumerate(both[0][0].fidelity):
        name = score.protocol.name
        rows += [
            _both(f"PSNR, {name}", both, lambda c, k=number: c.fidelity[k].psnr_db, ".2f", " dB"),
            _both(f"SSIM, {name}", both, lambda c, k=number: c.fidelity[k].ssim, ".4f"),
            _both(f"RMSE, {name}", both, lambda c, k=number: c.fidelity[k].rmse, ".2f", " HU"),
        ]
    return rows


def _noise_rows(both: Both) -> list[JudgementRow]:
    def row(
        name: str, of: Callable[[NoisePowerSpectrum], float], digits: str, unit: str
    ) -> JudgementRow:
        def tested(each: Comparison) -> float:
            return of(each.noise.test) if each.noise else math.nan

        found = _both(name, both, tested, digits, unit)
        noises: list[NoiseComparison] = [each.noise for each in both[0] if each.noise]
        return found._replace(reference=_mean((of(n.reference) for n in noises), digits, unit))

    return [
        row("Noise", lambda spectrum: spectrum.noise_hu, ".1f", " HU"),
        row(
            "Noise power, mean frequency",
            lambda spectrum: spectrum.mean_frequency_per_mm,
            ".3f",
            " /mm",
        ),
    ]


def _sharpness_rows(both: Both) -> list[JudgementRow]:
    kinds = dict.fromkeys(name for each in both[1] for name in each.sharpness)

    def ratio(each: Comparison, kind: str) -> float:
        found = each.sharpness.get(kind)
        return found.f50_ratio if found is not None and found.is_sure else math.nan

    return [
        _both(f"Edge f50 over the reference's, {kind}", both, lambda c, k=kind: ratio(c, k), ".3f")
        for kind in kinds
    ]


def _bias_rows(both: Both) -> list[JudgementRow]:
    tissues = dict.fromkeys(name for each in both[1] for name in each.hu_bias)

    def bias(each: Comparison, tissue: str) -> float:
        return each.hu_bias[tissue].bias_hu if tissue in each.hu_bias else math.nan

    return [
        _both(f"HU bias of {tissue}", both, lambda c, k=tissue: bias(c, k), "+.2f", " HU")
        for tissue in tissues
    ]


def _seen_rows(table: DetectabilityTable, name: str) -> list[JudgementRow]:
    controls = [row.processing for row in table.overall if row.processing.startswith("gaussian")]
    rows = []
    for group, words in (("all", "all lesions"), ("small", "lesions of 6 mm and less")):
        rows.append(
            JudgementRow(
                f"d' over the low dose's, {words}",
                "1.00",
                _limits(table.overall_ratio(name, group)),
                _limits(table.overall_ratio(FULL_DOSE, group)),
            )
        )
        rows += [
            JudgementRow(
                f"the same after a {control}, which cannot win",
                _limits(table.overall_ratio(control, group)),
                "",
                "",
            )
            for control in dict.fromkeys(controls)
        ]
    return rows


def _limits(one: OverallRatio) -> str:
    if math.isnan(one.ratio):
        return "not seen at the low dose"
    return f"{one.ratio:.2f} ({one.ratio_low:.2f} to {one.ratio_high:.2f})"


def _both(
    name: str, both: Both, value: Callable[..., float], digits: str, unit: str = ""
) -> JudgementRow:
    low, denoised = (_mean(map(value, comparisons), digits, unit) for comparisons in both)
    return JudgementRow(name, low, denoised, "")


def _mean(values: Iterable[float], digits: str, unit: str) -> str:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return "not measured"
    if any(map(math.isinf, known)):
        return "identical"
    text = f"{sum(known) / len(known):{digits}}{unit}"
    return text if len(known) == 1 else f"{text} ({min(known):{digits}} to {max(known):{digits}})"
