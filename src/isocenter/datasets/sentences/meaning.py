"""What a sentence about an image says, apart from its words.

Sides are those of the patient, as in radiology: on axial and coronal slices the left of the image
is the patient's right. On sagittal slices the left of the image is anterior.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

# What each attribute may say; "" says nothing.
VALUES: dict[str, tuple[str, ...]] = {
    "modality": ("brain MR", "chest radiograph", "chest CT"),
    "contrast": ("T1", "T1c", "T2", "FLAIR", "PD"),
    "plane": ("axial", "coronal", "sagittal"),
    "population": ("child", "adult"),
    "level": ("apex", "middle", "base"),
    "kernel": ("soft", "sharp"),
    "finding": (
        "glioma",
        "meningioma",
        "pituitary tumor",
        "tumor",
        "bacterial pneumonia",
        "viral pneumonia",
        "pneumonia",
        "normal",
    ),
    "side": ("left", "right", "midline"),
    "height": ("upper", "lower"),
    "depth": ("anterior", "posterior"),
    "size": ("small", "medium", "large"),
    "signal": ("hyperintense", "hypointense"),
}
PLACE = ("side", "height", "depth")
# What describes a finding, and cannot be said without one.
OF_FINDING = (*PLACE, "size", "signal")

TUMORS = ("glioma", "meningioma", "pituitary tumor")
PNEUMONIAS = ("bacterial pneumonia", "viral pneumonia")
ABSENTABLE = (*TUMORS, "tumor", *PNEUMONIAS, "pneumonia")
_IMPLIED = dict.fromkeys(TUMORS, "tumor") | dict.fromkeys(PNEUMONIAS, "pneumonia")

# Largest side of the box: about a third of the tumors of the training images are small, and a third
# large. Whole centimeters, so that the first digit tells.
LEAST_MEDIUM_MM, LEAST_LARGE_MM = 30, 50
MOST_MM = 99
# Where a finding counts as off the middle, as a fraction of the image.
_BEFORE_MIDDLE, _AFTER_MIDDLE = 0.44, 0.56

FAMILIES = ("brain_t1c", "chest_radiograph", "chest_ct", "brain_labels")
# What a sentence about an image of each family may say.
SAYS: dict[str, tuple[str, ...]] = {
    "brain_t1c": ("modality", "contrast", "plane", "finding", *OF_FINDING, "absent"),
    "chest_radiograph": ("modality", "population", "finding", "absent"),
    "chest_ct": ("modality", "level", "kernel"),
    "brain_labels": ("modality", "contrast", "plane", "absent"),
}
# Findings of the images of each family; "" for none.
_FINDINGS = {
    "brain_t1c": ("glioma", "meningioma", "pituitary tumor", "tumor"),
    "chest_radiograph": ("normal", "bacterial pneumonia", "viral pneumonia", "pneumonia"),
}
_CONTRASTS = {"brain_t1c": ("T1c",)}
# The grammar can say it, and no label of the images tells it.
_UNTOLD = ("signal", "level")
_MODALITY = {
    "brain_t1c": "brain MR",
    "chest_radiograph": "chest radiograph",
    "chest_ct": "chest CT",
    "brain_labels": "brain MR",
}
# Names that the families' own categories may use for what is meant here.
_SYNONYMS = {"pituitary": "pituitary tumor", "mid": "middle"}


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What is said about an image; "" where nothing is.

    Attributes:
        modality, contrast, plane, population, level, kernel: of the image.
        finding: what it shows; "tumor" and "pneumonia" leave the kind open.
        side, height, depth: of the finding, in the patient.
        size: of the finding; follows from size_mm where that is given.
        size_mm: largest extent of the finding in whole mm, 0 where not said.
        signal: of the finding against what is around it.
        absent: findings that are said not to be there, in the order of :data:`ABSENTABLE`.

    Raises:
        ValueError: an unknown value, or values that contradict each other.
    """

    modality: str = ""
    contrast: str = ""
    plane: str = ""
    population: str = ""
    level: str = ""
    kernel: str = ""
    finding: str = ""
    side: str = ""
    height: str = ""
    depth: str = ""
    size: str = ""
    size_mm: int = 0
    signal: str = ""
    absent: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, values in VALUES.items():
            value = getattr(self, name)
            if value and value not in values:
                raise ValueError(f"{name} is one of {', '.join(values)}, got {value!r}")
        if self.absent != tuple(name for name in ABSENTABLE if name in self.absent):
            raise ValueError(f"absent holds some of {', '.join(ABSENTABLE)}, in this order")
        if self.finding in self.absent or _IMPLIED.get(self.finding) in self.absent:
            raise ValueError(f"{self.finding} cannot be there and absent")
        if not 0 <= self.size_mm <= MOST_MM:
            raise ValueError(f"size_mm is from 0 to {MOST_MM}, got {self.size_mm}")
        if self.size_mm and self.size != size_of(self.size_mm):
            raise ValueError(f"{self.size_mm} mm is {size_of(self.size_mm)}, not {self.size!r}")
        if self.finding in ("", "normal") and any(getattr(self, name) for name in OF_FINDING):
            raise ValueError(f"{', '.join(OF_FINDING)} need a finding that they describe")

    def said(self) -> dict[str, str]:
        """The attributes that are said, each with its value; absent findings are joined by "|"."""
        told = {name: getattr(self, name) for name in VALUES if getattr(self, name)}
        if self.absent:
            told["absent"] = "|".join(self.absent)
        return told


