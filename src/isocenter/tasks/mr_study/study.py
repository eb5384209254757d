"""Open a study of MR images: one volume a contrast, checked to be of one head and one session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from isocenter.core.errors import InputRefused, UnsuitableScan
from isocenter.core.files import named_path
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.core.volume import Volume
from isocenter.dicom.reading.mr_contrast import ANATOMICAL, Contrast, RecognizedContrast
from isocenter.dicom.reading.series import ImageSeries
from isocenter.tasks.mr_study.candidates import (
    dicom_candidates,
    file_candidates,
    is_folder_of_files,
    wrong_contrast,
)
from isocenter.tasks.mr_study.choice import Candidate, best
from isocenter.tasks.mr_study.heads import check_heads

MOST_DAYS_APART = 1


@dataclass(frozen=True, kw_only=True)
class StudyImage:
    """The image that stands for a contrast.

    Attributes:
        label: how a sentence names it, such as "series 4".
        recognized: what it is and why.
        why: it was chosen among others.
        volume: its values, without a unit.
        source: the DICOM series, None of a file.
    """

    label: str
    recognized: RecognizedContrast
    why: str
    volume: Volume = field(repr=False)
    source: ImageSeries | None = field(default=None, repr=False)

    def in_words(self) -> str:
        """One sentence for the report."""
        return f"{self.label} is {self.recognized.in_words()}; taken as {self.why}."


@dataclass(frozen=True, kw_only=True)
class MrStudy:
    """A session of one head.

    Attributes:
        images: by contrast.
        notes: what was left out or guessed, in words.
        are_stripped: whether the skull was taken away, in all of them alike.
    """

    images: Mapping[Contrast, StudyImage]
    notes: tuple[str, ...] = ()
    are_stripped: bool = False


def open_mr_study(
    path: str | Path,
    *,
    named: Mapping[Contrast, int] | None = None,
    without: Sequence[Contrast] = (),
    session: str | None = None,
    most_days_apart: int = MOST_DAYS_APART,
    limits: Limits = DEFAULT_LIMITS,
) -> MrStudy:
    """Open a folder of DICOM, or of NIfTI or MetaImage files named by contrast (also BIDS).

    Args:
        path: the folder, or a single file.
        named: number of the series, or of the file in order of names, that is to stand for a
            contrast; for those that are not recognized, or another than the best.
        without: contrasts to leave out, so that one that cannot be used does not refuse the rest.
        session: BIDS label, where files are of several sessions.
        most_days_apart: that series may have been taken.
        limits: what a file and the folder may cost.

    Returns:
        T1, T1c, T2, PD and FLAIR, as far as they are there.

    Raises:
        InputRefused: nothing usable; two patients; sessions far apart; no head; some images without
            skull and others with it; a contrast whose only image has missing slices, a tilted
            gantry and so on; an image that is not what it was named.
    """
    place = named_path(path)
    if not place.exists():
        raise UnsuitableScan(
            "the input does not exist; give a folder of MR images", reason="no_such_input"
        )
    if is_folder_of_files(place):
        candidates = file_candidates(place, session=session, limits=limits)
    else:
        candidates = dicom_candidates(place, most_days=most_days_apart, limits=limits)
    candidates = _renamed(candidates, named or {})
    images, notes = _chosen(candidates, set(named or {}), set(without))
    if not images:
        raise _nothing_usable(candidates)
    more, are_stripped = check_heads(
        {contrast: (one.label, one.volume) for contrast, one in images.items()},
        named={contrast for contrast, one in images.items() if one.source is None},
    )
    return MrStudy(images=images, notes=(*notes, *more), are_stripped=are_stripped)


def _renamed(candidates: list[Candidate], named: Mapping[Contrast, int]) -> list[Candidate]:
    """With what the user says of some of them.

    Raises:
        InputRefused: no such number or contrast.
        UnsuitableScan: the header is sure that it is something else.
    """
    numbers = {number: contrast for contrast, number in named.items()}
    if unknown := set(numbers) - {one.number for one in candidates}:
        raise InputRefused(
            f"there is no image number {min(unknown)}; `isocenter series` lists the numbers",
            reason="series_choice",
        )
    if strange := [contrast for contrast in named if contrast not in ANATOMICAL]:
        raise InputRefused(
            f"an image may be named {', '.join(ANATOMICAL)}, got {strange[0]!r}", reason="setting"
        )
    changed = []
    for one in candidates:
        wanted = numbers.get(one.number)
        if wanted is None:
            changed.append(one)
            continue
        if not _may_be(one.contrast, wanted):
            raise wrong_contrast(one.label, wanted, one.contrast)
        reason = f"it was named so; {one.contrast.because}"
        contrast = replace(one.contrast, contrast=wanted, confidence="sure", because=reason)
        changed.append(replace(one, contrast=contrast, is_named=True))
    return changed


def _may_be(found: RecognizedContrast, wanted: Contrast) -> bool:
    """T1 and T1c differ by an agent that headers often leave out."""
    is_t1 = found.contrast in ("T1", "T1c") and wanted in ("T1", "T1c")
    return found.confidence != "sure" or found.contrast == wanted or is_t1


def _chosen(
    candidates: Sequence[Candidate], named: set[Contrast], without: set[Contrast]
) -> tuple[dict[Contrast, StudyImage], list[str]]:
    images: dict[Contrast, StudyImage] = {}
    notes = [
        f"{one.label} is left out: {one.contrast.in_words()}."
        for one in candidates
        if not one.contrast.is_input
    ]
    for contrast in ANATOMICAL:
        group = [
            one for one in candidates if one.contrast.is_input and one.contrast.contrast == contrast
        ]
        if contrast in named:
            group = [one for one in group if one.is_named]
        usable = [one for one in group if one.refusal is None]
        if not group or contrast in without:
            continue
        notes += [
            f"{one.label} ({contrast}) cannot be used: {one.refusal}"
            for one in group
            if one.refusal is not None
        ]
        if not usable:
            raise _of_contrast(group[0], contrast)
        one, why = best(usable)
        images[contrast] = StudyImage(
            label=one.label,
            recognized=one.contrast,
            why=why,
            volume=one.load(),
            source=one.source,
        )
    return images, notes


def _of_contrast(one: Candidate, contrast: Contrast) -> InputRefused:
    """The refusal of the only image of a contrast, which must not be passed over in silence."""
    assert one.refusal is not None
    return UnsuitableScan(
        f"the only {contrast} image, {one.label}, cannot be used: {one.refusal}. Without it, the "
        f"others can be used by leaving out {contrast}",
        reason=getattr(one.refusal, "reason", "unreadable"),
    )


def _nothing_usable(candidates: Sequence[Candidate]) -> InputRefused:
    lines = [f"  {one.number}: {one.contrast.in_words()}" for one in candidates[:20]]
    listing = "\n".join(["", *lines]) if lines else " no image that its name tells"
    return UnsuitableScan(
        f"no image is a sure {', '.join(ANATOMICAL)}; name those that you know by their number:"
        f"{listing}",
        reason="contrast",
    )
