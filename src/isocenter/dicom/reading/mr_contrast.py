"""What an MR image is weighted by, told from how it was made.

The times of the sequence decide, as they decide the image: which tissue an inversion nulls, whether
T1 or T2 had time to work. Free text may break a tie that physics leaves; it never overrules it, and
where it contradicts, that is said and confidence falls. The rules stand in tables below, each with
its source; ``docs/mr_inputs.md`` lists protocols of several makers that they were tried on.

Sources: Bernstein, King, Zhou, Handbook of MRI Pulse Sequences, 2004 (inversion recovery 14.2,
gradient echo 14.1, T1 and T2 weighting 11); Hajnal et al., J. Comput. Assist. Tomogr. 16:841, 1992
(FLAIR); Bydder and Young, ibid. 9:659, 1985 (STIR); Mugler and Brookeman, Magn. Reson. Med.
15:152, 1990 (MPRAGE); terms: DICOM PS3.3 C.8.3.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from isocenter.core.acquisition import MrAcquisition

Contrast = Literal["T1", "T1c", "T2", "PD", "FLAIR", "DWI", "ADC", "other", "unknown"]
Confidence = Literal["sure", "probable", "unsure"]

ANATOMICAL: tuple[Contrast, ...] = ("T1", "T1c", "T2", "PD", "FLAIR")
"""Contrasts that are made from each other."""

# Longitudinal relaxation of cerebrospinal fluid hardly depends on the field; that of fat does
# little. CSF: Rooney et al., Magn. Reson. Med. 57:308, 2007; fat: de Bazelaire et al., Radiology
# 230:652, 2004.
_T1_CSF_MS, _T1_FAT_MS, _T1_WHITE_MS = 4200.0, 330.0, 750.0
_NULLED = 0.25  # what is left of a tissue's signal, at most, where an inversion nulls it
_FAT_TI_MS = (90.0, 290.0)
_MAGNETIZATION_TI_MS = (300.0, 1500.0)
_LONGEST = {"te_ms": 1000.0, "tr_ms": 60_000.0, "ti_ms": 10_000.0}
_STEADY_TR_MS = 60.0
_SECONDS_BELOW_MS = 20.0  # no repetition of a spin echo or an inversion is that short


@dataclass(frozen=True, kw_only=True)
class RecognizedContrast:
    """What an image is.

    Attributes:
        contrast: "other" for what is known and no input, such as an angiogram.
        technique: how it was made, such as "MPRAGE" or "STIR"; "" for a plain spin echo.
        confidence: "sure" where physics decides; "probable" where an element is missing or text
            broke a tie; "unsure" where two readings are left.
        because: in words, with the numbers that decided.
        with_agent: whether a contrast agent was given, as far as the header says.
    """

    contrast: Contrast
    technique: str = ""
    confidence: Confidence = "sure"
    because: str = ""
    with_agent: bool = False

    @property
    def is_input(self) -> bool:
        """Whether it may stand for its contrast without being named."""
        return self.contrast in ANATOMICAL and self.confidence != "unsure"

    def in_words(self) -> str:
        """Such as "T1 (MPRAGE), sure: ..."."""
        technique = f" ({self.technique})" if self.technique else ""
        name = self.technique if self.contrast == "other" else f"{self.contrast}{technique}"
        return f"{name}, {self.confidence}: {self.because}"


DiffusionHook = Callable[[MrAcquisition], RecognizedContrast | None]
"""Tells a diffusion-weighted image or a map of one; None for any other."""


def recognize(
    acquisition: MrAcquisition, *, diffusion: DiffusionHook | None = None
) -> RecognizedContrast:
    """Tell what an image is weighted by.

    Args:
        acquisition: what its header says.
        diffusion: how diffusion is told; by the standard's elements where none is given.

    Returns:
        Always an answer; "unknown" where the header does not suffice.
    """
    facts, notes = _cleaned(acquisition)
    found = (
        (diffusion or diffusion_by_standard)(facts)
        or _by_image_type(facts)
        or _by_sequence(facts)
        or _by_description(facts)
    )
    found = _with_agent(found, facts)
    found = _against_description(found, facts)
    return replace(found, because="; ".join([found.because, *notes]))


def recognize_all(
    acquisitions: Iterable[MrAcquisition], *, diffusion: DiffusionHook | None = None
) -> RecognizedContrast:
    """Tell what a series is, all of whose images must be one thing."""
    found = {recognize(one, diffusion=diffusion) for one in dict.fromkeys(acquisitions)}
    names = sorted({one.contrast for one in found})
    if len(names) == 1:
        return min(found, key=lambda one: (_LEVELS.index(one.confidence), one.because))
    if not names:
        return RecognizedContrast(
            contrast="unknown", confidence="unsure", because="no image of it can be read"
        )
    return RecognizedContrast(
        contrast="unknown",
        confidence="unsure",
        because=f"its images are of several contrasts: {', '.join(names)}",
    )


_LEVELS: tuple[Confidence, ...] = ("unsure", "probable", "sure")


# headers that look wrong


def _cleaned(facts: MrAcquisition) -> tuple[MrAcquisition, list[str]]:
    """Times in milliseconds, impossible ones left out, with a note of what was done."""
    notes = []
    if _is_in_seconds(facts):
        facts = _scaled(facts, 1000.0)
        notes.append("its times were taken to be in seconds")
    elif facts.inversion_time_ms is not None and facts.inversion_time_ms < 10:
        ti_ms = facts.inversion_time_ms * 1000
        notes.append(f"TI {facts.inversion_time_ms:g} was taken to be in seconds")
        facts = replace(facts, inversion_time_ms=ti_ms)
    for name, element in (
        ("echo_time_ms", "TE"), ("repetition_time_ms", "TR"), ("inversion_time_ms", "TI")
    ):  # fmt: skip
        value, longest = getattr(facts, name), _LONGEST[f"{element.lower()}_ms"]
        if value is not None and not 0 < value <= longest:
            facts = _without(facts, name)
            notes.append(f"{element} {value:g} ms cannot be meant and was left out")
    te_ms, tr_ms = facts.echo_time_ms, facts.repetition_time_ms
    if te_ms is not None and tr_ms is not None and te_ms > tr_ms:
        facts = replace(facts, echo_time_ms=None, repetition_time_ms=None)
        notes.append(f"TE {te_ms:g} ms is longer than TR {tr_ms:g} ms, so both were left out")
    return facts, notes


def _without(facts: MrAcquisition, name: str) -> MrAcquisition:
    nothing: dict[str, Any] = {name: None}
    return replace(facts, **nothing)


def _is_in_seconds(facts: MrAcquisition) -> bool:
    te, tr, ti = facts.echo_time_ms, facts.repetition_time_ms, facts.inversion_time_ms
    if tr is None or tr >= _SECONDS_BELOW_MS or (te is not None and te >= 1):
        return False
    is_spin_echo = bool({"SE", "IR"} & set(facts.scanning_sequence))
    is_inverted = ti is not None and ti < 10
    return (is_spin_echo and "GR" not in facts.scanning_sequence) or (is_inverted and tr >= 1)


def _scaled(facts: MrAcquisition, factor: float) -> MrAcquisition:
    names = ("echo_time_ms", "repetition_time_ms", "inversion_time_ms")
    values = {name: getattr(facts, name) for name in names}
    return replace(
        facts, **{name: value * factor for name, value in values.items() if value is not None}
    )


# what the header says outright


def diffusion_by_standard(facts: MrAcquisition) -> RecognizedContrast | None:
    """Diffusion as the elements of the standard tell it."""
    kinds = set(facts.image_type)
    if kinds & {"ADC", "ADC_MAP", "EADC"} or any(one.endswith("_ADC") for one in kinds):
        return _named("ADC", "Image Type says that it is a map of the diffusion coefficient")
    if kinds & {"FA", "COLFA", "TENSOR", "EXPONENTIAL", "DIFFUSION MAP"}:
        return _other("diffusion map", "Image Type says that it is a map made of diffusion images")
    b_value = facts.b_value_s_per_mm2
    if b_value is not None and b_value > 0:
        return _named("DWI", f"it is weighted with b = {b_value:g} s/mm²")
    if kinds & {"DIFFUSION", "TRACEW", "TRACE"}:
        return _named("DWI", "Image Type says that it is diffusion-weighted")
    if b_value == 0 and "EP" in facts.scanning_sequence:
        return _named("DWI", "b = 0 of an echo-planar scan: the unweighted image of diffusion")
    return None


# Terms of Image Type that tell what an image is, whatever its times. Source: PS3.3 C.8.3.1.1.1.
_IMAGE_TYPES: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"LOCALIZER"}), "localizer"),
    (frozenset({"SWI", "MNIP", "MIN IP"}), "SWI"),
    (frozenset({"PROJECTION IMAGE", "PROJECTION", "MIP", "MIP_SUM"}), "projection"),
    (frozenset({"P", "PHASE", "PHASE MAP", "PHASE SUBTRACT", "R", "REAL", "I", "IMAGINARY",
                "R_IR", "VELOCITY MAP", "PCA"}), "phase or real part"),
    (frozenset({"SUBTRACTION", "MODULUS SUBTRACT", "SUB"}), "subtraction"),
    (frozenset({"T1 MAP", "T2 MAP", "T2_STAR MAP", "DENSITY MAP", "R2 MAP", "B0", "B1", "UNI",
                "FIELD_MAP"}), "calculated map"),
    (frozenset({"PERFUSION", "CBF", "CBV", "MTT", "TTP", "RELCBF", "RELCBV", "RELMTT", "ASL"}),
     "perfusion"),
    (frozenset({"FMRI", "T_TEST", "MOSAIC"}), "functional"),
    (frozenset({"SCREEN SAVE", "CSA REPORT", "POSDISP", "OTHER SCREEN"}), "picture of a screen"),
)  # fmt: skip


def _by_image_type(facts: MrAcquisition) -> RecognizedContrast | None:
    for terms, technique in _IMAGE_TYPES:
        if held := terms & set(facts.image_type[2:]):
            return _other(technique, f"Image Type holds {sorted(held)[0]}")
    if facts.is_angiography:
        return _other("MRA", "Angio Flag says that it shows vessels")
    return None


# the physics of the sequence


def _by_sequence(facts: MrAcquisition) -> RecognizedContrast | None:
    if facts.echo_time_ms is None or facts.repetition_time_ms is None:
        return _without_times(facts)
    kinds = set(facts.scanning_sequence)
    if "EP" in kinds:
        return _other("echo-planar", "an echo-planar scan without diffusion weighting")
    if "GR" in kinds and "SE" not in kinds:
        return _gradient_echo(facts)
    if facts.inversion_time_ms is not None or "IR" in kinds:
        return _inversion(facts)
    if not kinds & {"SE", "RM"} and facts.repetition_time_ms < 200:
        return _gradient_echo(facts)
    return _spin_echo(facts)


def _without_times(facts: MrAcquisition) -> RecognizedContrast | None:
    """An inversion alone may tell enough; all else does not."""
    ti_ms = facts.inversion_time_ms
    if "GR" in facts.scanning_sequence or ti_ms is None:
        return None
    if _within(ti_ms, _FAT_TI_MS):
        return _other("STIR", f"TI {ti_ms:g} ms nulls fat", "probable")
    if 1600 <= ti_ms <= 3000:
        return _named(
            "FLAIR", f"TI {ti_ms:g} ms nulls CSF, TE or TR missing", confidence="probable"
        )
    return None


@dataclass(frozen=True, kw_only=True)
class _Weighting:
    """A row of a table: what an image within these times is.

    Attributes:
        te_ms, tr_ms: from, up to but not including.
        why: what these times do, behind "TR ... with TE ...".
    """

    contrast: Contrast
    te_ms: tuple[float, float]
    tr_ms: tuple[float, float]
    confidence: Confidence = "sure"
    why: str

    def holds(self, te_ms: float, tr_ms: float) -> bool:
        return self.te_ms[0] <= te_ms < self.te_ms[1] and self.tr_ms[0] <= tr_ms < self.tr_ms[1]


_ANY = math.inf
# T1 of brain tissue is 0.6 to 1.5 s, of CSF 4 s; T2 70 to 100 ms, of CSF 2 s: a short TR leaves
# differences of T1, a long TE makes differences of T2, and a long TR with a short TE makes neither.
# Limits: protocols of ADNI, IXI and the brain tumor imaging consensus (Ellingson et al., Neuro
# Oncol. 17:1188, 2015), with room for low fields and three-dimensional echo trains.
_SPIN_ECHO = (
    _Weighting(contrast="T1", te_ms=(0, 36), tr_ms=(200, 1150), why="leaves T1 to decide"),
    _Weighting(contrast="PD", te_ms=(0, 41), tr_ms=(1800, _ANY), why="leaves proton density alone"),
    _Weighting(contrast="T2", te_ms=(65, 1000), tr_ms=(1500, _ANY), why="leaves T2 to decide"),
    _Weighting(
        contrast="T2", te_ms=(65, 1000), tr_ms=(700, 1500), confidence="probable",
        why="leaves T2 to decide, with some T1",
    ),
    _Weighting(
        contrast="T2", te_ms=(53, 65), tr_ms=(1800, _ANY), confidence="unsure",
        why="lies between T2 and proton density",
    ),
    _Weighting(
        contrast="PD", te_ms=(41, 53), tr_ms=(1800, _ANY), confidence="unsure",
        why="lies between proton density and T2",
    ),
    _Weighting(
        contrast="T1", te_ms=(0, 36), tr_ms=(1150, 1800), confidence="unsure",
        why="lies between T1 and proton density",
    ),
)  # fmt: skip
_CLOSE = {"T2": ("T2", "PD"), "PD": ("PD", "T2", "T1"), "T1": ("T1", "PD")}
_FLAIR_WITHOUT_TI_MS = 7000.0


def _spin_echo(facts: MrAcquisition) -> RecognizedContrast:
    te_ms, tr_ms = facts.echo_time_ms or 0.0, facts.repetition_time_ms or 0.0
    for row in _SPIN_ECHO:
        if row.holds(te_ms, tr_ms):
            reason = f"TR {tr_ms:g} ms with TE {te_ms:g} ms {row.why}"
            found = _named(row.contrast, reason, confidence=row.confidence)
            if row.confidence == "unsure":
                return _tie_broken(found, _CLOSE[row.contrast], facts)
            is_long = row.contrast == "T2" and tr_ms >= _FLAIR_WITHOUT_TI_MS
            if is_long and not facts.scanning_sequence and "flair" in facts.described_as:
                return _named(
                    "FLAIR",
                    f"TR {tr_ms:g} ms with TE {te_ms:g} ms is T2 or FLAIR, as the header is "
                    "silent on inversion; the description says FLAIR",
                    confidence="probable",
                )
            return found
    return RecognizedContrast(
        contrast="unknown",
        confidence="unsure",
        because=f"TR {tr_ms:g} ms with TE {te_ms:g} ms is no known spin echo weighting",
    )


def _tie_broken(
    found: RecognizedContrast, close: tuple[str, ...], facts: MrAcquisition
) -> RecognizedContrast:
    """What the description says, if it is one of the readings that physics leaves."""
    said = [name for name in close if name.lower() in facts.described_as]
    if len(said) != 1:
        return found
    return _named(
        said[0],  # type: ignore[arg-type]
        f"{found.because}; the description says {said[0]}",
        confidence="probable",
    )


def remaining(t1_ms: float, *, ti_ms: float, tr_ms: float) -> float:
    """Share of a tissue's magnetization, -1 to 1, that an inversion leaves when it is read.

    Source: Bernstein et al., equation 14.38, for a readout that ends with no magnetization.
    """
    return 1 - 2 * math.exp(-ti_ms / t1_ms) + math.exp(-tr_ms / t1_ms)


def _inversion(facts: MrAcquisition) -> RecognizedContrast:
    """Spin echoes after an inversion: what is nulled, and how long T2 works."""
    te_ms, tr_ms = facts.echo_time_ms or 0.0, facts.repetition_time_ms or 0.0
    ti_ms = facts.inversion_time_ms
    if ti_ms is None:
        return _inversion_without_time(te_ms, tr_ms, facts)
    times = f"TI {ti_ms:g} ms with TR {tr_ms:g} ms and TE {te_ms:g} ms"
    if _within(ti_ms, _FAT_TI_MS):
        return _other("STIR", f"{times} nulls fat: STIR")
    if abs(remaining(_T1_CSF_MS, ti_ms=ti_ms, tr_ms=tr_ms)) > _NULLED:
        return _other("inversion recovery", f"{times} nulls neither CSF nor fat", "probable")
    if te_ms >= 60 and ti_ms >= 1200:
        return _named("FLAIR", f"{times} nulls CSF and leaves T2 to decide: FLAIR")
    if te_ms <= 45 and ti_ms < 1500:
        return _named("T1", f"{times} nulls CSF and leaves T1 to decide: T1-FLAIR", "T1-FLAIR")
    found = _named("FLAIR", f"{times} nulls CSF, with TE between T1 and T2", confidence="unsure")
    return found


def _inversion_without_time(te_ms: float, tr_ms: float, facts: MrAcquisition) -> RecognizedContrast:
    times = f"an inversion of unknown time with TR {tr_ms:g} ms and TE {te_ms:g} ms"
    if te_ms >= 70 and tr_ms >= 4500 and "stir" not in facts.described_as:
        return _named("FLAIR", f"{times} is FLAIR", confidence="probable")
    if te_ms <= 40 and 1400 <= tr_ms <= 3600 and "stir" not in facts.described_as:
        return _named("T1", f"{times} is T1-FLAIR", "T1-FLAIR", confidence="probable")
    return _other("inversion recovery", f"{times} may be FLAIR or STIR", "unsure")


def _gradient_echo(facts: MrAcquisition) -> RecognizedContrast:
    te_ms, tr_ms = facts.echo_time_ms or 0.0, facts.repetition_time_ms or 0.0
    ti_ms, flip_deg = facts.inversion_time_ms, facts.flip_deg
    prepared = "MP" in facts.sequence_variant or "IR" in facts.scanning_sequence
    if te_ms < 12 and (prepared or (ti_ms is not None and _within(ti_ms, _MAGNETIZATION_TI_MS))):
        return _prepared(te_ms, tr_ms, ti_ms)
    times = f"a gradient echo with TR {tr_ms:g} ms and TE {te_ms:g} ms"
    if te_ms >= 12:
        if tr_ms < 100 and facts.is_3d is not False:
            return _other("SWI", f"{times}, in three dimensions: T2* or susceptibility")
        return _other("T2*", f"{times}: T2* decides")
    if facts.is_3d is False and tr_ms < 20:
        return _other("localizer", f"{times}, slice by slice: as localizers are made", "probable")
    if _is_balanced(facts):
        return _other("balanced steady state", f"{times}, neither spoiled nor at an end of TR")
    if "mra" in facts.described_as:
        return _other(
            "MRA",
            f"{times} may be T1 or an angiogram; the description says angiogram",
            "probable",
        )
    if flip_deg is None:
        return _named("T1", f"{times}, flip angle missing", "gradient echo", "unsure")
    return _spoiled(times, tr_ms, flip_deg)


def _prepared(te_ms: float, tr_ms: float, ti_ms: float | None) -> RecognizedContrast:
    """Gradient echoes after an inversion; TR is that of echoes or, with others, of inversions."""
    times = f"TE {te_ms:g} ms and TR {tr_ms:g} ms"
    if ti_ms is None:
        return _named("T1", f"gradient echoes after a preparation, {times}: MPRAGE", "MPRAGE")
    if tr_ms >= 3800 or ti_ms > _MAGNETIZATION_TI_MS[1]:
        return _other(
            "MP2RAGE part", f"TI {ti_ms:g} ms with {times}: one image of a pair (MP2RAGE)"
        )
    return _named(
        "T1", f"gradient echoes TI {ti_ms:g} ms after an inversion, {times}: MPRAGE", "MPRAGE"
    )


def _is_balanced(facts: MrAcquisition) -> bool:
    te_ms, tr_ms = facts.echo_time_ms or 0.0, facts.repetition_time_ms or 0.0
    is_steady = "SS" in facts.sequence_variant and "SP" not in facts.sequence_variant
    return is_steady and tr_ms < 20 and 0.3 < te_ms / tr_ms < 0.7 and (facts.flip_deg or 0) >= 25


def _spoiled(times: str, tr_ms: float, flip_deg: float) -> RecognizedContrast:
    """Flip angles well above Ernst's weight by T1, well below by density."""
    ernst_deg = math.degrees(math.acos(math.exp(-tr_ms / _T1_WHITE_MS)))
    angle = f"flip {flip_deg:g} degrees, where white matter gives most at {ernst_deg:.0f}"
    if flip_deg >= 1.3 * ernst_deg:
        return _named("T1", f"{times}, {angle}: T1 decides", "gradient echo")
    if flip_deg <= 0.7 * ernst_deg:
        return _other("PD gradient echo", f"{times}, {angle}: little but density decides")
    if tr_ms <= 15 and flip_deg >= 7:
        return _named("T1", f"{times}, {angle}: T1 as far as it was prepared", "gradient echo",
                      "probable")  # fmt: skip
    return _named("T1", f"{times}, {angle}: between T1 and density", "gradient echo", "unsure")


