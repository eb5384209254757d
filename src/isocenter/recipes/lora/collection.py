"""The images of a LoRA: a folder of pictures with a table of reports, or a tree of CT series.

Patients are told apart and never named: nothing here is written but counts and a digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.core.image_folders import IMAGES, LABELS, place_of, table_rows
from isocenter.core.progress import Say
from isocenter.datasets.splits import TRAIN, VALIDATION
from isocenter.dicom.reading.ct_series import CtSeries
from isocenter.dicom.reading.runs import SeriesRuns, list_runs
from isocenter.image.picture_files import DEEP, EIGHT_BIT, open_picture
from isocenter.modelpack.stable_diffusion.gray import BLUE, RED, GrayScale
from isocenter.recipes.lora.configuration import LoraRecipe

FILE_COLUMNS = ("image", "file", "file_name")
TEXT_COLUMNS = ("text", "report")
PATIENT_COLUMN = "patient"
_NOT_MEASURED_HU = -1e4
_LAYOUTS = (
    f"expected {IMAGES}/ with {LABELS} beside it, whose columns are {FILE_COLUMNS[0]}, "
    f"{TEXT_COLUMNS[0]} and {PATIENT_COLUMN}, or a tree of DICOM files of CT"
)


@dataclass(frozen=True, kw_only=True)
class Example:
    """One image, not yet read.

    Attributes:
        patient: tells patients apart; write it nowhere.
        text: what the image shows.
        read: gives (row, column) float32 values.
        pixel_mm: row and column spacing; None where it is not known.
    """

    patient: str
    text: str
    read: Callable[[], NDArray]
    pixel_mm: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Collection:
    """What is trained on.

    Attributes:
        parts: examples of ``train`` and ``validation``.
        scale: what black and white stand for.
        modality: as DICOM has it, "" where not known.
    """

    parts: Mapping[str, Sequence[Example]]
    scale: GrayScale
    modality: str

    def num_patients(self) -> dict[str, int]:
        """How many each part has."""
        return {part: len({one.patient for one in some}) for part, some in self.parts.items()}


def gather(recipe: LoraRecipe, data: Path, *, say: Say) -> Collection:
    """Find the images of a folder and share out the patients.

    Args:
        recipe: its window, captions and split.
        data: holds ``images`` and ``labels.csv``, or is any tree of DICOM files of CT.
        say: is told what is found.

    Raises:
        InputRefused: nothing suitable, or a part has no patient.
    """
    if (data / IMAGES).is_dir():
        scale = GrayScale() if recipe.window is None else _windowed(recipe, recipe.unit)
        examples = list(_listed(recipe, data, say))
        return _shared_out(recipe, examples, scale, recipe.modality, say)
    if recipe.window is None:
        raise InputRefused(
            f"the data folder holds no folder {IMAGES}; {_LAYOUTS}. For CT name the window of HU "
            "that becomes black and white, such as --set window=40,400"
        )
    examples = list(_of_series(recipe, data, say))
    return _shared_out(recipe, examples, _windowed(recipe, "HU"), "CT", say)


def read_picture(path: Path, *, windowed: bool) -> NDArray:
    """(row, column) float32 of a PNG, JPEG or TIFF; color as its brightness.

    Args:
        path: of the file.
        windowed: whether a window is given, as images of more than 8 bits need.

    Raises:
        InputRefused: no picture, too large, or of more than 8 bits without a window.
    """
    image = open_picture(path, what=f"a picture in {IMAGES}", formats=("PNG", "JPEG", "TIFF"))
    if image.mode in DEEP and not windowed:
        raise InputRefused(
            "a picture has more than 8 bits; name the window of its values that becomes black and "
            "white, such as --set window=2048,4096"
        )
    if image.mode not in (*EIGHT_BIT, *DEEP, "F"):
        raise InputRefused(f"a picture of kind {image.mode} is not accepted; give gray PNG")
    if image.mode in ("L", "F", *DEEP):
        return np.asarray(image, np.float32)
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB"), np.float32), -1, 0)
    return np.asarray(green + RED * (red - green) + BLUE * (blue - green), np.float32)


def _windowed(recipe: LoraRecipe, unit: str) -> GrayScale:
    assert recipe.window is not None
    return GrayScale(unit=unit, center=recipe.window[0], width=recipe.window[1])


def _listed(recipe: LoraRecipe, data: Path, say: Say) -> Iterator[Example]:
    """The pictures that the table lists."""
    rows = _table(data / LABELS)
    files = _column(rows, FILE_COLUMNS, needed=True)
    texts = _column(rows, TEXT_COLUMNS, needed=not recipe.caption)
    has_patients = PATIENT_COLUMN in rows[0]
    if not has_patients:
        say(
            f"{LABELS} has no column {PATIENT_COLUMN}: each image is taken for a patient of its "
            "own, and images of one person may come into both parts"
        )
    for row in rows:
        name = row[files]
        path = _inside(data / IMAGES, name)
        patient = row[PATIENT_COLUMN] if has_patients else name
        if not patient:
            raise InputRefused(f"{LABELS} names no patient for an image; fill the column in")
        yield Example(
            patient=patient,
            text=_one_line(row[texts] if texts else "") or recipe.caption,
            read=partial(read_picture, path, windowed=recipe.window is not None),
        )


def _table(path: Path) -> list[dict[str, str]]:
    try:
        rows = table_rows(path)
    except OSError as error:
        raise UnreadableInput(f"{LABELS} is missing; {_LAYOUTS}") from error
    if not rows:
        raise InputRefused(f"{LABELS} lists no image; {_LAYOUTS}")
    return rows


def _column(rows: Sequence[Mapping[str, object]], names: Sequence[str], *, needed: bool) -> str:
    found = next((name for name in names if name in rows[0]), "")
    if needed and not found:
        hint = "; or name one text for all by --set caption=…" if names == TEXT_COLUMNS else ""
        raise InputRefused(f"{LABELS} has no column {names[0]}; {_LAYOUTS}{hint}")
    return found


def _inside(folder: Path, name: str) -> Path:
    """A file that the table names, below the folder."""
    path = place_of(folder, name)
    if path is None or not path.is_file():
        raise InputRefused(
            f"{LABELS} names an image that is not below {IMAGES}; name each by its path there"
        )
    return path


def _of_series(recipe: LoraRecipe, data: Path, say: Say) -> Iterator[Example]:
    """Slices of CT series, with the report of their patient where a table has one."""
    reports = _reports(data / LABELS)
    left_out = 0
    for series in list_runs(data):
        if series.why_not or not series.person.patient:
            left_out += 1
            continue
        yield from _slices(recipe, series, reports)
    if left_out:
        say(f"{left_out} series are not used: no CT that fits, or without Patient ID")


def _slices(
    recipe: LoraRecipe, series: SeriesRuns, reports: Mapping[str, str]
) -> Iterator[Example]:
    text = reports.get(series.summary.key, "") or recipe.caption
    for run in series.runs:
        for index in range(0, len(run), recipe.slice_step):
            yield Example(
                patient=series.person.patient,
                text=text,
                read=partial(_slice, run, index),
                pixel_mm=run.geometry.spacing_mm[1:],
            )


def _slice(run: CtSeries, index: int) -> NDArray:
    """HU of a slice; black where nothing was measured."""
    return np.where(run.valid(index), run.values(index), _NOT_MEASURED_HU).astype(np.float32)


def _reports(path: Path) -> dict[str, str]:
    """Text by Series Instance UID, from a table beside the DICOM files where there is one."""
    if not path.is_file():
        return {}
    rows = _table(path)
    texts = _column(rows, TEXT_COLUMNS, needed=True)
    if "series" not in rows[0]:
        raise InputRefused(
            f"{LABELS} beside DICOM files has no column series; it names each series by its Series "
            "Instance UID"
        )
    return {row["series"]: _one_line(row[texts]) for row in rows}


def _shared_out(
    recipe: LoraRecipe, examples: Sequence[Example], scale: GrayScale, modality: str, say: Say
) -> Collection:
    rule = recipe.split()
    parts: dict[str, list[Example]] = {TRAIN: [], VALIDATION: []}
    for one in examples:
        parts[rule.part_of(one.patient)].append(one)
    collection = Collection(parts=parts, scale=scale, modality=modality)
    patients = collection.num_patients()
    if not all(parts.values()):
        raise InputRefused(
            f"{len(examples)} images of {sum(patients.values())} patients: {patients[TRAIN]} train "
            f"and {patients[VALIDATION]} judge, at least one each is needed; add patients, raise "
            "validation_share or try another split_seed"
        )
    silent = sum(not one.text for one in examples)
    if silent:
        say(f"{silent} of {len(examples)} images have no text; --set caption=… gives them one")
    counted = ", ".join(f"{patients[part]} {part} ({len(parts[part])} images)" for part in parts)
    say(f"patients: {counted}")
    return collection


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
