"""A training collection from a folder of DICOM that nobody prepared.

The tree is read through the same door as any scan. What comes out is an index without identifiers:
patients and series stand in it under pseudonyms that only the holder of a key can make again.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.core.progress import Say
from isocenter.datasets.ct_pairs import TrainingScan
from isocenter.datasets.ct_scans import training_scan
from isocenter.datasets.splits import SplitRule, check_parts
from isocenter.dicom.reading.runs import SeriesRuns, list_runs
from isocenter.image.volume_files import is_volume_file

_NO_PATIENT = (
    "no Patient ID, so it cannot be told from other patients' scans; give each patient an ID of "
    "their own before training"
)
_MOST_REASONS = 4
_PSEUDONYM_DIGITS = 12
_SEEDS_TRIED = 100
_NUMBER = re.compile(r"\d+(\.\d+)?")

WhyUnfit = Callable[[TrainingScan, str], str]


@dataclass(frozen=True, kw_only=True)
class OwnScans:
    """What a folder holds to train on.

    Attributes:
        scans: the even runs that fit; patients go by pseudonym.
        part_of: the part of each patient who has such a run.
        index: the listing of all series, ready for JSON, without identifiers.
        refusal: why this is too little to train on, None where it is enough.
    """

    scans: tuple[TrainingScan, ...]
    part_of: dict[str, str]
    index: dict[str, Any]
    refusal: InputRefused | None


def read_own_scans(
    data: Path, *, rule: SplitRule, why_unfit: WhyUnfit, key: Callable[[], bytes], say: Say
) -> OwnScans:
    """Find the CT series below a folder, read those that fit and share out the patients.

    The order of scans, their names and the part of a patient follow from the scans and the rule
    alone; the key decides nothing but the pseudonyms.

    Args:
        data: a tree of DICOM files.
        rule: a patient may be named in it by pseudonym.
        why_unfit: why a run cannot be used in a part, "" where it can.
        key: gives the secret of the pseudonyms; asked for once there is something to name.
        say: is told what happens.

    Raises:
        InputRefused: nothing is there that could fit, or one person goes by two Patient IDs.
    """
    say("looking for DICOM series: all headers are read first")
    found = sorted(_series_below(data), key=lambda one: (one.person.patient, one.summary.number))
    _check_people(found)
    num_images = sum(one.summary.num_images for one in found)
    say(f"found {len(found)} series with {num_images:,} images; reading those that fit")
    reader = _Reader(rule=rule, why_unfit=why_unfit, key=key())
    for done, one in enumerate(found, start=1):
        reader.read(one, done)
        if done % max(1, len(found) // 10) == 0:
            say(f"read {done} of {len(found)} series, {len(reader.scans)} runs fit")
    say(reader.summary())
    return OwnScans(
        scans=tuple(reader.scans),
        part_of=reader.part_of,
        index={"patients": dict(sorted(reader.part_of.items())), "series": reader.listing},
        refusal=reader.refusal(),
    )


def _series_below(data: Path) -> list[SeriesRuns]:
    try:
        return list(list_runs(data))
    except UnreadableInput as refusal:
        if num := _count_volume_files(data):
            raise InputRefused(
                f"the data folder holds no DICOM and {num} NIfTI or MetaImage files; training "
                "reads DICOM, whose headers say which patient, how far apart and how made: give "
                "the DICOM series that they were made from"
            ) from refusal
        raise


def _count_volume_files(data: Path) -> int:
    names = (
        [data.name] if data.is_file() else (name for _, _, some in os.walk(data) for name in some)
    )
    return sum(is_volume_file(name) for name in names)


def _check_people(found: Sequence[SeriesRuns]) -> None:
    """One study is of one person; if it goes by two IDs, that person could be in two parts."""
    patients: dict[str, set[str]] = {}
    for one in found:
        if one.person.study and one.person.patient:
            patients.setdefault(one.person.study, set()).add(one.person.patient)
    doubled = sum(len(people) > 1 for people in patients.values())
    if doubled:
        raise InputRefused(
            f"{doubled} studies go by two Patient IDs each, so one patient could come into two "
            "parts of the split; give each patient one ID and start again"
        )


@dataclass(kw_only=True)
class _Reader:
    """Gathers runs that fit, and writes down why others do not."""

    rule: SplitRule
    why_unfit: WhyUnfit
    key: bytes
    scans: list[TrainingScan] = field(default_factory=list)
    part_of: dict[str, str] = field(default_factory=dict)
    listing: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    _owner: dict[str, str] = field(default_factory=dict)
    _identity: dict[str, str] = field(default_factory=dict)

    def read(self, one: SeriesRuns, number: int) -> None:
        """Take the runs of a series that fit and list it."""
        patient = self._pseudonym("P", one.person.patient) if one.person.patient else ""
        part = self._part(patient, one.person.patient) if patient else ""
        why_not = one.why_not or ("" if patient else _NO_PATIENT)
        self._identity[patient] = one.person.patient
        runs = [] if why_not else self._runs(one, f"s{number:04d}", patient, part)
        self.left_out += [why_not] if why_not else [run["why_not"] for run in runs]
        self.listing.append(
            {
                "series": self._pseudonym("S", one.summary.key),
                "patient": patient,
                "part": part,
                "modality": one.summary.modality,
                "images": one.summary.num_images,
                "damaged_files": one.summary.num_damaged + one.summary.num_unreadable,
                "kernel": one.summary.kernel,
                "fit": any(run["fit"] for run in runs),
                "why_not": why_not,
                "runs": runs,
            }
        )

    def _runs(self, one: SeriesRuns, name: str, patient: str, part: str) -> list[dict[str, Any]]:
        listed = []
        for number, run in enumerate(one.runs, start=1):
            facts: dict[str, Any] = {"name": f"{name}.{number}", "slices": len(run)}
            try:
                scan = training_scan(
                    [run],
                    name=facts["name"],
                    patient=patient,
                    kernel=run.acquisition.kernel,
                    spacing_mm=run.geometry.spacing_mm[0],
                )
            except InputRefused as refusal:
                listed.append(facts | {"fit": False, "why_not": str(refusal)})
                continue
            self._check_owner(scan)
            why_not = self.why_unfit(scan, part)
            if not why_not:
                self.scans.append(scan)
                self.part_of[patient] = part
            noise = round(scan.noise_hu, 2) if scan.noise_hu == scan.noise_hu else None
            listed.append(
                facts
                | {
                    "spacing_mm": [round(step, 4) for step in scan.spacing_mm],
                    "slice_thickness_mm": round(scan.slice_thickness_mm, 4),
                    "noise_hu": noise,
                    "fit": not why_not,
                    "why_not": why_not,
                }
            )
        return listed

    def _check_owner(self, scan: TrainingScan) -> None:
        digest = hashlib.sha256(scan.array.tobytes()).hexdigest()
        if self._owner.setdefault(digest, scan.patient) != scan.patient:
            raise InputRefused(
                "the same images are there under two Patient IDs, so one patient could come into "
                "two parts of the split; remove the copy and start again"
            )

    def _part(self, pseudonym: str, patient: str) -> str:
        named = (*self.rule.validation, *self.rule.calibration, *self.rule.test)
        return self.rule.part_of(pseudonym if pseudonym in named else patient)

    def _pseudonym(self, letter: str, identity: str) -> str:
        digest = hmac.new(self.key, f"{letter}{identity}".encode(), hashlib.sha256).hexdigest()
        return letter + digest[:_PSEUDONYM_DIGITS]

    def refusal(self) -> InputRefused | None:
        """Why what was read is too little, with numbers and what to do; None where it is enough."""
        reasons = self.reasons()
        if not self.scans:
            return InputRefused(
                f"none of the {len(self.listing)} series can be trained on: {reasons}"
            )
        try:
            check_parts(self.part_of, self.rule)
        except InputRefused as refusal:
            seed = self._seed_that_does()
            hint = "" if seed is None else f"; with split.seed={seed} each part has enough"
            return InputRefused(f"{refusal}{hint}" + (f". Not used: {reasons}" if reasons else ""))
        return None

    def _seed_that_does(self) -> int | None:
        """A seed of the split that leaves no part short; None where none was found."""
        for seed in range(_SEEDS_TRIED):
            rule = replace(self.rule, seed=seed)
            try:
                check_parts({one: rule.part_of(self._identity[one]) for one in self.part_of}, rule)
            except InputRefused:
                continue
            return seed
        return None

    def summary(self) -> str:
        """One line on what fits."""
        slices = sum(len(scan.array) for scan in self.scans)
        gigabytes = sum(scan.array.nbytes for scan in self.scans) / 1e9
        left = f"; not used: {self.reasons()}" if self.reasons() else ""
        return (
            f"{len(self.scans)} runs of {len(self.part_of)} patients fit, {slices:,} slices, "
            f"{gigabytes:.2g} GB in memory{left}"
        )

    def reasons(self) -> str:
        """Why what was left out was left out, the commonest first."""
        groups: dict[str, list[str]] = {}
        for reason in filter(None, self.left_out):
            groups.setdefault(_NUMBER.sub("", reason), []).append(reason)
        ordered = sorted(groups.values(), key=len, reverse=True)
        texts = [
            f"{len(some)} x {'' if len(set(some)) == 1 else 'such as '}{some[0]}"
            for some in ordered[:_MOST_REASONS]
        ]
        if len(ordered) > _MOST_REASONS:
            texts.append(f"and {len(ordered) - _MOST_REASONS} more reasons, in index.json")
        return "; ".join(texts)
