"""Gray values of a slice of a head: relaxation, sequence, coil, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.datasets.image_sets.head_slices import FINER, SIZE, Slab, smooth_field
from isocenter.physics.mr_signal import (
    enhanced_t1_ms,
    inversion_recovery,
    null_ti_ms,
    rician,
    spin_echo,
    spoiled_gradient_echo,
)
from isocenter.physics.mr_tissues import PEOPLE, relaxation
from isocenter.physics.phantom.head_tissues import (
    AGENT_MM,
    AIR,
    DENSITY_SHARE,
    GRADIENT_FLOW,
    MADE_OF,
    SPIN_FLOW,
    TISSUE_NAMES,
    WITHIN,
    WITHIN_OTHERS,
    number_of,
)

CONTRASTS = ("T1", "T1c", "T2", "FLAIR", "PD")
SPIN_ECHO, INVERSION, GRADIENT_ECHO = "spin echo", "inversion recovery", "gradient echo"
_LEVELS = 13  # of water that signals are worked out for, from -3 to 3 deviations
_DEVIATIONS = 3.0
_FLOW = {SPIN_ECHO: SPIN_FLOW, INVERSION: SPIN_FLOW, GRADIENT_ECHO: GRADIENT_FLOW}
_LESION_T1, _LESION_T2 = 1.5, 1.8  # over those of white matter
_T2_STAR_SHARE = 0.6
_DURA_PIXELS = 2
_FAT_UNDER_SKIN_MM = (3.0, 7.0)
_FAT_AROUND_EYE_MM = 20.0
_FASCIA = 0.15
_BRAIN = tuple(number_of(name) for name in ("white matter", "cortex", "cerebellar cortex"))
_GLASS = number_of("vitreous")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How one image is acquired.

    Attributes:
        contrast: of :data:`CONTRASTS`.
        sequence: spin echo, inversion recovery or gradient echo.
        field_tesla: 1.5 or 3.
        tr_ms, te_ms: repetition and echo time.
        ti_ms: inversion time, 0 where there is no inversion.
        flip_deg: of a gradient echo, 90 for others.
        thickness_mm: of the slice.
        agent: share of a single dose of contrast agent, 0 for none.
    """

    contrast: str
    sequence: str
    field_tesla: float
    tr_ms: float
    te_ms: float
    ti_ms: float
    flip_deg: float
    thickness_mm: int
    agent: float

    def numbers(self) -> dict[str, float]:
        """What an image is labeled with."""
        times = {"te_ms": round(self.te_ms, 2), "tr_ms": round(self.tr_ms, 1)}
        if self.ti_ms:
            times["ti_ms"] = round(self.ti_ms, 0)
        return times


def draw_protocol(contrast: str, rng: np.random.Generator) -> Protocol:
    """A protocol as clinics use them for a contrast, at 1.5 T or 3 T."""
    field = float(rng.choice([1.5, 3.0]))
    thickness = int(rng.integers(2, 6))
    ti_ms, flip_deg, sequence = 0.0, 90.0, SPIN_ECHO
    if contrast in ("T1", "T1c"):
        if rng.random() < 0.5:
            sequence, thickness = GRADIENT_ECHO, int(rng.integers(1, 3))
            tr_ms, te_ms = rng.uniform(15, 30), rng.uniform(2.5, 6)
            flip_deg = rng.uniform(20, 32)
        else:
            tr_ms, te_ms = rng.uniform(450, 700), rng.uniform(8, 16)
    elif contrast == "T2":
        tr_ms, te_ms = rng.uniform(3500, 6500), rng.uniform(80, 115)
    elif contrast == "PD":
        tr_ms, te_ms = rng.uniform(2200, 4000), rng.uniform(12, 28)
    elif contrast == "FLAIR":
        sequence = INVERSION
        tr_ms, te_ms = rng.uniform(8000, 10000), rng.uniform(85, 130)
        ti_ms = _csf_null_ms(field, tr_ms) * rng.uniform(0.96, 1.03)
    else:
        raise ValueError(f"contrast is one of {', '.join(CONTRASTS)}, got {contrast!r}")
    return Protocol(
        contrast=contrast,
        sequence=sequence,
        field_tesla=field,
        tr_ms=float(tr_ms),
        te_ms=float(te_ms),
        ti_ms=float(ti_ms),
        flip_deg=float(flip_deg),
        thickness_mm=thickness,
        agent=float(rng.uniform(0.7, 1.3)) if contrast == "T1c" else 0.0,
    )


