"""A head with everything that images of it need: tissues, lesions, maps of what they are to MR."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.seeds import generator_for
from isocenter.physics.mr_imaging import shimmed, susceptibility_field_ppm
from isocenter.physics.mr_tissues import PEOPLE, TissueValues, tissue_values
from isocenter.physics.phantom.anatomy import (
    CEREBRUM,
    COARSE,
    DURA,
    EXTRA_NAMES,
    FAT,
    NUM_WITH_EXTRA,
    PARENCHYMA,
    Anatomy,
    distance_mm,
    members,
    noise_over,
    sampled,
    tissue_number,
    whole_box,
)
from isocenter.physics.phantom.choices import LESION_NAMES, LESIONS, NO_LESION
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
)
from isocenter.physics.phantom.infarct import grow_infarct
from isocenter.physics.phantom.lesions import Lesion
from isocenter.physics.phantom.plaques import grow_plaques
from isocenter.physics.phantom.sequences import ECHO_PLANAR, GRADIENT_KINDS, Maps, Sequence
from isocenter.physics.phantom.tumor import (
    ENHANCING_VALUES,
    NECROSIS_VALUES,
    T1_SHARE_AT_LOW_FIELD,
    grow_tumor,
)

_ABOVE_MM, _BELOW_MM = 16, 12  # of the head around the brain
_LEAST_IN_SLICE = 5  # coarse voxels
_DURA_VOXELS = 5
_FAT_UNDER_SKIN_MM = (3.0, 7.0)
_FAT_AROUND_EYE_MM = 18.0
_TEXTURE = ((26.0, 0.7), (4.5, 0.7))  # waves in mm, and their weights
_FAT_LEFT_WHEN_SATURATED = 0.06
# Fluids are next to water in everybody, and vary less than tissue does.
_FLUIDS, _OF_FLUID = ("csf", "ventricle", "vitreous"), 0.25


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedHead:
    """One head, ready to be scanned.

    Attributes:
        anatomy: its tissues with the lesions that replace some.
        lesions: all parts of them.
        maps: what it is to MR.
        field_tesla: that the maps are true of.
        field_ppm: (slice, row, column) how air bends the main field, coarse by :data:`COARSE`.
        facts: what was drawn, for a record.
    """

    anatomy: Anatomy
    lesions: tuple[Lesion, ...]
    maps: Maps
    field_tesla: float
    field_ppm: NDArray[np.float32]
    facts: dict[str, float | str] = field(default_factory=dict)

    def signal(self, sequence: Sequence) -> NDArray[np.float32]:
        """Of every voxel, without noise: blood that moves and fat that is saturated included."""
        signal = sequence.signal(self.maps)
        gain = np.ones(NUM_WITH_EXTRA, np.float32)
        of_kind = GRADIENT_FLOW if sequence.kind in GRADIENT_KINDS else SPIN_FLOW
        for name, kept in of_kind.items():
            # Short echoes and much agent leave more of slow blood.
            gain[tissue_number(name)] = kept**0.3 if sequence.agent else kept
        if sequence.kind == ECHO_PLANAR:
            for name in ("fat", "marrow"):
                gain[tissue_number(name)] *= _FAT_LEFT_WHEN_SATURATED
        return signal * gain[self.anatomy.tissues]

    def reference(self, signal: NDArray) -> float:
        """Mean signal of brain tissue."""
        return float(signal[members(*PARENCHYMA)[self.anatomy.tissues]].mean())

    def lesion_share(self, name: str) -> NDArray[np.float32]:
        """(slice, row, column) how much of each voxel lesions of a name take."""
        share = np.zeros(self.anatomy.tissues.shape, np.float32)
        for lesion in self.lesions:
            if lesion.name == name:
                part = share[lesion.box]
                np.maximum(part, lesion.share, out=part)
        return share

    @property
    def lesion_names(self) -> tuple[str, ...]:
        """Kinds of lesions in this head, in the order of their numbers."""
        present = {lesion.name for lesion in self.lesions}
        return tuple(name for name in LESION_NAMES if name in present)


def make_head(
    tissues: NDArray[np.uint8],
    *,
    seed: int,
    lesion: str = NO_LESION,
    field_tesla: float = 3.0,
    age_hours: float | None = None,
    artery: str | None = None,
    plaques: int | None = None,
    mirrored: bool = False,
) -> SimulatedHead:
    """Draw what a head is made of, and grow lesions in it.

    Args:
        tissues: (slice, row, column) numbers of ``head_tissues``, 1 mm, LPS. What a map itself
            calls a lesion is taken for white matter: lesions are those that are grown here.
        seed: decides everything that is drawn.
        lesion: of ``LESIONS``.
        field_tesla: from 1.5 to 3.
        age_hours, artery: of an infarct; drawn where left out.
        plaques: how many; drawn where left out.
        mirrored: left for right, before anything grows.

    Raises:
        ValueError: there is no such lesion, artery, age or field, no brain, or no room in it.
    """
    if lesion not in LESIONS:
        raise ValueError(f"lesion is one of {', '.join(LESIONS)}, got {lesion!r}")
    if mirrored:
        tissues = tissues[:, :, ::-1]
    healthy = Anatomy(tissues=_around_brain(_without_lesions(tissues)))
    rng = generator_for(seed, "lesion", lesion)
    anatomy, grown = healthy, []
    if lesion == "plaques":
        grown = grow_plaques(healthy, rng, count=plaques)
    elif lesion == "infarct":
        grown = [grow_infarct(healthy, rng, artery=artery, age_hours=age_hours)]
    elif lesion == "tumor":
        tumor = grow_tumor(healthy, rng)
        anatomy, grown = tumor.anatomy, tumor.lesions
    anatomy = _dressed(anatomy, generator_for(seed, "fat"))
    return SimulatedHead(
        anatomy=anatomy,
        lesions=tuple(grown),
        maps=_maps(anatomy, grown, seed, field_tesla=field_tesla),
        field_tesla=field_tesla,
        field_ppm=_field_ppm(anatomy),
        facts=_facts(lesion, grown),
    )


def _facts(lesion: str, grown: list[Lesion]) -> dict[str, float | str]:
    facts: dict[str, float | str] = {"lesion": lesion}
    if lesion == "plaques":
        facts["plaques"] = len(grown)
    elif grown:
        facts |= grown[0].facts
    if grown:
        facts["lesion_mm3"] = round(sum(one.volume_mm3 for one in grown))
    return facts


def _without_lesions(tissues: NDArray[np.uint8]) -> NDArray[np.uint8]:
    numbers = np.arange(256, dtype=np.uint8)
    numbers[tissue_number("lesion")] = tissue_number("white matter")
    return numbers[tissues]


def _around_brain(tissues: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The slices that an examination of the brain covers."""
    # Not the brainstem, which maps follow down into the neck.
    in_brain = members(*CEREBRUM, "cerebellar cortex")[tissues[:, ::COARSE, ::COARSE]]
    slices = np.flatnonzero(np.count_nonzero(in_brain, (1, 2)) >= _LEAST_IN_SLICE)
    if not slices.size:
        raise ValueError("the map holds no brain; see docs for the labels that are known")
    low, high = max(slices[0] - _BELOW_MM, 0), slices[-1] + _ABOVE_MM + 1
    return tissues[low:high]


