"""The rules that every series must keep to be worked on, each refused in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import dictionary_description

from isocenter.core.errors import UnsuitableScan
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.dicom.reading.frames import NEEDED_OF_PIXELS, Frame, ImageFile
from isocenter.dicom.reading.geometry import (
    MAX_SPACING_MM,
    MIN_SPACING_MM,
    ORIENTATION_TOLERANCE,
    SAME_POSITION_MM,
    SPACING_TOLERANCE,
    even_runs,
    is_sheared,
    not_unit_vectors,
    num_unlike,
    plane_directions,
    sideways_shift_mm,
)
from isocenter.dicom.reading.header_kind import HeaderKind
from isocenter.dicom.reading.header_values import THICKNESS_MM
from isocenter.dicom.reading.identity import (
    MIN_SLICES_IN_LINE,
    check_one_identity,
    have_frames_of_their_own,
    is_uid,
)

MAX_POSITION_MM = 1e5

Frames = Sequence[Frame]


@dataclass(frozen=True, kw_only=True)
class SeriesKind:
    """What a series of one modality is and must keep.

    Attributes:
        header: what is read of it.
        name: in a refusal, what it is, such as "a CT".
        accepted: in a refusal, the kinds of object that are.
        values_needed: in a refusal, what a lookup table does not give.
        check_values: refuses frames whose values do not mean what they must.
        check_making: refuses frames that were not made alike.
    """

    header: HeaderKind
    name: str
    accepted: str
    values_needed: str
    check_values: Callable[[Frames], None]
    check_making: Callable[[Frames], None]


def suitable_frames(
    files: Sequence[ImageFile],
    kind: SeriesKind,
    *,
    accept_enhanced: bool = False,
    run: str = "all",
    limits: Limits = DEFAULT_LIMITS,
) -> list[Frame]:
    """All frames of a series in order along the normal, or a refusal.

    Args:
        files: of one series.
        kind: what it must be.
        accept_enhanced: take what a model made already, for evaluation.
        run: "all", or "largest" to take the largest even run where slices are missing.
        limits: what an image may cost.

    Raises:
        UnsuitableScan: naming the rule that is broken.
        UnreadableInput: pixels or numbers are impossible.
    """
    own_frames = have_own_frames(files)
    if any(file.of_kind for file in files):
        _check_identity(files, frames_may_differ=own_frames)
    _check_kind(files, kind)
    _check_named(files)
    if not accept_enhanced:
        _check_not_enhanced(files)
    _check_pixels(files, kind, limits)
    frames = [frame for file in files for frame in file.frames]
    kind.check_values(frames)
    _check_placed(frames, kind.header.modality)
    _check_alike(frames)
    kind.check_making(frames)
    ordered = _ordered(frames)
    _check_stack(ordered)
    chosen = _even(ordered, run)
    if own_frames and len(chosen) < MIN_SLICES_IN_LINE:
        _check_identity(files, frames_may_differ=False)
    return chosen


def have_own_frames(files: Sequence[ImageFile]) -> bool:
    """Whether each file of single images names a frame of reference of its own."""
    if any(file.is_multiframe for file in files):
        return False
    return have_frames_of_their_own([file.identity for file in files])


def _check_identity(files: Sequence[ImageFile], *, frames_may_differ: bool) -> None:
    check_one_identity(
        [file.identity for file in files],
        [file.num_frames for file in files],
        frames_may_differ=frames_may_differ,
    )


def _check_kind(files: Sequence[ImageFile], kind: SeriesKind) -> None:
    wanted = kind.header.modality
    others = [file for file in files if not file.of_kind]
    if others:
        file, some = others[0], len(others) < len(files)
        what = f"{len(others)} of the {len(files)} files are" if some else "this is"
        modality = f", modality {file.modality}" if file.modality else ""
        raise UnsuitableScan(
            f"{what} not {kind.name} image series: {file.sop_class_name}{modality}; "
            f"{kind.accepted} with modality {wanted} are accepted",
            reason=f"not_{wanted.lower()}",
        )
    if len({file.sop_class_uid for file in files}) > 1:
        raise UnsuitableScan(
            f"the series mixes classic and multi-frame {wanted} images; give one kind at a time",
            reason="mixed_kinds",
        )


def _check_named(files: Sequence[ImageFile]) -> None:
    """Refuse what a result could not refer to."""
    uids = {
        "SOP Class UID": [file.sop_class_uid if file.names_class else "" for file in files],
        "SOP Instance UID": [file.sop_instance_uid for file in files],
        "Series Instance UID": [file.series_uid for file in files],
        "Study Instance UID": [file.identity["StudyInstanceUID"] for file in files],
        "Frame of Reference UID": [
            file.identity["FrameOfReferenceUID"] or file.series_uid for file in files
        ],
    }
    for name, values in uids.items():
        if count := sum(not is_uid(value) for value in values):
            raise UnsuitableScan(
                f"{count} of {len(files)} files have no {name} (digits and dots, at most 64), so "
                "a result could not refer to them; export the series again",
                reason="identity",
            )


def _check_not_enhanced(files: Sequence[ImageFile]) -> None:
    if any(file.was_enhanced or file.is_synthetic for file in files):
        raise UnsuitableScan(
            "the series was already enhanced or is marked as synthetic; only images as the scanner "
            "made them are accepted: give the original series",
            reason="already_enhanced",
        )


def _check_pixels(files: Sequence[ImageFile], kind: SeriesKind, limits: Limits) -> None:
    for keyword in NEEDED_OF_PIXELS:
        if count := sum(keyword in file.missing for file in files):
            raise UnsuitableScan(
                f"{count} of {len(files)} files do not state {dictionary_description(keyword)}, "
                "without which their pixels mean nothing; export the series again",
                reason="pixel_description",
            )
    for file in files:
        if file.declared_frames != 1 and not file.is_multiframe:
            raise UnsuitableScan(
                "an image of a kind that holds one frame declares another number of frames; "
                "export the series again",
                reason="pixel_description",
            )
        if file.samples_per_pixel > 1 or file.photometric not in ("MONOCHROME1", "MONOCHROME2"):
            raise UnsuitableScan(
                f"the images are not grey-scale ({file.samples_per_pixel} samples a pixel, "
                f"{file.photometric or 'no photometric interpretation'}); give the original "
                f"{kind.header.modality} images, not a colored copy",
                reason="color",
            )
        if file.pixel_format is not None:
            file.pixel_format.check(limits)
        if file.has_modality_lut:
            raise UnsuitableScan(
                "the images give their values by a lookup table (Modality LUT Sequence), "
                f"not by Rescale Slope and Intercept; {kind.values_needed}",
                reason="rescale",
            )
    sizes = [(file.rows, file.columns) for file in files]
    if len(set(sizes)) > 1:
        count = num_unlike(sizes)
        raise UnsuitableScan(
            f"the series mixes images of {listed(set(sizes), ' x ')} pixels; Rows or Columns of "
            f"{count} of {len(files)} files differ; give the images of one reconstruction alone",
            reason="mixed_sizes",
        )


def _check_placed(frames: Frames, modality: str) -> None:
    for frame in frames:
        if frame.position_mm is None or frame.orientation is None or frame.pixel_spacing_mm is None:
            raise UnsuitableScan(
                "an image does not say where it lies in the patient (position, orientation and "
                f"pixel spacing are needed); export the original {modality} images",
                reason="geometry",
            )
        if max(map(abs, frame.orientation)) > 1.01:
            raise not_unit_vectors()
        spacing_fits = all(
            MIN_SPACING_MM <= step <= MAX_SPACING_MM for step in frame.pixel_spacing_mm
        )
        if not spacing_fits or max(map(abs, frame.position_mm)) > MAX_POSITION_MM:
            raise UnsuitableScan(
                "an image has an impossible position or pixel spacing; spacings from "
                f"{MIN_SPACING_MM:g} to {MAX_SPACING_MM:g} mm are accepted",
                reason="geometry",
            )
    if count := sum(not frame.has_possible_thickness for frame in frames):
        raise UnsuitableScan(
            f"the Slice Thickness of {count} of {len(frames)} images is no possible one; "
            f"{THICKNESS_MM[0]:g} to {THICKNESS_MM[1]:g} mm, or none, are accepted: export the "
            "series again",
            reason="slice_thickness",
        )


def _check_alike(frames: Frames) -> None:
    orientations = np.array([frame.orientation for frame in frames])
    if np.abs(orientations - orientations[0]).max() > ORIENTATION_TOLERANCE:
        count = num_unlike(orientations, ORIENTATION_TOLERANCE)
        raise UnsuitableScan(
            "the images of the series lie in different orientations: Image Orientation (Patient) "
            f"of {count} of {len(frames)} differs; give one stack of parallel slices",
            reason="mixed_orientations",
        )
    spacings = np.array([frame.pixel_spacing_mm for frame in frames])
    if np.abs(spacings / spacings[0] - 1).max() > SPACING_TOLERANCE:
        count = num_unlike(np.log(spacings), SPACING_TOLERANCE)
        raise UnsuitableScan(
            f"the series mixes pixel spacings from {spacings.min():g} to {spacings.max():g} mm: "
            f"Pixel Spacing of {count} of {len(frames)} images differs; give images of one "
            "reconstruction",
            reason="mixed_spacings",
        )


def listed(values: set, joint: str = "") -> str:
    """Some of the values, for a refusal."""
    names = [joint.join(map(str, value)) if joint else str(value or "none") for value in values]
    return ", ".join(sorted(names)[:5])


def _ordered(frames: Frames) -> list[Frame]:
    normal, _, _ = plane_directions(frames[0].orientation or ())

    def place(frame: Frame) -> tuple[float, int, int]:
        along = float(np.dot(frame.position_mm or (), normal))
        return along, frame.file_index, frame.frame_number

    return sorted(frames, key=place)


def _positions(frames: Frames) -> tuple[NDArray, NDArray]:
    """Positions, (slices, 3), and the normal."""
    normal, _, _ = plane_directions(frames[0].orientation or ())
    return np.array([frame.position_mm for frame in frames]), normal


def _check_stack(ordered: Frames) -> None:
    positions, normal = _positions(ordered)
    steps = np.diff(positions @ normal)
    num_doubles = int(np.sum(steps < SAME_POSITION_MM))
    if num_doubles:
        raise UnsuitableScan(
            f"{num_doubles} of {len(ordered)} images lie where another one lies, as with several "
            "phases or copies in one series; give one image a position",
            reason="duplicate_positions",
        )
    if is_sheared(positions, normal):
        shift_mm, tilt_deg = sideways_shift_mm(positions, normal)
        raise UnsuitableScan(
            f"slices are shifted sideways by up to {shift_mm:.1f} mm, {tilt_deg:.1f} degrees off "
            "the normal: a tilted gantry or shifted fields of view; only slices straight above "
            "each other are accepted",
            reason="gantry_tilt",
        )


def _even(ordered: list[Frame], run: str) -> list[Frame]:
    positions, normal = _positions(ordered)
    along = positions @ normal
    runs = even_runs(along)
    if len(runs) == 1:
        return ordered
    largest = max(runs, key=len)
    if run == "largest":
        return ordered[largest.start : largest.stop]
    steps = np.diff(along)
    raise UnsuitableScan(
        f"slices are missing or unevenly spaced: {len(ordered)} slices with steps from "
        f"{steps.min():.3g} to {steps.max():.3g} mm. The largest even run is slices "
        f"{largest.start + 1}-{largest.stop} of {len(ordered)}; take it with --largest-run "
        "(largest_run=True in Python)",
        reason="uneven_slices",
    )


def even_stretches(files: Sequence[ImageFile]) -> list[list[Frame]]:
    """All frames of a suitable series in order, cut where slices are missing.

    Each stretch is even, each slice is in one of them. Where two even runs share a slice, the
    longer one has it, then the one of smaller steps: two slices across a gap are no run.

    Args:
        files: of a series that :func:`suitable_frames` takes, if need be with ``run="largest"``.
    """
    ordered = _ordered([frame for file in files for frame in file.frames])
    positions, normal = _positions(ordered)
    taken: set[int] = set()
    stretches: list[list[int]] = []
    along = positions @ normal
    for run in sorted(
        even_runs(along), key=lambda run: (-len(run), along[run.stop - 1] - along[run.start])
    ):
        left = [index for index in run if index not in taken]
        taken.update(left)
        if left:
            stretches.append(left)
    return [[ordered[index] for index in stretch] for stretch in sorted(stretches)]
