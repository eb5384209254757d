"""``isocenter.generate``: new images of what was asked for, in a folder that appears at once.

It is not one of :data:`isocenter.tasks.registry.TASKS`: those give slices of one volume, and this
gives images that have nothing to do with each other. Folder, lock, record and the check of an
earlier result are those of all tasks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.device import resolve_device
from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.core.files import named_path, write_text
from isocenter.core.image_folders import IMAGES, LABELS, MARKER
from isocenter.core.progress import Progress, silent
from isocenter.core.record import RunRecord
from isocenter.core.version import __version__, library_versions
from isocenter.modelpack.generator.defaults import OWN_SAMPLER
from isocenter.modelpack.generator.wish import Generated, Wish
from isocenter.tasks.generate.attention import ATTENTION_FOLDER, attention_sheet, check_maps
from isocenter.tasks.generate.contact_sheet import (
    CONTACT_SHEET_NAME,
    ContactSheet,
    Tile,
    windowed,
)
from isocenter.tasks.generate.control import steered
from isocenter.tasks.generate.drawing import Drawn, draw
from isocenter.tasks.generate.generator import Generator, load_generator
from isocenter.tasks.generate.image_files import ImageFiles, refuse_class
from isocenter.tasks.generate.labels import read_labels, write_labels
from isocenter.tasks.generate.making import wish_in_words
from isocenter.tasks.generate.png_files import save_png
from isocenter.tasks.generate.requests import Request, seed_of_image, wish_of
from isocenter.tasks.generate.settings import (
    CAPTURE,
    MOST_IMAGES,
    OF_MODALITY,
    GenerateSettings,
    completed,
)
from isocenter.tasks.result_folder import RECORD_NAME, made_once, write_record

_MARKER = """Every image in this folder is synthetic: made by a model, of no patient.
Not for diagnosis. Keep this file with the images, also in parts of the set.
{model}, Isocenter {version}. What made each image stands in record.json.
"""


@dataclass(frozen=True, kw_only=True)
class GenerateResult:
    """Where new images lie and what made them.

    Attributes:
        folder: holds everything below.
        images: the files, in the order in which they were asked for.
        contact_sheet: all of them on one picture, with what each was to be.
        labels: table of what each is known to show; None for DICOM, which says it itself.
        attention: pictures of where words acted, one an image; () where not asked for.
        record: settings, seed, versions and digests.
        copies_replaced: draws that were copies of training images; others stand in their place.
        notes: what is to be known of the files, in words.
        already_there: True where an earlier run had made this very result.
    """

    folder: Path
    images: tuple[Path, ...]
    contact_sheet: Path
    labels: Path | None
    attention: tuple[Path, ...]
    record: RunRecord
    copies_replaced: int
    notes: tuple[str, ...] = ()
    already_there: bool = False


def generate(
    name: str | Path | Generator,
    output: str | Path,
    *,
    number: int | None = None,
    class_: str | None = None,
    plane: str | None = None,
    conditions: Mapping[str, Any] | None = None,
    numbers: Mapping[str, Any] | None = None,
    box: Sequence[float] | str | None = None,
    mask: str | Path | NDArray | None = None,
    text: str = "",
    reference: str | Path | NDArray | None = None,
    control: str | Path | None = None,
    labels: str | Path | None = None,
    seed: int = 0,
    steps: int | None = None,
    guidance: float | None = None,
    sampler: str = OWN_SAMPLER,
    format: str = "dicom",
    written_as: str = CAPTURE,
    attention: bool = False,
    model: str | Path | Generator | None = None,
    device: str = "cpu",
    private: bool = False,
    progress: Progress | None = None,
) -> GenerateResult:
    """Draw new images.

    What is left out of class, plane, conditions, box and text is free, and varies from image to
    image. An image that the model calls a copy of one it was trained on is never written; another
    takes its place.

    Args:
        name: of a shipped model, such as "brain_t1c"; a model folder, or a loaded model.
        output: folder for the results; new or empty. It appears when everything is written, never
            half. Where it already holds the result of the same request, that is checked and
            returned.
        number: of images, 1 where left out; with ``labels``, left out.
        class_, plane: what the images are to show, in the words of the model.
        conditions: the same for every category and number of the model, by name; "any" is free.
        numbers: for numbers alone, by name.
        box: center x, center y, width and height as fractions of the image.
        mask: label map that guides every image: a PNG, NumPy or NIfTI file, or an array.
        text: what to draw, in words that the model knows.
        reference: another image that every image goes by: a PNG, NumPy or NIfTI file, or an array.
        control: folder of a ControlNet that was fitted beside the model; ``mask``, or ``reference``
            where it is told an image, then goes to it.
        labels: CSV file with one row an image, in the columns of a ``labels.csv``.
        seed, steps, guidance, sampler, format, written_as, attention: see
            :class:`isocenter.tasks.generate.settings.GenerateSettings`.
        model: folder or loaded model to take in place of the shipped one of that name.
        device: "cpu", "cuda", "cuda:1" and so on, or "auto".
        private: folders and files are for their owner alone (0700 and 0600).
        progress: called after every image.

    Raises:
        InputRefused: a setting, or something that the model cannot be told; nothing is written.
        ModelRefused: there is no such model, or it gives nothing but copies.
        OutputRefused: the place to write to.
    """
    settings = GenerateSettings(
        seed=seed,
        steps=steps,
        guidance=guidance,
        sampler=sampler,
        format=format,
        written_as=written_as,
        attention=attention,
    )
    final = named_path(output).resolve()
    device = resolve_device(device)
    generator = load_generator(name, model, device)
    settings = completed(settings, generator.defaults)
    if control is not None:
        generator, mask, reference = steered(generator, control, mask, reference)
    wish = wish_of(
        generator.family,
        class_=class_,
        plane=plane,
        conditions=conditions,
        numbers=numbers,
        box=box,
        mask=mask,
        text=text,
        reference=reference,
    )
    requests = _requests(generator, wish, settings, number=number, labels=labels)
    _check(generator, requests, settings)
    record = _record(generator, requests, settings, device)
    run = _Run(generator=generator, requests=requests, settings=settings, record=record)
    record, already_there = made_once(
        final, record, lambda folder: run.make(folder, progress or silent), private=private
    )
    return result_in(final, record, already_there=already_there)


def result_in(folder: Path, record: RunRecord, *, already_there: bool) -> GenerateResult:
    """What lies in a finished folder."""
    content = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
    labels = folder / LABELS
    maps = folder / ATTENTION_FOLDER
    return GenerateResult(
        folder=folder,
        images=tuple(folder / each["file"] for each in content["images"]),
        contact_sheet=folder / CONTACT_SHEET_NAME,
        labels=labels if labels.is_file() else None,
        attention=tuple(sorted(maps.iterdir())) if maps.is_dir() else (),
        record=record,
        copies_replaced=int(content["copies_replaced"]),
        notes=tuple(content["notes"]),
        already_there=already_there,
    )


def _requests(
    generator: Generator,
    wish: Wish,
    settings: GenerateSettings,
    *,
    number: int | None,
    labels: str | Path | None,
) -> tuple[Request, ...]:
    if labels is not None:
        if number is not None:
            raise InputRefused(
                "labels ask for one image a row, so a number cannot be given too; leave --number "
                "(number=) out"
            )
        return read_labels(labels, generator.family, others=wish, seed=settings.seed)
    count = 1 if number is None else number
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_IMAGES:
        raise InputRefused(
            f"number must be a whole number from 1 to {MOST_IMAGES}, got {count}", reason="setting"
        )
    return tuple(
        Request(wish=wish, seed=seed_of_image(settings.seed, place))
        for place in range(1, count + 1)
    )


def _check(generator: Generator, requests: Sequence[Request], settings: GenerateSettings) -> None:
    """Refuse, before any work, what cannot be drawn or written."""
    if settings.attention and not any(request.wish.text for request in requests):
        raise InputRefused(
            "--attention shows where words acted, and there is no text; give --text, or leave "
            "--attention out"
        )
    if settings.written_as == OF_MODALITY and settings.format != "dicom":
        raise InputRefused(
            f"--as says the class of DICOM objects, and the format is {settings.format}; leave "
            "one of them out"
        )
    checked: set[Wish] = set()
    for request in requests:
        if request.wish in checked:
            continue
        checked.add(request.wish)
        generator.check(request.wish)
        if settings.written_as == OF_MODALITY:
            refuse_class(generator.family, request.wish)


def _record(
    generator: Generator, requests: Sequence[Request], settings: GenerateSettings, device: str
) -> RunRecord:
    asked = [[request.wish.described(), request.seed] for request in requests]
    said = asdict(settings) | {
        "family": generator.family.name,
        "number": len(requests),
        "device": device.partition(":")[0],
    }
    if control := getattr(generator, "steered_by", {}):
        said["control"] = control
    if len({request.wish for request in requests}) == 1:
        said["wish"] = requests[0].wish.described()
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    said["requests_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    return RunRecord(
        task="generate",
        product_version=__version__,
        model_name=generator.name,
        model_version=generator.version,
        weights_sha256=generator.weights_sha256,
        settings=said,
        library_versions=library_versions(),
    )


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One run, ready to draw: nothing is left that could refuse it before work."""

    generator: Generator
    requests: Sequence[Request]
    settings: GenerateSettings
    record: RunRecord

    def make(self, folder: Path, progress: Progress) -> None:
        """Draw and write everything; the record last."""
        files = ImageFiles(family=self.generator.family, settings=self.settings, record=self.record)
        contact_sheet = ContactSheet(heading=self._heading(), total=len(self.requests))
        (folder / IMAGES).mkdir()
        if self.settings.attention:
            (folder / ATTENTION_FOLDER).mkdir()
        told: dict[int, dict[str, Any]] = {}
        rows: dict[int, tuple[str, Generated]] = {}
        for drawn in draw(self.generator, self.requests, self.settings, progress=progress):
            number = drawn.number
            told[number] = self._write(folder, files, drawn)
            rows[number] = (told[number]["file"], _without_pixels(drawn.image))
            contact_sheet.add(number, self._tile(drawn))
        said = {"record": self.record.digest(), "model": self.record.model_name}
        save_png(contact_sheet.drawn(), folder / CONTACT_SHEET_NAME, said=said)
        if self.settings.format != "dicom":
            ordered = [rows[number] for number in sorted(rows)]
            write_labels(folder / LABELS, self.generator.family, ordered)
        self._write_marker(folder)
        write_record(folder, self._told([told[number] for number in sorted(told)]))

    def _write(self, folder: Path, files: ImageFiles, drawn: Drawn) -> dict[str, Any]:
        image, number = drawn.image, drawn.number
        num_clipped = files.write(folder / IMAGES, image, number)
        if self.settings.attention:
            self._write_attention(folder, image, number)
        return {
            "file": f"{IMAGES}/{files.name(number)}",
            "seed": image.seed,
            "wish": image.wish.described(),
            "copies_replaced": drawn.copies,
            "values_clipped": num_clipped,
            "notes": list(image.notes),
        }

    def _write_attention(self, folder: Path, image: Generated, number: int) -> None:
        if not image.wish.text:
            return
        if not image.words or not check_maps(dict(image.words), image.values.shape):
            raise ModelRefused(
                "the model gave no maps of where the words acted; leave --attention out"
            )
        save_png(
            attention_sheet(image, self.generator.family.window),
            folder / ATTENTION_FOLDER / f"{number:04d}.png",
            said={"record": self.record.digest(), "seed": image.seed},
        )

    def _tile(self, drawn: Drawn) -> Tile:
        return Tile(
            picture=windowed(drawn.image.values, self.generator.family.window),
            caption=f"{drawn.number}: {wish_in_words(drawn.image)}",
            box=drawn.image.wish.box,
        )

    def _heading(self) -> str:
        return (
            f"{self.generator.family.title}. SYNTHETIC: drawn by {self.record.model_name} "
            f"{self.record.model_version}, of no patient. Not for diagnosis."
        )

    def _write_marker(self, folder: Path) -> None:
        model = f"{self.record.model_name} {self.record.model_version}"
        write_text(folder / MARKER, _MARKER.format(model=model, version=__version__))

    def _told(self, images: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "record": self.record.as_dict(),
            "synthetic": True,
            "family": self.generator.family.described(),
            "images": images,
            "copies_replaced": sum(each["copies_replaced"] for each in images),
            "notes": self._notes(images),
        }

    def _notes(self, images: list[dict[str, Any]]) -> list[str]:
        notes = list(getattr(self.generator, "notes", ()))
        if copies := sum(each["copies_replaced"] for each in images):
            notes.append(
                f"{copies} {'draw was a copy' if copies == 1 else 'draws were copies'} of images "
                "that the model was trained on; others, from other seeds, stand in their place."
            )
        if noted := [each["notes"][0] for each in images if each["notes"]]:
            notes.append(
                f"{len(noted)} of {len(images)} images have a note of their own in {RECORD_NAME}; "
                f"the first: {noted[0]}"
            )
        if self.settings.format == "nifti" and self.generator.family.pixel_mm is None:
            notes.append(
                "The size of a pixel is not known; the NIfTI files say 1 mm, which means nothing."
            )
        return notes


def _without_pixels(image: Generated) -> Generated:
    """What a row of labels needs, so that memory does not grow with the set."""
    return Generated(values=np.zeros((0, 0), np.float32), wish=image.wish, seed=image.seed)