def _dressed(anatomy: Anatomy, rng: np.random.Generator) -> Anatomy:
    """The head with dura, and with the fat in what maps call soft tissue.

    Bone beside fluid is dura. Fat lies under the skin, behind the eyes and in sheets between
    muscles.
    """
    tissues = anatomy.tissues.copy()
    fluid = ndimage.maximum_filter(anatomy.where("csf").view(np.uint8), _DURA_VOXELS).view(bool)
    tissues[anatomy.where("cortical bone") & fluid] = DURA
    soft = anatomy.where("soft tissue")
    coarse = anatomy.coarse
    whole = whole_box(tissues.shape)
    under = distance_mm(members(AIR, "skin")[coarse])
    noise = noise_over(anatomy, rng, wave_mm=16.0)
    depth = rng.uniform(*_FAT_UNDER_SKIN_MM) * (1 + 0.3 * noise)
    is_fat = (sampled(under, whole) < depth) | (np.abs(noise) < 0.35)
    eyes = distance_mm(members("vitreous")[coarse])
    is_fat |= sampled(eyes, whole) < _FAT_AROUND_EYE_MM
    tissues[soft & is_fat] = FAT
    return Anatomy(tissues=tissues)


def _maps(anatomy: Anatomy, lesions: list[Lesion], seed: int, *, field_tesla: float) -> Maps:
    rng = generator_for(seed, "tissues")
    table = _value_table(rng, field_tesla)
    water = np.zeros(anatomy.tissues.shape, np.float32)
    for wave_mm, weight in _TEXTURE:
        water += weight * noise_over(anatomy, rng, wave_mm=wave_mm)
    water *= _within_table()[anatomy.tissues]
    change = 1 + np.clip(water, -0.5, 0.5)
    values = [table[:, place][anatomy.tissues] for place in range(5)]
    for place, one in enumerate(values):
        one *= 1 + DENSITY_SHARE * (change - 1) if place == 3 else change
    agent = _agent_table()[anatomy.tissues]
    for lesion in lesions:
        for one, factor in zip(values, lesion.factors, strict=True):
            if factor != 1.0:
                one[lesion.box] *= np.float32(factor) ** lesion.share
        if lesion.agent_mm:
            part = agent[lesion.box]
            np.maximum(part, lesion.agent_mm * lesion.share, out=part)
    t1, t2, t2_star, density, adc = values
    return Maps(
        t1_ms=t1,
        t2_ms=t2,
        t2_star_ms=t2_star,
        proton_density=density,
        adc_um2_s=adc,
        agent_mm=agent,
    )


