"""A comparison as plain values and as lines of a table."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from typing import Any, NamedTuple

import numpy as np

from isocenter.core.version import __version__
from isocenter.evaluation.blur_control import BLUR_CONTROL_MM
from isocenter.evaluation.bootstrap import Interval
from isocenter.evaluation.ct.edges import ARC_MM, Sharpness, TransferFunction
from isocenter.evaluation.ct.faint_detail import FAINT_HU
from isocenter.evaluation.ct.hu import SOLID_RADIUS_MM
from isocenter.evaluation.ct.noise_power import (
    REGION_SIDE_MM,
    NoiseComparison,
    NoisePowerSpectrum,
)
from isocenter.evaluation.fidelity import Fidelity, Protocol
from isocenter.evaluation.findings import Findings
from isocenter.image.ct_tissue import BODY_THRESHOLD_HU, TISSUES


class Row(NamedTuple):
    """One line of the table; :data:`COLUMNS` names the cells."""

    measure: str
    reference: str
    test: str
    against_reference: str


COLUMNS = ("Measure", "Reference", "Test", "Test against reference")

NOT_OBSERVED = "not measured; isocenter.judge asks an observer"

MASK_MEANING = {
    "inside the body": (
        f"largest connected region of each reference slice above {BODY_THRESHOLD_HU:g} HU, "
        "holes such as lungs filled, without padding"
    ),
    "whole image": "all pixels but padding",
}


def comparison_dict(comparison: Findings) -> dict[str, Any]:
    """Plain values, ready for JSON; what has no finite value is None."""
    return plain(
        {
            "unit": comparison.unit,
            "left_out": comparison.left_out,
            "slices": _slices(comparison),
            "acquisition": dict(
                zip(("reference", "test"), map(asdict, comparison.acquisitions), strict=True)
            ),
            "settings": _settings(comparison),
            "fidelity": [
                _protocol_dict(pooled.protocol)
                | _fidelity_dict(pooled)
                | {
                    "test_blurred": _fidelity_dict(control),
                    "each_slice": [_fidelity_dict(part) for part in parts],
                }
                for pooled, control, parts in zip(
                    comparison.fidelity,
                    comparison.blurred_fidelity,
                    comparison.fidelity_of_slices,
                    strict=True,
                )
            ],
            "hu_bias": [
                {
                    "tissue": bias.tissue,
                    "range_hu": TISSUES[bias.tissue],
                    "reference_hu": bias.reference_hu,
                    "bias_hu": bias.bias_hu,
                    "interval_hu": bias.interval_hu,
                    "num_voxels": bias.num_voxels,
                }
                for bias in comparison.hu_bias.values()
            ],
            "noise": _noise_dict(comparison.noise),
            "sharpness": [_sharpness_dict(each) for each in comparison.sharpness.values()],
            "inter_slice_continuity": _continuity_dict(comparison),
            "faint_detail": _detail_dict(comparison),
            "detectability": None
            if comparison.detectability is None
            else comparison.detectability.as_dict(),
            "detectability_of_blurred_test": None
            if comparison.blurred_detectability is None
            else comparison.blurred_detectability.as_dict(),
        }
    )


def comparison_rows(comparison: Findings) -> list[Row]:
    """Lines for a terminal, four cells each."""
    return [
        *_slice_rows(comparison),
        *_fidelity_rows(comparison),
        *_detail_rows(comparison),
        *_bias_rows(comparison),
        *(_noise_rows(comparison.noise) if comparison.unit == "HU" else []),
        *_sharpness_rows(comparison.sharpness.values()),
        *_continuity_rows(comparison),
        *_observed_rows(comparison),
        *(Row(each, "", "", "left out") for each in comparison.left_out),
    ]


def plain(value: Any) -> Any:
    """Dataclasses, arrays and NumPy numbers as JSON's own types; non-finite numbers as None."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def _slices(comparison: Findings) -> dict[str, Any]:
    of_reference, of_test = comparison.num_slices
    return {
        "reference": of_reference,
        "test": of_test,
        "compared": len(comparison.pairs),
        "compared_all": len(comparison.pairs) == of_reference == of_test,
        "measured_for_noise_and_sharpness": comparison.physics_slices,
        "spacing_mm": comparison.spacing_mm,
        "matched_by": "position",
    }


