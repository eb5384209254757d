"""Which tissue each label of a head is made of, and which group of a guide it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

AIR = "air"
# Name of a tissue: labels (FreeSurfer's numbers, with those that SynthSeg adds from 502 on) and
# group of the guide, "" for none. Soft tissue is a mixture of fat and muscle.
_TABLE: tuple[tuple[str, tuple[int, ...], str], ...] = (
    (AIR, (0,), ""),
    ("white matter", (2, 41), "white matter"),
    ("cortex", (3, 42), "cortex"),
    ("csf", (24,), "csf"),
    ("ventricle", (4, 5, 14, 15, 43, 44, 72), "ventricles"),
    ("choroid plexus", (136, 137, 163, 164), "ventricles"),
    ("thalamus", (10, 49, 28, 60), "thalamus"),
    ("caudate", (11, 50, 26, 58), "basal ganglia"),
    ("putamen", (12, 51), "basal ganglia"),
    ("pallidum", (13, 52), "basal ganglia"),
    ("hippocampus", (17, 53, 18, 54), "hippocampus and amygdala"),
    ("cerebellar white matter", (7, 46), "cerebellar white matter"),
    ("cerebellar cortex", (8, 47), "cerebellar cortex"),
    ("brainstem", (16, 512), "brainstem"),
    ("optic nerve", (85, 530), "soft tissue"),
    ("lesion", (25, 57), "white matter lesions"),
    ("artery", (502,), "vessels"),
    ("vein", (30, 62, 514), "vessels"),
    ("vitreous", (506,), "eyes"),
    ("soft tissue", (507,), "soft tissue"),
    ("muscle", (508,), "soft tissue"),
    ("mucosa", (509,), "soft tissue"),
    ("skin", (511,), "skin"),
    ("cortical bone", (515,), "skull"),
    ("marrow", (516,), "skull"),
)
TISSUE_NAMES = tuple(name for name, _, _ in _TABLE)
NUM_TISSUES = len(TISSUE_NAMES)
TISSUE_OF: Mapping[int, int] = MappingProxyType(
    {label: number for number, (_, labels, _) in enumerate(_TABLE) for label in labels}
)
GUIDE = tuple(dict.fromkeys(group for _, _, group in _TABLE if group))
# Tissues of a label map that go by another name, or that no table of relaxation holds.
MADE_OF: Mapping[str, str] = MappingProxyType(
    {
        "ventricle": "csf", "artery": "blood", "vein": "blood", "choroid plexus": "mucosa",
        "soft tissue": "muscle",
    }
)  # fmt: skip
# Within a tissue of one person times and, less, density rise together with the content of water.
WITHIN: Mapping[str, float] = MappingProxyType(
    {"marrow": 0.12, "muscle": 0.05, "skin": 0.08, "mucosa": 0.15, "lesion": 0.1}
)
WITHIN_OTHERS = 0.02
DENSITY_SHARE = 0.4
# Agent in mmol per liter minutes after a single dose: in blood, and where there is no barrier.
AGENT_MM: Mapping[str, float] = MappingProxyType(
    {
        "artery": 0.8, "vein": 0.8, "choroid plexus": 0.6, "mucosa": 0.6, "dura": 0.35,
        "skin": 0.12, "muscle": 0.08, "marrow": 0.05,
    }
)  # fmt: skip
# What moving blood keeps of its signal in a spin echo, and gains by flowing in to a gradient echo.
SPIN_FLOW: Mapping[str, float] = MappingProxyType({"artery": 0.12, "vein": 0.45})
GRADIENT_FLOW: Mapping[str, float] = MappingProxyType({"artery": 1.5, "vein": 1.15})
# Label of the guide for each tissue.
GUIDE_OF = np.array([GUIDE.index(group) + 1 if group else 0 for _, _, group in _TABLE], np.uint8)


def number_of(name: str) -> int:
    """The number that a tissue has in a label map."""
    return TISSUE_NAMES.index(name)