def _value_table(rng: np.random.Generator, field_tesla: float) -> NDArray[np.float32]:
    """(tissue, 5) values of this person."""
    rows = []
    for name in (*TISSUE_NAMES, *EXTRA_NAMES):
        people = np.array(PEOPLE) * (_OF_FLUID if name in _FLUIDS else 1.0)
        spread = 1 + rng.standard_normal(5).clip(-2, 2) * people
        rows.append(np.array(_typical(name, field_tesla)) * spread)
    return np.stack(rows).astype(np.float32)


def _typical(name: str, field_tesla: float) -> TissueValues:
    if name == AIR:
        return TissueValues(1000.0, 50.0, 50.0, 0.0, 0.0)
    if name in ("enhancing tumor", "necrosis"):
        at_3t = ENHANCING_VALUES if name == "enhancing tumor" else NECROSIS_VALUES
        share = (field_tesla - 1.5) / 1.5
        shorter = T1_SHARE_AT_LOW_FIELD + (1 - T1_SHARE_AT_LOW_FIELD) * share
        return at_3t._replace(t1_ms=at_3t.t1_ms * shorter)
    if name == "lesion":
        name = "white matter"
    return tissue_values(MADE_OF.get(name, name), field_tesla=field_tesla)


def _within_table() -> NDArray[np.float32]:
    names = (*TISSUE_NAMES, *EXTRA_NAMES)
    within = [WITHIN.get(name, WITHIN_OTHERS) for name in names]
    within[names.index("enhancing tumor")] = within[names.index("necrosis")] = 0.1
    return np.array(within, np.float32)


def _agent_table() -> NDArray[np.float32]:
    names = (*TISSUE_NAMES, *EXTRA_NAMES)
    return np.array([AGENT_MM.get(name, 0.0) for name in names], np.float32)


def _field_ppm(anatomy: Anatomy) -> NDArray[np.float32]:
    """Of the head alone: what lies below the last slice is taken to go on as tissue does."""
    is_air = members(AIR)[anatomy.coarse]
    margin = 12
    padded = np.pad(is_air, margin, mode="edge")
    padded = np.pad(padded, ((margin, margin), (0, 0), (0, 0)), mode="edge")
    field_ppm = susceptibility_field_ppm(padded, spacing_mm=float(COARSE))
    z, y, x = (slice(cut, -cut) for cut in (2 * margin, margin, margin))
    return shimmed(field_ppm[z, y, x], anatomy.brain_coarse)