def _settings(comparison: Findings) -> dict[str, Any]:
    return {
        "isocenter_version": __version__,
        "seed": comparison.seed,
        "unit_of_intervals": "slices of this one scan; they say nothing about other patients",
        "masks": MASK_MEANING,
        "ssim": "Wang 2004: Gaussian of 1.5 pixels, 11 x 11, K1 0.01, K2 0.03, on values mapped "
        "from the protocol's interval to 0..1, map averaged in the mask",
        "tissues": f"HU ranges on the smoothed reference, parts thinner than "
        f"{2 * SOLID_RADIUS_MM:g} mm left out",
        "noise_region_side_mm": REGION_SIDE_MM,
        "noise_region_choice": "least structured soft tissue of the reference, parabolic trend "
        "removed; anatomy that remains counts as low frequencies",
        "edge_arc_mm": ARC_MM,
        "test_blurred": f"the test after a Gaussian blur of {BLUR_CONTROL_MM:g} mm, or 0.7 pixels "
        "where that is more; where it scores better, the score rewards smoothing",
    }


def _protocol_dict(protocol: Protocol) -> dict[str, Any]:
    return {
        "protocol": protocol.name,
        "clipped_to": (protocol.low, protocol.high),
        "data_range": protocol.data_range,
        "unit": protocol.unit,
        "mask": protocol.mask_policy,
    }


def _fidelity_dict(score: Fidelity) -> dict[str, Any]:
    return {
        "psnr_db": score.psnr_db,
        "ssim": score.ssim,
        "rmse": score.rmse,
        "identical": score.rmse == 0,
        "num_voxels": score.num_voxels,
    }


def _noise_dict(noise: NoiseComparison | None) -> dict[str, Any] | None:
    if noise is None:
        return None
    spectra = {
        "reference": noise.reference,
        "test": noise.test,
        "test_minus_reference": noise.difference,
    }
    return {
        "num_regions": noise.reference.num_regions,
        "each_slice": noise.of_slices,
        "region_rows_columns": noise.regions[0].shape,
        "radial_frequency_per_mm": noise.reference.radial_frequency_per_mm,
        **{name: _spectrum_dict(spectrum) for name, spectrum in spectra.items()},
    }


def _spectrum_dict(spectrum: NoisePowerSpectrum) -> dict[str, Any]:
    return {
        "noise_hu": spectrum.noise_hu,
        "mean_frequency_per_mm": spectrum.mean_frequency_per_mm,
        "peak_frequency_per_mm": spectrum.peak_frequency_per_mm,
        "radial_power_hu2_mm2": spectrum.radial_power_hu2_mm2,
    }


def _sharpness_dict(sharpness: Sharpness) -> dict[str, Any]:
    return {
        "edge": sharpness.reference.kind.name,
        "contrast_hu": sharpness.reference.contrast_hu,
        "num_arcs": sharpness.reference.num_arcs,
        "frequency_per_mm": sharpness.reference.frequency_per_mm,
        "reference": _transfer_dict(sharpness.reference),
        "test": _transfer_dict(sharpness.test),
        "f50_ratio": sharpness.f50_ratio,
        "f50_ratio_standard_error": sharpness.f50_ratio_error,
        "f10_ratio": sharpness.f10_ratio,
        "enough_clean_edges": sharpness.is_sure,
    }


def _transfer_dict(function: TransferFunction) -> dict[str, Any]:
    return {
        "f50_per_mm": function.f50_per_mm,
        "f10_per_mm": function.f10_per_mm,
        "transfer": function.transfer,
    }