def size_of(size_mm: float) -> str:
    """The word for a largest extent."""
    if size_mm < LEAST_MEDIUM_MM:
        return "small"
    return "medium" if size_mm < LEAST_LARGE_MM else "large"


def meaning_of(
    family: str,
    categories: Mapping[str, str] | None = None,
    *,
    box: tuple[float, float, float, float] | None = None,
    width_mm: float = 0.0,
    height_mm: float = 0.0,
    signal: str = "",
) -> Meaning:
    """All that can be said of an image, from its labels.

    Args:
        family: one of :data:`FAMILIES`.
        categories: labels by name: class, plane, population, contrast, level, kernel. Those that
            are not known are missing or "", those that the family does not say are left out.
        box: of the tumor: center x, center y, width, height as fractions of the image.
        width_mm, height_mm: extent of the whole image, to tell sizes by; 0 where not known.
        signal: of the finding, where it was measured.

    Raises:
        ValueError: an unknown family or value.
    """
    if family not in FAMILIES:
        raise ValueError(f"family is one of {', '.join(FAMILIES)}, got {family!r}")
    named = {name: _SYNONYMS.get(value, value) for name, value in (categories or {}).items()}
    finding = named.pop("finding", "") or named.get("class", "")
    told: dict[str, Any] = {name: named[name] for name in SAYS[family] if named.get(name)}
    if family == "brain_t1c":
        told["contrast"] = "T1c"
    absent = _absent_with(finding) if family != "brain_labels" else ("tumor",)
    meaning = Meaning(modality=_MODALITY[family], finding=finding, absent=absent, **told)
    if box is None or finding in ("", "normal"):
        return meaning
    place: dict[str, Any] = place_of(box, told.get("plane", ""))
    extent = max(box[2] * width_mm, box[3] * height_mm)
    whole_mm = min(MOST_MM, max(1, round(extent))) if extent > 0 else 0
    size = size_of(whole_mm) if whole_mm else ""
    return replace(meaning, **place, size=size, size_mm=whole_mm, signal=signal)


def _absent_with(finding: str) -> tuple[str, ...]:
    """What a label rules out; an unspecified pneumonia or tumor rules out none of its kinds."""
    if finding == "normal":
        return ("bacterial pneumonia", "viral pneumonia", "pneumonia")
    for kinds in (TUMORS, PNEUMONIAS):
        if finding in kinds:
            return tuple(kind for kind in kinds if kind != finding)
    return ()