# what is left


def _by_description(facts: MrAcquisition) -> RecognizedContrast:
    """Where no time is known, text alone is no ground; it is named, and nothing rests on it."""
    said = [name for name in ("FLAIR", "T2", "PD", "T1") if name.lower() in facts.described_as]
    if "FLAIR" in said and "T1" not in said:
        said = ["FLAIR"]
    if len(said) == 1:
        return _named(
            said[0],  # type: ignore[arg-type]
            f"echo and repetition time are missing; the description alone says {said[0]}",
            confidence="unsure",
        )
    return RecognizedContrast(
        contrast="unknown",
        confidence="unsure",
        because="echo and repetition time are missing",
    )


def _with_agent(found: RecognizedContrast, facts: MrAcquisition) -> RecognizedContrast:
    says_agent = "agent" in facts.described_as and "native" not in facts.described_as
    if facts.has_contrast_agent:
        found = replace(found, with_agent=True)
        if found.contrast != "T1":
            return found
        reason = f"{found.because}; a contrast agent is named"
        if "native" in facts.described_as and "agent" not in facts.described_as:
            return replace(
                found, contrast="T1c", confidence="unsure",
                because=f"{reason}, but the description says without",
            )  # fmt: skip
        return replace(found, contrast="T1c", because=reason)
    if found.contrast != "T1" or not says_agent:
        return found
    if facts.has_contrast_agent is None:
        return replace(
            found, contrast="T1c", with_agent=True, confidence=min(
                found.confidence, "probable", key=_LEVELS.index
            ),
            because=f"{found.because}; no agent is named, the description says that one was given",
        )  # fmt: skip
    return replace(
        found, confidence="unsure",
        because=f"{found.because}; the header denies an agent that the description names",
    )  # fmt: skip


