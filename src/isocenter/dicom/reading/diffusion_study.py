"""The diffusion-weighted images of a study, sorted by b-value, on one grid, or a refusal in words.

One series may hold several b-values and directions, or each its own series; both are read. Which
series belong together is never guessed: where several sets could be meant, one must be named.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import SeriesChoiceNeeded, UnsuitableScan
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.core.volume import Geometry
from isocenter.dicom.reading.discover import FoundSeries, discover, incomplete, named
from isocenter.dicom.reading.files_seen import FilesSeen
from isocenter.dicom.reading.frames import Frame, ImageFile
from isocenter.dicom.reading.geometry import plane_directions
from isocenter.dicom.reading.identity import check_one_identity
from isocenter.dicom.reading.mr_diffusion import (
    B_VALUE_ELEMENTS,
    DIFFUSION_SERIES,
    MAX_B_S_PER_MM2,
    MEASURED,
    DiffusionAcquisition,
)
from isocenter.dicom.reading.rules import have_own_frames, suitable_frames
from isocenter.dicom.reading.series import ImageSeries

UNWEIGHTED_S_PER_MM2 = 20.0
"""Up to here an image counts as not weighted: some scanners cannot play out none at all."""
WEAK_S_PER_MM2 = 200.0
"""Up to here an image can stand for the signal without weighting."""
SAME_B_SHARE = 0.05
"""How far b-values of several directions of one weighting lie apart, over the largest."""
SAME_PLACE_MM = 0.01
SAME_ECHO_MS = 1.0
SAME_REPETITION_SHARE = 0.05


class DiffusionStack(ImageSeries):
    """The images of one b-value and one direction, one a slice.

    Attributes:
        b_value_s_per_mm2: mean of those that all images of this weighting state.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        files: Sequence[ImageFile],
        *,
        b_value_s_per_mm2: float,
        is_scaled: bool = False,
        notes: Sequence[str] = (),
        files_seen: FilesSeen | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Open a stack.

        Args:
            frames, files, notes, files_seen: as of :class:`ImageSeries`.
            is_scaled: divide values by the maker's scale, so that stacks compare.
        """
        super().__init__(frames, files, notes=notes, files_seen=files_seen, limits=limits)
        self.b_value_s_per_mm2 = b_value_s_per_mm2
        self._is_scaled = is_scaled

    @property
    def is_trace(self) -> bool:
        """Whether the images are of no direction, as their headers say."""
        return _facts(self._frames[0]).is_trace

    @property
    def direction(self) -> tuple[float, ...] | None:
        """Of the gradient; None where it is not stated."""
        return _facts(self._frames[0]).direction

    def values(self, index: int) -> NDArray:
        """(row, column) float32, in a scale that all stacks of a study share."""
        values = super().values(index)
        if not self._is_scaled:
            return values
        scale = _facts(self._frames[index]).maker_scale
        assert scale is not None  # only where all images state one
        shared: NDArray = values / np.float32(scale * self.slope(index))
        return shared


@dataclass(frozen=True, kw_only=True)
class DiffusionStudy:
    """What was found.

    Attributes:
        stacks: by rising b-value; all on one grid, of one patient and visit. The first tells in
            its notes what was taken and what was left out, and which files were seen.
    """

    stacks: tuple[DiffusionStack, ...]

    @property
    def b_values(self) -> tuple[float, ...]:
        """Each once, rising."""
        return tuple(sorted({stack.b_value_s_per_mm2 for stack in self.stacks}))


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """A series, and what its headers say of diffusion.

    Attributes:
        images: files of images as measured, with a b-value.
        silent: files of images as measured, without one.
        num_made: maps, and images of b-values that were not measured.
    """

    found: FoundSeries
    images: tuple[ImageFile, ...]
    silent: tuple[ImageFile, ...]
    num_made: int

    @property
    def b_values(self) -> tuple[float, ...]:
        return tuple(sorted({round(b, 1) for b in _groups([_b_of(file) for file in self.images])}))

    @property
    def is_weighted(self) -> bool:
        return any(_b_of(file) > UNWEIGHTED_S_PER_MM2 for file in self.images)

    @property
    def is_complete(self) -> bool:
        """Whether it holds what an ADC needs: a weak and a strong weighting."""
        b_values = self.b_values
        return self.is_weighted and len(b_values) > 1 and b_values[0] <= WEAK_S_PER_MM2

    @property
    def is_called_diffusion(self) -> bool:
        return any(_of(file).called_diffusion for file in (*self.images, *self.silent))

    def in_words(self) -> str:
        """One line of a listing, without identifiers."""
        summary = self.found.summary
        what = f"b = {_listed(self.b_values)}" if self.images else "no b-value stated"
        made = f", {self.num_made} of them calculated" if self.num_made else ""
        return (
            f"{summary.number}: {summary.modality or 'no modality'}, {what}, "
            f"{summary.num_images} images{made}, {summary.rows} x {summary.columns}"
        )


def open_diffusion_study(
    path: str | Path,
    *,
    series: str | None = None,
    run: str = "all",
    limits: Limits = DEFAULT_LIMITS,
) -> DiffusionStudy:
    """Find the diffusion-weighted images below a path and sort them by b-value.

    The result may hold one b-value alone; whoever needs two must look.

    Args:
        path: a file, a folder or a tree.
        series: the series to take, by number, Series Instance UID or the end of one, several with
            commas between; None takes the only set that there is.
        run: "largest" takes of each stack the largest even run where slices are missing.
        limits: what a file and the folder may cost.

    Raises:
        UnreadableInput: there is no DICOM file.
        UnsuitableScan: nothing is diffusion-weighted, or what is cannot be used; ``reason`` names
            the rule.
        SeriesChoiceNeeded: several sets could be meant.
    """
    listing = discover(path, DIFFUSION_SERIES, accept_enhanced=True, run=run, limits=limits)
    candidates = [_candidate(found) for found in listing if _is_mr(found)]
    if series is None:
        chosen = _chosen(candidates)
    else:
        chosen = [_candidate(named(listing, name.strip())) for name in series.split(",")]
        _check_named(chosen)
    for one in chosen:
        _check_b_values(one)
        _check_whole(one, run)
    files = [file for one in chosen for file in one.images]
    _check_one_visit(files)
    _check_same_echo(files)
    planned = _planned(files, run, limits)
    is_scaled = all(_of(file).maker_scale is not None for file in files)
    notes = tuple(_notes(chosen, candidates, planned, is_scaled))
    seen = _files_seen(chosen[0].found.files_seen, planned)
    stacks = [
        DiffusionStack(
            one.frames,
            one.files,
            b_value_s_per_mm2=one.b_value,
            is_scaled=is_scaled,
            notes=() if number else notes,
            files_seen=None if number else seen,
            limits=limits,
        )
        for number, one in enumerate(planned)
    ]
    _check_one_grid(stacks)
    return DiffusionStudy(stacks=tuple(stacks))


@dataclass(frozen=True, kw_only=True)
class _Planned:
    """The images of one b-value and direction, in slice order."""

    b_value: float
    files: Sequence[ImageFile]
    frames: Sequence[Frame]


def _files_seen(seen: FilesSeen, planned: Sequence[_Planned]) -> FilesSeen:
    used = sum(len(one.frames) for one in planned)
    return replace(seen, used=used, other=seen.used + seen.other - used)


def _is_mr(found: FoundSeries) -> bool:
    return any(file.of_kind for file in found.files)


def _candidate(found: FoundSeries) -> _Candidate:
    files = [file for file in found.files if file.of_kind]
    measured = [file for file in files if _of(file).image == MEASURED]
    return _Candidate(
        found=found,
        images=tuple(file for file in measured if _of(file).stated_b),
        silent=tuple(file for file in measured if not _of(file).stated_b),
        num_made=len(files) - len(measured),
    )


def _of(file: ImageFile) -> DiffusionAcquisition:
    return _facts(file.frames[0])


def _facts(frame: Frame) -> DiffusionAcquisition:
    facts = frame.acquisition
    assert isinstance(facts, DiffusionAcquisition)
    return facts


def _b_of(file: ImageFile) -> float:
    return _of(file).stated_b[0]


def _listed(b_values: Iterable[float]) -> str:
    words = [f"{b:g}" for b in b_values]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _chosen(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """The only set that could be meant."""
    weighted = [one for one in candidates if one.is_weighted]
    if not weighted:
        raise _nothing_weighted(candidates)
    complete = [one for one in weighted if one.is_complete]
    if len(complete) == 1:
        return complete
    if complete or _b_stands_twice(weighted):
        raise _choice(weighted, candidates, "several series hold diffusion-weighted images")
    return [*_unweighted(weighted, candidates), *weighted]


def _b_stands_twice(candidates: Sequence[_Candidate]) -> bool:
    """Whether several series hold images of one weighting."""
    groups = _groups([_b_of(file) for one in candidates for file in one.images])
    counts = Counter(
        mean
        for one in candidates
        for mean in {_group_of(_b_of(file), groups) for file in one.images}
    )
    return any(count > 1 for count in counts.values())


def _unweighted(
    weighted: Sequence[_Candidate], candidates: Sequence[_Candidate]
) -> list[_Candidate]:
    """The series of b = 0 that belongs to weighted ones, none where there is none.

    Many scanners state b = 0 of every image, so only one that was read as they were can be meant.
    """
    images = weighted[0].images
    alike = [
        one
        for one in candidates
        if one.images
        and not one.is_weighted
        and (_of(one.images[0]).is_echo_planar or one.is_called_diffusion)
    ]
    for fits in (_has_grid_of(images[0]), _has_echo_of(images[0])):
        if len(fitting := [one for one in alike if fits(one.images[0])]):
            alike = fitting
    if len(alike) > 1:
        raise _choice(
            [*alike, *weighted], candidates, "several series of b = 0 could belong to the weighted"
        )
    return alike


def _has_grid_of(first: ImageFile) -> Callable[[ImageFile], bool]:
    frame = first.frames[0]
    return lambda file: (
        (file.rows, file.columns, file.frames[0].pixel_spacing_mm, file.frames[0].orientation)
        == (first.rows, first.columns, frame.pixel_spacing_mm, frame.orientation)
    )


def _has_echo_of(first: ImageFile) -> Callable[[ImageFile], bool]:
    return lambda file: (
        not _differs(_of(file).echo_time_ms, _of(first).echo_time_ms, most=SAME_ECHO_MS)
    )


def _nothing_weighted(candidates: Sequence[_Candidate]) -> UnsuitableScan:
    lines = "\n".join(f"  {one.in_words()}" for one in candidates) or "  no MR series"
    called = [one for one in candidates if one.is_called_diffusion and not one.images]
    if called:
        return _without_b_value(called[0], lines)
    strongest = max((_b_of(file) for one in candidates for file in one.images), default=0.0)
    if strongest > 0:
        return UnsuitableScan(
            f"the strongest b-value is {strongest:g}, which in s/mm² weights nothing: the unit is "
            "another one, such as ms/µm², and is not known. b-values in s/mm², as DICOM defines "
            f"them, are accepted (1 ms/µm² is 1000 s/mm²). Found was:\n{lines}",
            reason="b_value",
        )
    return UnsuitableScan(
        "no series is diffusion-weighted: none states a b-value above "
        f"{UNWEIGHTED_S_PER_MM2:g} s/mm² of images as measured ({B_VALUE_ELEMENTS} were looked "
        "at; maps and calculated b-values do not count). Classic MR images (MR Image Storage) of "
        f"b = 0 and another b-value are accepted; found was:\n{lines}",
        reason="not_diffusion",
    )


def _without_b_value(one: _Candidate, lines: str) -> UnsuitableScan:
    hints = {_of(file).hinted_b for file in one.silent} - {None}
    hint = ""
    if hints:
        hint = (
            f" Texts of its headers hint at b = {_listed(sorted(b for b in hints if b))}, but a "
            "text is no measurement, and its unit and its images are not known from it."
        )
    return UnsuitableScan(
        f"series {one.found.summary.number} calls itself diffusion, but {len(one.silent)} of its "
        f"images state no b-value ({B_VALUE_ELEMENTS} were looked at), so they may not be "
        f"diffusion-weighted at all.{hint} Export the series again with the scanner's private "
        f"elements kept. Found was:\n{lines}",
        reason="b_value",
    )


def _choice(
    meant: Sequence[_Candidate], candidates: Sequence[_Candidate], why: str
) -> SeriesChoiceNeeded:
    others = [one for one in candidates if one not in meant]
    lines = "\n".join(f"  {one.in_words()}" for one in (*meant, *others))
    return SeriesChoiceNeeded(
        f"{why}; name those that belong together by the numbers that begin their lines, such as "
        f"{','.join(str(one.found.summary.number) for one in meant[:2])}:\n{lines}"
    )


def _check_named(chosen: Sequence[_Candidate]) -> None:
    for one in chosen:
        number = one.found.summary.number
        if not one.images and one.silent and one.is_called_diffusion:
            raise _without_b_value(one, f"  {one.in_words()}")
        if not one.images:
            raise UnsuitableScan(
                f"series {number} holds no diffusion-weighted images as measured: "
                f"{one.in_words()}. Classic MR images that state a b-value are accepted",
                reason="not_diffusion",
            )
    if _b_stands_twice(chosen):
        raise SeriesChoiceNeeded(
            "the series that were named hold one b-value twice; name those that belong together:\n"
            + "\n".join(f"  {one.in_words()}" for one in chosen)
        )
    if not any(one.is_weighted for one in chosen):
        raise _nothing_weighted(chosen)


def _check_b_values(one: _Candidate) -> None:
    number, images = one.found.summary.number, one.images
    if one.silent:
        raise UnsuitableScan(
            f"{len(one.silent)} of {len(one.silent) + len(images)} images of series {number} "
            f"state no b-value ({B_VALUE_ELEMENTS} were looked at), beside others that do; "
            "export the series again with the scanner's private elements kept",
            reason="b_value",
        )
    for file in images:
        stated = _of(file).stated_b
        low, high = min(stated), max(stated)
        if low < 0 or high > MAX_B_S_PER_MM2:
            raise UnsuitableScan(
                f"an image of series {number} states a b-value of {high if low >= 0 else low:g}; 0 "
                f"to {MAX_B_S_PER_MM2:g} s/mm² are possible, so this is in another unit or no "
                "b-value. Correct the header, or export the series again",
                reason="b_value",
            )
        if high - low > max(UNWEIGHTED_S_PER_MM2, SAME_B_SHARE * high):
            raise UnsuitableScan(
                f"an image of series {number} states two b-values that do not agree, "
                f"{_listed(sorted(set(stated)))} s/mm²; which is meant is not known. Export the "
                "series again",
                reason="b_value",
            )


def _check_whole(one: _Candidate, run: str) -> None:
    """Refuse a series whose images cannot be told apart, or beside which files are damaged."""
    summary, own = one.found.summary, one.found.refusal
    if own is not None and summary.reason == "identity":
        raise own
    lost = summary.num_damaged, summary.num_unreadable
    if any(lost) and run != "largest":
        refusal = incomplete(None, *lost, len(one.found.files))
        assert refusal is not None
        raise refusal


def _check_one_visit(files: Sequence[ImageFile]) -> None:
    by_series: dict[str, list[ImageFile]] = defaultdict(list)
    for file in files:
        by_series[file.series_uid].append(file)
    check_one_identity(
        [file.identity for file in files],
        [file.num_frames for file in files],
        frames_may_differ=all(have_own_frames(group) for group in by_series.values()),
        what="the images of the b-values",
    )


def _differs(one: float | None, other: float | None, *, most: float) -> bool:
    return one is not None and other is not None and abs(one - other) > most


def _check_same_echo(files: Sequence[ImageFile]) -> None:
    """Other echo or repetition times weight by T2 or T1, which would be read as diffusion."""
    first = _of(files[0])
    for file in files:
        facts = _of(file)
        repetition_ms = first.repetition_time_ms or 0.0
        for name, one, other, most in (
            ("echo", first.echo_time_ms, facts.echo_time_ms, SAME_ECHO_MS),
            (
                "repetition",
                first.repetition_time_ms,
                facts.repetition_time_ms,
                SAME_REPETITION_SHARE * repetition_ms,
            ),
        ):
            if _differs(one, other, most=most):
                raise UnsuitableScan(
                    f"the images of b = {_b_of(files[0]):g} and b = {_b_of(file):g} were taken "
                    f"with other {name} times, {one:g} and {other:g} ms, so they differ by more "
                    "than diffusion; give images of one acquisition",
                    reason="echo_time",
                )


def _groups(b_values: Iterable[float]) -> dict[float, float]:
    """The largest b-value as stated of each weighting, by the mean of all of them; rising."""
    rising = sorted(b_values)
    groups: list[list[float]] = []
    for b_value in rising:
        apart = max(UNWEIGHTED_S_PER_MM2, SAME_B_SHARE * b_value)
        if groups and b_value - groups[-1][0] <= apart:
            groups[-1].append(b_value)
        else:
            groups.append([b_value])
    return {float(np.mean(group)): max(group) for group in groups}


def _group_of(b_value: float, groups: dict[float, float]) -> float:
    """The mean of the weighting that a b-value belongs to."""
    return next(mean for mean, most in groups.items() if b_value <= most)


def _planned(files: Sequence[ImageFile], run: str, limits: Limits) -> list[_Planned]:
    """One stack for each direction of each b-value, by rising b-value."""
    means = _groups([_b_of(file) for file in files])
    by_b: dict[float, list[ImageFile]] = defaultdict(list)
    for file in files:
        by_b[_group_of(_b_of(file), means)].append(file)
    planned = []
    for b_value in sorted(by_b):
        of_b = by_b[b_value]
        if any(_of(file).is_trace for file in of_b) and b_value > UNWEIGHTED_S_PER_MM2:
            of_b = [file for file in of_b if _of(file).is_trace]
        for group in _one_a_slice(of_b, b_value):
            frames = _frames(group, b_value, run, limits)
            planned.append(_Planned(b_value=b_value, files=group, frames=frames))
    return planned


def _frames(files: Sequence[ImageFile], b_value: float, run: str, limits: Limits) -> list[Frame]:
    try:
        return suitable_frames(
            files, DIFFUSION_SERIES, accept_enhanced=True, run=run, limits=limits
        )
    except UnsuitableScan as refusal:
        raise UnsuitableScan(f"b = {b_value:g}: {refusal}", reason=refusal.reason) from None


def _one_a_slice(files: Sequence[ImageFile], b_value: float) -> list[list[ImageFile]]:
    """The images of one b-value as stacks: one for each direction, and each repetition of it.

    Raises:
        UnsuitableScan: some places have fewer images than others.
    """
    by_direction: dict[tuple[float, ...] | None, list[ImageFile]] = defaultdict(list)
    for file in files:
        facts = _of(file)
        by_direction[None if facts.is_trace else facts.direction].append(file)
    stacks = []
    for direction in sorted(by_direction, key=lambda one: one or ()):
        by_place: dict[float | None, list[ImageFile]] = defaultdict(list)
        for file in by_direction[direction]:
            by_place[_place(file)].append(file)
        counts = {place: len(group) for place, group in by_place.items()}
        most = max(counts.values())
        if fewer := sum(count < most for count in counts.values()):
            raise UnsuitableScan(
                f"b = {b_value:g}: {fewer} of {len(counts)} slices have fewer than the {most} "
                "images that others have, so images are missing; copy or export the series again",
                reason="uneven_slices",
            )
        for number in range(most):
            stacks.append([sorted(group, key=_order)[number] for group in by_place.values()])
    return stacks


def _place(file: ImageFile) -> float | None:
    """Where an image lies along the normal; None where its header does not say."""
    frame = file.frames[0]
    if frame.position_mm is None or frame.orientation is None:
        return None
    normal, _, _ = plane_directions(frame.orientation)
    return round(float(np.dot(frame.position_mm, normal)), 2)


def _order(file: ImageFile) -> tuple[str, int]:
    return file.series_uid, file.file_index


def _check_one_grid(stacks: Sequence[DiffusionStack]) -> None:
    first = stacks[0]
    for stack in stacks[1:]:
        one, other = first.geometry, stack.geometry
        names = f"b = {first.b_value_s_per_mm2:g} and b = {stack.b_value_s_per_mm2:g}"
        if one.shape != other.shape:
            shapes = [" x ".join(map(str, geometry.shape)) for geometry in (one, other)]
            raise UnsuitableScan(
                f"the images of {names} are not on one grid: {shapes[0]} and {shapes[1]} slices, "
                "rows and columns. Slices may be missing, or they are of two acquisitions; give "
                "images of one acquisition, as nothing is moved onto another grid here",
                reason="matrix",
            )
        if (apart_mm := _apart_mm(one, other)) > SAME_PLACE_MM:
            raise UnsuitableScan(
                f"the images of {names} lie up to {apart_mm:.3g} mm apart, so they are of two "
                f"acquisitions; at most {SAME_PLACE_MM:g} mm is accepted, as nothing is moved onto "
                "another grid here",
                reason="position",
            )


def _apart_mm(one: Geometry, other: Geometry) -> float:
    """Largest distance of the same corner of two grids of one shape."""
    ends = [(0, size - 1) for size in one.shape]
    corners = [(k, i, j) for k in ends[0] for i in ends[1] for j in ends[2]]
    return max(
        float(np.linalg.norm(one.position_mm(*corner) - other.position_mm(*corner)))
        for corner in corners
    )


def _notes(
    chosen: Sequence[_Candidate],
    candidates: Sequence[_Candidate],
    planned: Sequence[_Planned],
    is_scaled: bool,
) -> Iterable[str]:
    counts = Counter(one.b_value for one in planned)
    elements = dict.fromkeys(_of(file).b_element for one in chosen for file in one.images)
    numbers = " and ".join(str(one.found.summary.number) for one in chosen)
    taken = "; ".join(
        f"b = {b:g}, {count} image{'s' if count > 1 else ''} a slice" for b, count in counts.items()
    )
    yield f"Taken from series {numbers}: {taken}. b-values from {' and '.join(elements)}."
    if made := sum(one.num_made for one in chosen):
        yield f"{made} images of the series are maps or of calculated b-values, and left out."
    left = [one for one in candidates if one not in chosen and (one.is_weighted or one.num_made)]
    if left:
        words = "; ".join(one.in_words() for one in left)
        yield f"Diffusion images beside them that were not used: series {words}."
    if is_scaled:
        yield "Values were divided by the maker's scale slopes, so that b-values compare."
