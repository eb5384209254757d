"""A malignant tumor: dead core, rim that takes up agent, edema in white matter, pressure around.

T1, T2 and density: Just & Thelen, Radiology 169:779, 1988; diffusion: Kono et al., AJNR 22:1081,
2001. Edema keeps to white matter and leaves the cortex. Growth is by a rule, not by a model of
cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.physics.mr_tissues import TissueValues
from isocenter.physics.phantom.anatomy import (
    CEREBRUM,
    COARSE,
    DEEP_GRAY,
    ENHANCING,
    NECROSIS,
    WHITE,
    Anatomy,
    members,
    noise_over,
    sampled,
)
from isocenter.physics.phantom.choices import EDEMA, ENHANCING_PART, NECROTIC_PART
from isocenter.physics.phantom.lesions import (
    Lesion,
    box_around,
    offsets,
    soft_below,
)

# At 3 T; times at 1.5 T are shorter in T1 as in white matter.
ENHANCING_VALUES = TissueValues(1480.0, 115.0, 70.0, 0.85, 1150.0)
NECROSIS_VALUES = TissueValues(2500.0, 330.0, 160.0, 0.94, 2000.0)
T1_SHARE_AT_LOW_FIELD = 0.80
_RADIUS_MM = (8.0, 22.0)
_RIM_MM = (2.0, 6.0)
_EDEMA_MM = (8.0, 24.0)
_AGENT_MM = (0.35, 0.8)
_PRESSED = 0.35  # share of the radius that the tissue at the border was pushed away
_LEAST_FROM_OUTSIDE_MM = 12.0  # of its middle
_LEAST_UNDER_SURFACE_MM = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Tumor:
    """A tumor in a head.

    Attributes:
        anatomy: the head with it: its tissues replaced, others pushed aside.
        lesions: its parts.
    """

    anatomy: Anatomy
    lesions: list[Lesion]


def grow_tumor(anatomy: Anatomy, rng: np.random.Generator) -> Tumor:
    """One tumor in the white matter of the cerebrum.

    Args:
        anatomy: of a head without it.
        rng: draws place, size and looks.

    Raises:
        ValueError: the head has no room for it.
    """
    center = _place(anatomy, rng)
    radius = float(rng.uniform(*_RADIUS_MM))
    noise = noise_over(anatomy, rng, wave_mm=8.0)
    noise += 0.6 * noise_over(anatomy, rng, wave_mm=18.0)
    pushed = _pushed(anatomy, center, radius)
    box = box_around(center, radius * 1.6 + _EDEMA_MM[1] + 6, anatomy.tissues.shape)
    z, y, x = offsets(box, center)
    border = np.sqrt(z**2 + y**2 + x**2) - radius + 0.13 * radius * noise[box]
    # It fills sulci and ventricles too, but stays off the surface of the brain.
    room = members(*CEREBRUM, *DEEP_GRAY, "csf", "ventricle")[pushed[box]]
    room &= sampled(anatomy.outside_mm, box) > _LEAST_UNDER_SURFACE_MM
    rim_mm = float(rng.uniform(*_RIM_MM)) * (1 + 0.35 * noise[box].clip(-1.5, 1.5))
    solid = rng.random() < 0.15  # small ones may have no dead core
    core = (border < -rim_mm) & room & (not solid)
    rim = (border < 0) & room & ~core
    tissues = pushed.copy()
    tissues[box][rim] = ENHANCING
    tissues[box][core] = NECROSIS
    grown = Anatomy(tissues=tissues)
    facts: dict[str, float | str] = {"radius_mm": round(radius, 1)}
    agent = float(rng.uniform(*_AGENT_MM))
    parts = [
        _edema(grown, border, noise, box, rng),
        Lesion(
            name=ENHANCING_PART,
            box=box,
            share=rim.astype(np.float32),
            agent_mm=agent,
            facts=facts,
        ),
        Lesion(name=NECROTIC_PART, box=box, share=core.astype(np.float32), facts=facts),
    ]
    return Tumor(anatomy=grown, lesions=[part for part in parts if part.share.any()])


def _place(anatomy: Anatomy, rng: np.random.Generator) -> NDArray:
    """A place in white matter, well inside."""
    deep = members(*WHITE)[anatomy.coarse] & (anatomy.outside_mm > _LEAST_FROM_OUTSIDE_MM)
    voxels = np.argwhere(deep)
    if not len(voxels):
        raise ValueError("the head has no white matter deep enough for a tumor")
    place: NDArray = voxels[rng.integers(len(voxels))] * COARSE + COARSE // 2
    return place.astype(float)


def _pushed(anatomy: Anatomy, center: NDArray, radius: float) -> NDArray[np.uint8]:
    """Tissues pushed away from the tumor, less with distance, and not at all at the skull."""
    box = box_around(center, 4 * radius, anatomy.tissues.shape)
    z, y, x = offsets(box, center)
    distance = np.sqrt(z**2 + y**2 + x**2) + 1e-3
    free = np.clip(sampled(anatomy.outside_mm, box) / 12.0, 0, 1)
    push = _PRESSED * radius * np.exp(-((distance / (1.6 * radius)) ** 2)) * free
    inward = 1 - push / distance
    places = [
        offset * inward + middle - part.start
        for offset, middle, part in zip((z, y, x), center, box, strict=True)
    ]
    tissues = anatomy.tissues.copy()
    tissues[box] = ndimage.map_coordinates(
        anatomy.tissues[box], places, order=0, mode="nearest", prefilter=False
    )
    return tissues


def _edema(
    anatomy: Anatomy,
    border: NDArray,
    noise: NDArray,
    box: tuple[slice, slice, slice],
    rng: np.random.Generator,
) -> Lesion:
    """Water in the white matter around, in fingers, fading at the end."""
    width = float(rng.uniform(*_EDEMA_MM))
    white = members(*WHITE)[anatomy.tissues[box]]
    depth = ndimage.gaussian_filter(white.astype(np.float32), 2.0)  # low in the blades of gyri
    level = border + width * (0.45 * noise[box] + 1.1 * (0.8 - depth))
    share = soft_below(level, width, 0.28 * width) * white
    water = float(rng.uniform(0.6, 1.0))
    return Lesion(
        name=EDEMA,
        box=box,
        share=share,
        factors=TissueValues(
            1 + 0.6 * water, 1 + 0.85 * water, 1 + 0.8 * water, 1 + 0.17 * water, 1 + 1.0 * water
        ),
        facts={"width_mm": round(width, 1)},
    )