_CONTRADICTING = {
    "T1": ("t2", "flair", "pd", "stir", "t2*"),
    "T1c": ("t2", "flair", "pd", "stir", "t2*"),
    "T2": ("t1", "flair", "stir"),
    "PD": ("t1", "flair"),
    "FLAIR": ("stir",),
}


def _against_description(found: RecognizedContrast, facts: MrAcquisition) -> RecognizedContrast:
    """Words that contradict lower what is sure; they change nothing else."""
    if found.contrast not in _CONTRADICTING:
        return found
    own = {found.contrast.lower().removesuffix("c"), "flair" if found.technique else ""}
    said = set(facts.described_as)
    against = [word for word in _CONTRADICTING[found.contrast] if word in said]
    if "localizer" in said:
        against.append("localizer")
    if not against or (own & said and "localizer" not in against):
        return found
    lower = _LEVELS[max(0, _LEVELS.index(found.confidence) - 1)]
    return replace(
        found,
        confidence=lower,
        because=f"{found.because}, though the description says {against[0]}",
    )


def _named(
    contrast: Contrast, reason: str, technique: str = "", confidence: Confidence = "sure"
) -> RecognizedContrast:
    return RecognizedContrast(
        contrast=contrast, technique=technique, confidence=confidence, because=reason
    )


def _other(technique: str, reason: str, confidence: Confidence = "sure") -> RecognizedContrast:
    return _named("other", reason, technique, confidence)


def _within(value: float, ends: tuple[float, float]) -> bool:
    return ends[0] <= value <= ends[1]
