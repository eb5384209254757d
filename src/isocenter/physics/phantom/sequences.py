"""The sequences that heads are scanned with, as clinics use them at 1.5 T and 3 T."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from isocenter.core.acquisition import MrSequence
from isocenter.physics.mr_signal import (
    diffusion_weighted,
    enhanced_t1_ms,
    fast_spin_echo,
    inversion_recovery,
    null_ti_ms,
    prepared_gradient_echo,
    spin_echo,
    spoiled_gradient_echo,
)
from isocenter.physics.mr_tissues import relaxation
from isocenter.physics.phantom.choices import CONTRASTS, DIFFUSION

SPIN_ECHO, FAST_SPIN_ECHO, INVERSION = "spin echo", "fast spin echo", "inversion recovery"
GRADIENT_ECHO, PREPARED, ECHO_PLANAR = "gradient echo", "prepared gradient echo", "echo-planar"
GRADIENT_KINDS = (GRADIENT_ECHO, PREPARED)
_B = {"b0": 0.0, "b1000": 1000.0}
_TE_SHARE = (0.72, 0.92)  # of trains with refocusing pulses of 120 to 160 degrees
# Scanning Sequence, Sequence Variant and Scan Options of DICOM (PS3.3 C.8.3.1).
_IN_DICOM: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    SPIN_ECHO: (("SE",), ("NONE",), ()),
    FAST_SPIN_ECHO: (("SE",), ("SK",), ()),
    INVERSION: (("SE", "IR"), ("SK",), ()),
    GRADIENT_ECHO: (("GR",), ("SP",), ()),
    PREPARED: (("GR", "IR"), ("SP", "MP"), ()),
    ECHO_PLANAR: (("EP", "SE"), ("SK",), ("FS",)),
}


@dataclass(frozen=True, kw_only=True)
class Maps:
    """What a head is to MR, voxel by voxel; all of one shape.

    Attributes:
        t1_ms, t2_ms, t2_star_ms: above 0 everywhere.
        proton_density: over that of water.
        adc_um2_s: at least 0.
        agent_mm: contrast agent after a single dose, mmol per liter.
    """

    t1_ms: NDArray
    t2_ms: NDArray
    t2_star_ms: NDArray
    proton_density: NDArray
    adc_um2_s: NDArray
    agent_mm: NDArray


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """How one contrast is acquired.

    Attributes:
        contrast: of ``CONTRASTS``.
        kind: such as "fast spin echo".
        field_tesla: from 1.5 to 3.
        tr_ms, te_ms: repetition and (effective) echo time.
        ti_ms: inversion time, 0 where there is no inversion.
        flip_deg: of a gradient echo; 90 for others.
        te_share: how much of the effective echo time T2 acts for: less than 1 where refocusing
            pulses below 180 degrees keep part of the magnetization along the field meanwhile
            (Busse et al., Magn. Reson. Med. 55:1030, 2006).
        num_echoes: of a train; pulses of a prepared gradient echo.
        echo_spacing_ms: between them.
        b_s_per_mm2: diffusion weighting; None where the sequence has none.
        agent: share of a single dose of contrast agent.
        readout_ms: of an echo-planar image, over the factor of parallel imaging.
        matrix: lines acquired of an echo-planar image.
    """

    contrast: str
    kind: str
    field_tesla: float
    tr_ms: float
    te_ms: float
    ti_ms: float = 0.0
    flip_deg: float = 90.0
    te_share: float = 1.0
    num_echoes: int = 1
    echo_spacing_ms: float = 0.0
    b_s_per_mm2: float | None = None
    agent: float = 0.0
    readout_ms: float = 0.0
    matrix: int = 0

    @property
    def train_ms(self) -> float:
        """Length of the train of spin echoes, 0 where there is none."""
        has_train = self.kind in (FAST_SPIN_ECHO, INVERSION)
        return self.num_echoes * self.echo_spacing_ms if has_train else 0.0

    def signal(self, maps: Maps) -> NDArray[np.float32]:
        """Magnitude without noise, of the shape of the maps."""
        t1_ms = maps.t1_ms
        if self.agent:
            t1_ms = enhanced_t1_ms(t1_ms, self.agent * maps.agent_mm)
        found = self._signal(maps, t1_ms)
        if self.b_s_per_mm2:
            found = diffusion_weighted(found, maps.adc_um2_s, b_s_per_mm2=self.b_s_per_mm2)
        return found.astype(np.float32, copy=False)

    def _signal(self, maps: Maps, t1_ms: NDArray) -> NDArray:
        density, tr_ms = maps.proton_density, self.tr_ms
        te_ms = self.te_ms * self.te_share
        if self.kind == GRADIENT_ECHO:
            return spoiled_gradient_echo(
                density, t1_ms, maps.t2_star_ms, tr_ms=tr_ms, te_ms=te_ms, flip_deg=self.flip_deg
            )
        if self.kind == PREPARED:
            return prepared_gradient_echo(
                density,
                t1_ms,
                maps.t2_star_ms,
                tr_ms=tr_ms,
                te_ms=te_ms,
                ti_ms=self.ti_ms,
                flip_deg=self.flip_deg,
                num_pulses=self.num_echoes,
                pulse_spacing_ms=self.echo_spacing_ms,
            )
        if self.kind == INVERSION:
            return inversion_recovery(
                density,
                t1_ms,
                maps.t2_ms,
                tr_ms=tr_ms,
                te_ms=te_ms,
                ti_ms=self.ti_ms,
                train_ms=self.train_ms,
            )
        if self.kind == FAST_SPIN_ECHO:
            return fast_spin_echo(
                density, t1_ms, maps.t2_ms, tr_ms=tr_ms, te_ms=te_ms, train_ms=self.train_ms
            )
        return spin_echo(density, t1_ms, maps.t2_ms, tr_ms=tr_ms, te_ms=te_ms)

    def acquisition(self, *, slice_thickness_mm: float) -> MrSequence:
        """What a header says of it."""
        scanning, variant, options = _IN_DICOM[self.kind]
        return MrSequence(
            sequence=self.kind,
            scanning_sequence=scanning,
            sequence_variant=variant,
            scan_options=options,
            is_3d=self.kind in GRADIENT_KINDS,
            echo_train_length=self.num_echoes if self.train_ms else 1,
            echo_time_ms=round(self.te_ms, 2),
            repetition_time_ms=round(self.tr_ms, 1),
            inversion_time_ms=round(self.ti_ms, 1) or None,
            flip_deg=round(self.flip_deg, 1),
            field_strength_t=self.field_tesla,
            b_value_s_per_mm2=self.b_s_per_mm2,
            has_contrast_agent=bool(self.agent),
            contrast_agent="Gadolinium-based agent, simulated" if self.agent else "",
            slice_thickness_mm=slice_thickness_mm,
            body_part="BRAIN",
        )

    def numbers(self) -> dict[str, float | str]:
        """What decides the contrast, for a record."""
        found: dict[str, float | str] = {
            "sequence": self.kind,
            "tr_ms": round(self.tr_ms, 1),
            "te_ms": round(self.te_ms, 2),
        }
        if self.ti_ms:
            found["ti_ms"] = round(self.ti_ms, 1)
        if self.kind in GRADIENT_KINDS:
            found["flip_deg"] = round(self.flip_deg, 1)
        if self.b_s_per_mm2 is not None:
            found["b_s_per_mm2"] = self.b_s_per_mm2
        return found


def draw_sequence(contrast: str, *, field_tesla: float, rng: np.random.Generator) -> Sequence:
    """A sequence as clinics use them for a contrast.

    Args:
        contrast: of ``CONTRASTS``. Both weightings of one diffusion sequence come from
            generators in one state.
        field_tesla: from 1.5 to 3.
        rng: draws kind and times.

    Raises:
        ValueError: there is no such contrast.
    """
    if contrast not in CONTRASTS:
        raise ValueError(f"contrast is one of {', '.join(CONTRASTS)}, got {contrast!r}")
    if contrast in ("T1", "T1c"):
        found = _t1(contrast, field_tesla, rng)
        return replace(found, agent=float(rng.uniform(0.8, 1.2))) if contrast == "T1c" else found
    if contrast in DIFFUSION:
        return Sequence(
            contrast=contrast,
            kind=ECHO_PLANAR,
            field_tesla=field_tesla,
            tr_ms=float(rng.uniform(4500, 8000)),
            te_ms=float(rng.uniform(65, 95)),
            b_s_per_mm2=_B[contrast],
            readout_ms=float(rng.uniform(18, 38)),
            matrix=int(rng.choice([128, 144, 160, 192])),
        )
    if contrast == "FLAIR":
        return _flair(field_tesla, rng)
    long_echo = contrast == "T2"
    num_echoes = int(rng.integers(12, 22)) if long_echo else int(rng.integers(5, 9))
    te_ms = float(rng.uniform(82, 112) if long_echo else rng.uniform(10, 24))
    return Sequence(
        contrast=contrast,
        kind=FAST_SPIN_ECHO,
        field_tesla=field_tesla,
        tr_ms=float(rng.uniform(3800, 6500) if long_echo else rng.uniform(2400, 4000)),
        te_ms=te_ms,
        te_share=float(rng.uniform(*_TE_SHARE)),
        num_echoes=num_echoes,
        echo_spacing_ms=float(rng.uniform(9, 12)),
    )


def _t1(contrast: str, field_tesla: float, rng: np.random.Generator) -> Sequence:
    kind = str(rng.choice([PREPARED, GRADIENT_ECHO, SPIN_ECHO], p=[0.5, 0.2, 0.3]))
    if kind == PREPARED:
        return Sequence(
            contrast=contrast,
            kind=kind,
            field_tesla=field_tesla,
            tr_ms=float(rng.uniform(1800, 2400)),
            te_ms=float(rng.uniform(2.3, 4.0)),
            ti_ms=float(rng.uniform(880, 1050)),
            flip_deg=float(rng.uniform(7, 10)),
            num_echoes=int(rng.integers(150, 180)),
            echo_spacing_ms=float(rng.uniform(6.5, 8.5)),
        )
    if kind == GRADIENT_ECHO:
        return Sequence(
            contrast=contrast,
            kind=kind,
            field_tesla=field_tesla,
            tr_ms=float(rng.uniform(15, 28)),
            te_ms=float(rng.uniform(2.5, 5)),
            flip_deg=float(rng.uniform(20, 30)),
        )
    return Sequence(
        contrast=contrast,
        kind=kind,
        field_tesla=field_tesla,
        tr_ms=float(rng.uniform(450, 680)),
        te_ms=float(rng.uniform(8, 14)),
    )


def _flair(field_tesla: float, rng: np.random.Generator) -> Sequence:
    tr_ms = float(rng.uniform(8000, 10500))
    num_echoes, spacing = int(rng.integers(14, 24)), float(rng.uniform(8, 11))
    csf_t1_ms, _, _ = relaxation("csf", field_tesla=field_tesla)
    null_ms = null_ti_ms(csf_t1_ms, tr_ms=tr_ms, train_ms=num_echoes * spacing)
    return Sequence(
        contrast="FLAIR",
        kind=INVERSION,
        field_tesla=field_tesla,
        tr_ms=tr_ms,
        te_ms=float(rng.uniform(90, 130)),
        ti_ms=null_ms * float(rng.uniform(0.97, 1.02)),
        te_share=float(rng.uniform(*_TE_SHARE)),
        num_echoes=num_echoes,
        echo_spacing_ms=spacing,
    )