def sayable(family: str) -> dict[str, tuple[str, ...]]:
    """What sentences about images of a family may say: values by attribute.

    What no label of the family's images tells, such as the place of a pneumonia, is left out.

    Raises:
        ValueError: an unknown family.
    """
    if family not in FAMILIES:
        raise ValueError(f"family is one of {', '.join(FAMILIES)}, got {family!r}")
    found = {name: VALUES[name] for name in SAYS[family] if name in VALUES and name not in _UNTOLD}
    if "absent" in SAYS[family]:
        found["absent"] = ABSENTABLE
    found["modality"] = (_MODALITY[family],)
    for name, values in (("finding", _FINDINGS), ("contrast", _CONTRASTS)):
        if family in values:
            found[name] = values[family]
    return found


def place_of(box: tuple[float, float, float, float], plane: str) -> dict[str, str]:
    """Where the center of a box lies in the patient; what the plane does not show is left out."""
    across, down = box[:2]
    if plane == "axial":
        return {
            "side": _third(across, "right", "midline", "left"),
            "depth": _third(down, "anterior", "", "posterior"),
        }
    if plane == "coronal":
        return {
            "side": _third(across, "right", "midline", "left"),
            "height": _third(down, "upper", "", "lower"),
        }
    if plane == "sagittal":
        return {
            "depth": _third(across, "anterior", "", "posterior"),
            "height": _third(down, "upper", "", "lower"),
        }
    return {}


def _third(place: float, before: str, middle: str, after: str) -> str:
    if place < _BEFORE_MIDDLE:
        return before
    return middle if place <= _AFTER_MIDDLE else after


def part_of(
    meaning: Meaning, rng: np.random.Generator, *, keep: float = 0.6, deny: float = 0.25
) -> Meaning:
    """A part of a meaning, as a sentence rarely says all.

    Args:
        meaning: that which is true.
        rng: decides what is told; the finding is told more often than the rest, sizes either as
            a word or in mm, at most two absences.
        keep: chance that an attribute is told.
        deny: chance that something absent is told; higher where nothing is found.
    """
    whole = {name: value for name, value in meaning.said().items() if name != "absent"}
    told: dict[str, Any] = {name: value for name, value in whole.items() if rng.random() < keep}
    if meaning.finding and (rng.random() < 0.8 or any(name in told for name in OF_FINDING)):
        told["finding"] = _told_finding(meaning.finding, rng)
    exact = bool(meaning.size_mm) and "size" in told and rng.random() < 0.4
    chance = deny if meaning.finding not in ("", "normal") else min(1.0, deny + 0.2)
    absent = rng.permutation(meaning.absent)[: rng.integers(1, 3)] if rng.random() < chance else ()
    return Meaning(
        **told,
        size_mm=meaning.size_mm if exact else 0,
        absent=tuple(name for name in ABSENTABLE if name in absent),
    )


def _told_finding(finding: str, rng: np.random.Generator) -> str:
    """Mostly the finding itself, at times only what it implies."""
    return _IMPLIED[finding] if finding in _IMPLIED and rng.random() < 0.12 else finding


def drawn_meaning(rng: np.random.Generator) -> Meaning:
    """Any meaning that a sentence may have, whether or not an image of it is known."""
    family = FAMILIES[rng.choice(4, p=(0.5, 0.25, 0.1, 0.15))]
    told: dict[str, Any] = {"modality": _MODALITY[family]}
    for name in ("contrast", "plane", "population", "level", "kernel"):
        if name in SAYS[family]:
            told[name] = str(rng.choice(VALUES[name]))
    if family == "chest_radiograph":
        told["finding"] = str(rng.choice(("normal", *PNEUMONIAS, "pneumonia")))
        if told["finding"] != "normal" and rng.random() < 0.3:
            told |= {name: str(rng.choice(VALUES[name])) for name in ("side", "height")}
            told["side"] = str(rng.choice(("left", "right")))
    if family == "brain_t1c":
        told["finding"] = str(rng.choice((*TUMORS, "tumor")))
        told |= {name: str(rng.choice(VALUES[name])) for name in (*PLACE, "signal")}
    extent_mm = int(rng.integers(3, MOST_MM + 1)) if family == "brain_t1c" else 0
    meaning = Meaning(**told, size=size_of(extent_mm) if extent_mm else "", size_mm=extent_mm)
    others = _could_be_absent(family, meaning.finding)
    return part_of(
        replace(meaning, absent=others), rng, keep=float(rng.uniform(0.25, 0.9)), deny=0.4
    )