def _csf_null_ms(field_tesla: float, tr_ms: float) -> float:
    return null_ti_ms(relaxation("csf", field_tesla=field_tesla)[0], tr_ms=tr_ms)


def simulated(slab: Slab, protocol: Protocol, rng: np.random.Generator) -> NDArray:
    """What a scanner would show of a slab, roughly.

    Args:
        slab: of a head.
        protocol: as drawn by :func:`draw_protocol`.
        rng: draws relaxation times, texture, coil, noise and display.

    Returns:
        (256, 256) float32 in [0, 1], windowed as for display.
    """
    table = signal_table(protocol, rng)
    water = _texture(rng)
    fat_share = _fat_share(slab, rng)
    summed = np.zeros(water.shape, np.float32)
    for layer in slab.layers:
        summed += _layer_signal(layer, table, water, fat_share)
    pixels = _averaged(summed / len(slab.layers))
    pixels = ndimage.gaussian_filter(pixels, rng.uniform(0.35, 0.75))
    pixels *= _coil(rng)
    reference = _reference(pixels, slab.middle)
    noisy = rician(pixels, float(reference * rng.uniform(0.008, 0.035)), rng)
    return _displayed(noisy, slab.middle, reference, rng)


def signal_table(protocol: Protocol, rng: np.random.Generator) -> NDArray:
    """(tissue + 2, level) float32: signals of all tissues of a map, then of fat and dura.

    A level is a content of water from -3 to 3 deviations.
    """
    names = (*TISSUE_NAMES, "fat", "dura")
    water = np.linspace(-_DEVIATIONS, _DEVIATIONS, _LEVELS)
    rows = [_signals(name, protocol, water, rng) for name in names]
    return np.stack(rows).astype(np.float32)


def _signals(name: str, protocol: Protocol, water: NDArray, rng: np.random.Generator) -> NDArray:
    people = (PEOPLE.t1_ms, PEOPLE.t2_ms, PEOPLE.proton_density)
    spread = 1 + rng.standard_normal(3).clip(-2, 2) * people
    if name == AIR:
        return np.zeros_like(water)
    t1_ms, t2_ms, density = relaxation(
        "white matter" if name == "lesion" else MADE_OF.get(name, name),
        field_tesla=protocol.field_tesla,
    )
    if name == "lesion":
        t1_ms, t2_ms = t1_ms * _LESION_T1, t2_ms * _LESION_T2
    within = WITHIN.get(name, WITHIN_OTHERS)
    t1 = t1_ms * spread[0] * (1 + within * water)
    t2 = t2_ms * spread[1] * (1 + within * water)
    concentration = AGENT_MM.get(name, 0.0) * protocol.agent
    signal = _signal(
        density * spread[2] * (1 + DENSITY_SHARE * within * water),
        enhanced_t1_ms(t1, concentration),
        t2,
        protocol,
    )
    return signal * _flow(name, protocol)


def _flow(name: str, protocol: Protocol) -> float:
    kept = _FLOW[protocol.sequence].get(name, 1.0)
    # Short echoes and much agent leave more of slow blood.
    return kept**0.3 if protocol.agent else kept


def _signal(density: NDArray, t1_ms: NDArray, t2_ms: NDArray, protocol: Protocol) -> NDArray:
    tr_ms, te_ms = protocol.tr_ms, protocol.te_ms
    if protocol.sequence == GRADIENT_ECHO:
        return spoiled_gradient_echo(
            density,
            t1_ms,
            t2_ms * _T2_STAR_SHARE,
            tr_ms=tr_ms,
            te_ms=te_ms,
            flip_deg=protocol.flip_deg,
        )
    if protocol.sequence == INVERSION:
        return inversion_recovery(
            density, t1_ms, t2_ms, tr_ms=tr_ms, te_ms=te_ms, ti_ms=protocol.ti_ms
        )
    return spin_echo(density, t1_ms, t2_ms, tr_ms=tr_ms, te_ms=te_ms)


