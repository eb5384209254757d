"""Which tissue each label of a head is made of, and which group of a guide it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

AIR = "air"
# Name of a tissue: labels (FreeSurfer's numbers, with those that SynthSeg adds from 502 on) and
# group of the guide, "" for none. Soft tissue is a mixture of fat and muscle; see simulated_mr.
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
# Label of the guide for each tissue.
GUIDE_OF = np.array([GUIDE.index(group) + 1 if group else 0 for _, _, group in _TABLE], np.uint8)


def number_of(name: str) -> int:
    """The number that a tissue has in a label map."""
    return TISSUE_NAMES.index(name)