def _could_be_absent(family: str, finding: str) -> tuple[str, ...]:
    if family == "chest_ct":
        return ()
    kinds = (*PNEUMONIAS, "pneumonia") if family == "chest_radiograph" else (*TUMORS, "tumor")
    return tuple(kind for kind in kinds if kind not in (finding, _IMPLIED.get(finding)))


def changed(meaning: Meaning, rng: np.random.Generator) -> Meaning:
    """Another meaning that differs in one attribute, or in what is absent; hard to tell apart."""
    ways = [name for name in VALUES if getattr(meaning, name) and name not in ("finding", "size")]
    if meaning.size:
        ways.append("size")
    if meaning.finding in ABSENTABLE:
        ways += ["finding", "finding", "negated", "negated"]
    if meaning.absent:
        ways += ["absent", "affirmed", *["swapped"] * 3 * (meaning.finding in ABSENTABLE)]
    if not ways:
        return replace(meaning, plane=_other("plane", meaning.plane, rng))
    return _changed_in(meaning, ways[rng.integers(len(ways))], rng)


def _changed_in(meaning: Meaning, way: str, rng: np.random.Generator) -> Meaning:
    bare = dict.fromkeys(OF_FINDING, "")
    if way == "negated":  # what was there is not
        gone = {meaning.finding, *meaning.absent}
        return replace(meaning, finding="", **bare, size_mm=0, absent=_in_order(gone))
    if way == "affirmed":  # what was not there is, alone
        there = meaning.absent[rng.integers(len(meaning.absent))]
        kinds = {name for name in meaning.absent if name not in (there, _IMPLIED.get(there))}
        return replace(meaning, finding=there, absent=_in_order(kinds))
    if way == "swapped":  # what is there and what is not change places
        there = meaning.absent[rng.integers(len(meaning.absent))]
        gone = {meaning.finding, *meaning.absent} - {there, _IMPLIED.get(there)}
        return replace(meaning, finding=there, absent=_in_order(gone))
    if way == "absent":
        return replace(meaning, absent=meaning.absent[1:])
    if way == "finding":
        related = TUMORS if meaning.finding in (*TUMORS, "tumor") else PNEUMONIAS
        others = [kind for kind in related if kind != meaning.finding]
        finding = others[rng.integers(len(others))]
        out = {finding, _IMPLIED[finding]}
        left = {name for name in meaning.absent if name not in out}
        return replace(meaning, finding=finding, absent=_in_order(left))
    if way == "size":
        if not meaning.size_mm:
            return replace(meaning, size=_other("size", meaning.size, rng))
        extent_mm = 3 + (meaning.size_mm - 3 + int(rng.integers(10, 80))) % (MOST_MM - 2)
        return replace(meaning, size=size_of(extent_mm), size_mm=extent_mm)
    other: dict[str, Any] = {way: _other(way, getattr(meaning, way), rng)}
    return replace(meaning, **other)


def _in_order(names: Collection[str | None]) -> tuple[str, ...]:
    return tuple(name for name in ABSENTABLE if name in names)


def _other(name: str, value: str, rng: np.random.Generator) -> str:
    others = [other for other in VALUES[name] if other != value]
    return others[rng.integers(len(others))]


assert {field.name for field in fields(Meaning)} == {*VALUES, "size_mm", "absent"}