def _texture(rng: np.random.Generator) -> NDArray:
    """(512, 512) place on the axis of levels: coarse and fine, of deviation 1 together."""
    mixed = smooth_field(rng, 20) * 0.7 + smooth_field(rng, 90) * 0.7
    return (mixed.clip(-_DEVIATIONS, _DEVIATIONS) + _DEVIATIONS) * (
        (_LEVELS - 1) / (2 * _DEVIATIONS)
    )


def _layer_signal(labels: NDArray, table: NDArray, water: NDArray, fat_share: NDArray) -> NDArray:
    names = _with_dura(labels)
    signal = _looked_up(table, names, water)
    soft = labels == number_of("soft tissue")
    fat = table[len(TISSUE_NAMES), _LEVELS // 2]
    signal[soft] += (fat - signal[soft]) * fat_share[soft]
    return signal


def _looked_up(table: NDArray, names: NDArray, water: NDArray) -> NDArray:
    below = np.minimum(water.astype(np.uint8), _LEVELS - 2)
    share = water - below
    flat = names.astype(np.int32) * _LEVELS + below
    cells = table.ravel()
    low = cells[flat]
    found: NDArray = low + (cells[flat + 1] - low) * share
    return found


def _with_dura(labels: NDArray) -> NDArray:
    """Bone beside CSF is dura."""
    csf = ndimage.maximum_filter((labels == number_of("csf")).view(np.uint8), 2 * _DURA_PIXELS + 1)
    bone = (labels == number_of("cortical bone")) & csf.view(bool)
    return np.where(bone, np.uint8(len(TISSUE_NAMES) + 1), labels)


def _fat_share(slab: Slab, rng: np.random.Generator) -> NDArray:
    """(512, 512) share of fat in what a map calls soft tissue.

    Fat lies under the skin, behind the eyes and in sheets between muscles.
    """
    labels = slab.layers[len(slab.layers) // 2]
    ridges = np.abs(smooth_field(rng, 26) + 0.6 * smooth_field(rng, 60))
    much = 1 / (1 + np.exp(-1.5 * smooth_field(rng, 8)))
    share = 0.8 * much / (1 + np.exp((ridges - _FASCIA) * 10))
    under = _distance_mm((labels == number_of("skin")) | (labels == 0))
    depth = rng.uniform(*_FAT_UNDER_SKIN_MM)
    wavy = depth * (1 + 0.35 * smooth_field(rng, 14))
    share = np.maximum(share, 1 / (1 + np.exp((under - wavy) * 1.5)))
    eyes = labels == _GLASS
    if eyes.any():
        share = np.where(_distance_mm(eyes) < _FAT_AROUND_EYE_MM, np.maximum(share, 0.95), share)
    return share.astype(np.float32)


def _distance_mm(mask: NDArray) -> NDArray:
    """To the mask, in steps of 1 mm, on the fine grid."""
    coarse = ndimage.distance_transform_edt(~mask[::FINER, ::FINER])
    return np.repeat(np.repeat(coarse, FINER, 0), FINER, 1)


def _averaged(fine: NDArray) -> NDArray:
    mean: NDArray = fine.reshape(SIZE[0], FINER, SIZE[1], FINER).mean((1, 3))
    return mean


def _coil(rng: np.random.Generator) -> NDArray:
    """(256, 256) smooth factor: what receive coils leave."""
    field = smooth_field(rng, 4)[::FINER, ::FINER]
    return np.exp(field * rng.uniform(0.02, 0.12)).astype(np.float32)


def _reference(pixels: NDArray, labels: NDArray) -> float:
    """Signal of the brain, or of the whole head where there is next to no brain."""
    brain = np.isin(labels, _BRAIN)
    return float(pixels[brain if brain.any() else labels > 0].mean())


def _displayed(
    pixels: NDArray, labels: NDArray, reference: float, rng: np.random.Generator
) -> NDArray:
    """Windowed for the brain: what is far brighter is white; with a mild gamma."""
    brightest = np.percentile(pixels[labels > 0], rng.uniform(99.0, 99.9))
    top = min(float(brightest), reference * rng.uniform(1.8, 2.8))
    shown = np.clip(pixels / max(top, 1e-6), 0, 1) ** rng.uniform(0.85, 1.15)
    return shown.astype(np.float32)