def _detail_dict(comparison: Findings) -> dict[str, Any] | None:
    detail, blur = comparison.faint_detail, comparison.equal_noise_blur
    if detail is None:
        return None
    return {
        "meaning": "share of the reference's soft-tissue details of 3 to 6 mm and at most "
        f"{FAINT_HU:g} HU that the test keeps; smoothing lowers it. Below 1 something was lost; 1 "
        "does not say that a lesion is still seen",
        "kept": detail.kept,
        "standard_error": detail.error,
        "enough_detail": detail.is_sure,
        "num_pairs": detail.num_pairs,
        "plain_blur_to_the_same_noise": blur,
    }


def _continuity_dict(comparison: Findings) -> dict[str, Any] | None:
    if comparison.continuity is None:
        return None
    return asdict(comparison.continuity) | {"ratio": comparison.continuity.ratio}


def _slice_rows(comparison: Findings) -> list[Row]:
    of_reference, of_test = comparison.num_slices
    return [
        Row("Slices", str(of_reference), str(of_test), f"{len(comparison.pairs)} compared"),
    ]


def _fidelity_rows(comparison: Findings) -> list[Row]:
    """Each score beside that of the blurred test, as smoothing can raise it."""
    rows = []
    for score, control in zip(comparison.fidelity, comparison.blurred_fidelity, strict=True):
        protocol = score.protocol
        unit = f" {protocol.unit}".rstrip()
        where = f"{protocol.low:g}..{protocol.high:g}{unit}, {protocol.mask_policy}"
        for measure, written in (("PSNR", _psnr), ("SSIM", _ssim), ("RMSE", _rmse)):
            value = f"{written(score)} (test blurred: {written(control)})"
            rows.append(Row(f"{measure}, {protocol.name} ({where})", "", "", value))
    return rows


def _psnr(score: Fidelity) -> str:
    return "identical" if math.isinf(score.psnr_db) else f"{score.psnr_db:.2f} dB"


def _ssim(score: Fidelity) -> str:
    return f"{score.ssim:.4f}"


def _rmse(score: Fidelity) -> str:
    unit = score.protocol.unit
    return f"{score.rmse:.2f} HU" if unit == "HU" else f"{score.rmse:.4g} {unit}".rstrip()


def detail_in_words(comparison: Findings) -> str:
    """What the test keeps of faint detail, "" where it could not be measured well enough."""
    detail = comparison.faint_detail
    return f"{detail.kept:.3f} ± {detail.error:.3f}" if detail and detail.is_sure else ""


def _detail_rows(comparison: Findings) -> list[Row]:
    if comparison.unit != "HU":
        return []
    name = "Faint detail kept, soft tissue (smoothing cannot raise it)"
    blur = comparison.equal_noise_blur
    if not (kept := detail_in_words(comparison)):
        return [Row(name, "", "", "too little soft tissue in neighbouring slices to tell")]
    if blur is None:
        control = ""
    elif blur.sigma_mm == 0:
        control = "not quieter than the reference"
    else:
        control = f"a plain blur to the same noise ({blur.sigma_mm:.2f} mm): {blur.kept:.3f}"
    return [Row(name, "1", kept, control)]


def _bias_rows(comparison: Findings) -> list[Row]:
    return [
        Row(
            f"HU of {bias.tissue} ({TISSUES[bias.tissue][0]:g}..{TISSUES[bias.tissue][1]:g} HU)",
            f"{bias.reference_hu:.1f} HU",
            f"{bias.reference_hu + bias.bias_hu:.1f} HU",
            f"{bias.bias_hu:+.2f} HU{_limits(bias.interval_hu)}",
        )
        for bias in comparison.hu_bias.values()
    ]


def _limits(interval: Interval) -> str:
    if math.isnan(interval.low):
        return ""
    return f" ({interval.low:+.2f} to {interval.high:+.2f})"


