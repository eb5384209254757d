"""The families that the shipped generators make."""

from __future__ import annotations

from isocenter.modelpack.generator.family import Family, Number
from isocenter.physics.phantom.head_tissues import GUIDE

BRAIN_T1C = Family(
    name="brain_t1c",
    title="Brain MR, contrast-enhanced T1",
    modality="MR",
    body_part="BRAIN",
    rows=256,
    columns=256,
    pixel_mm=None,
    unit="",
    low=0.0,
    high=255.0,
    window=(127.5, 255.0),
    categories={
        "class": ("glioma", "meningioma", "pituitary tumor"),
        "plane": ("axial", "coronal", "sagittal"),
    },
    numbers=(),
    box="tumor",
    guide=(),
    text=True,
)

CHEST_RADIOGRAPH = Family(
    name="chest_radiograph",
    title="Chest radiograph",
    modality="DX",
    body_part="CHEST",
    rows=224,
    columns=224,
    pixel_mm=None,
    unit="",
    low=0.0,
    high=255.0,
    window=(127.5, 255.0),
    categories={
        "class": ("normal", "bacterial pneumonia", "viral pneumonia", "pneumonia"),
        "population": ("child", "adult"),
    },
    numbers=(),
    box="",
    guide=(),
    text=True,
)

CHEST_CT = Family(
    name="chest_ct",
    title="Chest CT, single slice",
    modality="CT",
    body_part="CHEST",
    rows=256,
    columns=256,
    pixel_mm=1.5,
    unit="HU",
    low=-1024.0,
    high=1024.0,
    window=(-600.0, 1500.0),
    categories={"kernel": ("soft", "sharp")},
    numbers=(
        Number(
            name="noise_hu",
            unit="HU",
            least=0.0,
            most=60.0,
            meaning="Standard deviation of the noise of the scan it is like, at its own pixels.",
        ),
    ),
    box="",
    guide=("body", "lung"),
    text=True,
)

BRAIN_LABELS = Family(
    name="brain_labels",
    title="Brain MR of any contrast, simulated",
    modality="MR",
    body_part="BRAIN",
    rows=256,
    columns=256,
    pixel_mm=1.0,
    unit="",
    low=0.0,
    high=255.0,
    window=(127.5, 255.0),
    categories={
        "contrast": ("T1", "T1c", "T2", "FLAIR", "PD"),
        "plane": ("axial", "coronal", "sagittal"),
    },
    numbers=(
        Number(name="te_ms", unit="ms", least=2.0, most=140.0, meaning="Echo time."),
        Number(name="tr_ms", unit="ms", least=10.0, most=10000.0, meaning="Repetition time."),
        Number(
            name="ti_ms", unit="ms", least=1500.0, most=3500.0, meaning="Inversion time of a FLAIR."
        ),
    ),
    box="",
    guide=GUIDE,
    text=True,
)

FAMILIES = {one.name: one for one in (BRAIN_T1C, CHEST_RADIOGRAPH, CHEST_CT, BRAIN_LABELS)}

# Pixels of collections that say their size only roughly: enough for words such as "large", and too
# little to write a spacing into a file.
ABOUT_MM = {"brain_t1c": 0.98}