def _noise_rows(noise: NoiseComparison | None) -> list[Row]:
    if noise is None:
        return [Row("Noise", "no homogeneous soft tissue found", "", "")]
    one, two = noise.reference, noise.test
    regions = f"{one.num_regions} regions"
    return [
        Row(
            f"Noise, {regions}",
            f"{one.noise_hu:.1f} HU",
            f"{two.noise_hu:.1f} HU",
            _times(two.noise_hu, one.noise_hu),
        ),
        Row(
            "Noise power, mean frequency",
            _per_mm(one.mean_frequency_per_mm),
            _per_mm(two.mean_frequency_per_mm),
            _times(two.mean_frequency_per_mm, one.mean_frequency_per_mm),
        ),
        Row(
            "Noise power, peak frequency",
            _per_mm(one.peak_frequency_per_mm),
            _per_mm(two.peak_frequency_per_mm),
            _times(two.peak_frequency_per_mm, one.peak_frequency_per_mm),
        ),
    ]


def _sharpness_rows(sharpness: Iterable[Sharpness]) -> list[Row]:
    rows = []
    for each in sharpness:
        one, two = each.reference, each.test
        if not each.is_sure:
            rows.append(Row(f"Edge, {one.kind.name}", "", "", "too few clean edges to tell"))
            continue
        edge = f"{one.kind.name} ({one.contrast_hu:.0f} HU, {one.num_arcs} arcs)"
        f50 = f"{_times(two.f50_per_mm, one.f50_per_mm)} ± {each.f50_ratio_error:.3f}"
        rows += [
            Row(f"Edge f50, {edge}", _per_mm(one.f50_per_mm), _per_mm(two.f50_per_mm), f50),
            Row(
                f"Edge f10, {one.kind.name}",
                _per_mm(one.f10_per_mm),
                _per_mm(two.f10_per_mm),
                _times(two.f10_per_mm, one.f10_per_mm),
            ),
        ]
    return rows


def _continuity_rows(comparison: Findings) -> list[Row]:
    found = comparison.continuity
    if found is None:
        return []
    return [
        Row(
            f"Difference of neighbouring slices, {found.num_pairs} pairs",
            _with_unit(found.reference, comparison.unit),
            _with_unit(found.test, comparison.unit),
            _times(found.test, found.reference),
        )
    ]


def _observed_rows(comparison: Findings) -> list[Row]:
    """One line a kind of lesion; the tables list the same kinds in the same order."""
    found, blurred = comparison.detectability, comparison.blurred_detectability
    if found is None:
        return [Row("Lesions still seen (no figure above proves it)", "", "", NOT_OBSERVED)]
    before, after, control = (
        [row for row in table.rows if row.processing == name] if table else []
        for table, name in ((found, "reference"), (found, "test"), (blurred, "test"))
    )
    return [
        Row(
            f"Observed d', {one.lesion} {one.diameter_mm:g} mm, {one.contrast_hu:+g} HU, "
            f"{one.num_places} places",
            f"{one.d_prime:.2f}",
            f"{two.d_prime:.2f} ({two.d_prime_low:.2f} to {two.d_prime_high:.2f})",
            f"x {two.ratio:.2f}"
            + (f" (test blurred: {control[number].d_prime:.2f})" if control else ""),
        )
        for number, (one, two) in enumerate(zip(before, after, strict=True))
    ]


def _with_unit(value: float, unit: str) -> str:
    """One decimal for HU; four figures for units whose size is not known here."""
    return f"{value:.1f} HU" if unit == "HU" else f"{value:.4g} {unit}".rstrip()


def _per_mm(frequency: float) -> str:
    return "not reached" if math.isnan(frequency) else f"{frequency:.3f} /mm"


def _times(test: float, reference: float) -> str:
    return f"x {test / reference:.3f}" if reference > 0 and math.isfinite(test / reference) else ""
