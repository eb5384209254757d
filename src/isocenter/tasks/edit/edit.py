"""``isocenter.edit``: an image altered by a model that draws, in a folder that appears at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.device import resolve_device
from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.core.files import named_path, write_text
from isocenter.core.image_folders import IMAGES, MARKER
from isocenter.core.progress import Progress, silent
from isocenter.core.record import RunRecord
from isocenter.core.version import __version__, library_versions
from isocenter.dicom.writing.synthetic_image import EDITED, MIXED
from isocenter.modelpack.generator.wish import Generated, Wish, inside_box
from isocenter.tasks.edit.picture import Picture, open_picture, resized_mask
from isocenter.tasks.edit.picture_files import PictureFiles
from isocenter.tasks.edit.settings import (
    IN_A_REGION,
    MOST_BETWEEN,
    OF_THE_WHOLE,
    EditSettings,
)
from isocenter.tasks.generate.contact_sheet import CONTACT_SHEET_NAME, Tile, sheet, windowed
from isocenter.tasks.generate.drawing import MOST_ATTEMPTS, check_image
from isocenter.tasks.generate.generator import Generator, load_generator
from isocenter.tasks.generate.making import wish_in_words
from isocenter.tasks.generate.masks import read_mask
from isocenter.tasks.generate.png_files import save_png
from isocenter.tasks.generate.requests import Request, parsed_box, wish_of
from isocenter.tasks.generate.settings import CAPTURE, OF_MODALITY, completed
from isocenter.tasks.result_folder import RECORD_NAME, made_once, write_record

_MARKER = """Every image in this folder is synthetic, in whole or in part: a model altered it.
Not for diagnosis. Keep this file with the images.
{model}, Isocenter {version}. What made each image stands in record.json.
"""


@dataclass(frozen=True, kw_only=True)
class EditResult:
    """Where altered images lie and what made them.

    Attributes:
        folder: holds everything below.
        images: the files; one, or those between two images in order.
        contact_sheet: before and after on one picture.
        record: settings, seed, versions and digests.
        pixels_kept: how many pixels of an image lie outside the region; read back from the file,
            each was as before, bit for bit. 0 where the whole image may change.
        notes: what was assumed, in words.
        already_there: True where an earlier run had made this very result.
    """

    folder: Path
    images: tuple[Path, ...]
    contact_sheet: Path
    record: RunRecord
    pixels_kept: int
    notes: tuple[str, ...] = ()
    already_there: bool = False


def edit(
    name: str | Path | Generator,
    input: str | Path,
    output: str | Path,
    *,
    strength: float | None = None,
    mask: str | Path | NDArray | None = None,
    box: Sequence[float] | str | None = None,
    between: str | Path | None = None,
    number: int | None = None,
    class_: str | None = None,
    plane: str | None = None,
    conditions: Mapping[str, Any] | None = None,
    numbers: Mapping[str, Any] | None = None,
    text: str = "",
    seed: int = 0,
    steps: int | None = None,
    guidance: float | None = None,
    resize: bool = False,
    written_as: str = CAPTURE,
    model: str | Path | Generator | None = None,
    device: str = "cpu",
    private: bool = False,
    progress: Progress | None = None,
) -> EditResult:
    """Alter an image, in whole or inside a region, or give the images between two.

    The result is a file of the kind that was read. Outside a mask or box every pixel stays as it
    was, bit for bit, which is checked in the written file. A result of DICOM is of nobody: it
    carries no patient, no identifier and no reference of the image that was read.

    Args:
        name: of a shipped model, such as "brain_t1c"; a model folder, or a loaded model.
        input: a PNG of gray levels, a NIfTI or MetaImage file of one slice, or a DICOM file of one
            image, of the model's size.
        output: folder for the results; new or empty. It appears when everything is written, never
            half. Where it already holds the result of the same request, that is checked and
            returned.
        strength: above 0 to 1; None takes 0.5, and 1 in a region.
        mask: where the image may change: a file or an array of its size, every label but 0.
        box: the same as center x, center y, width and height, fractions of the image; a model that
            takes a box is told it.
        between: a second image; the result are images on the way to it.
        number: of images between, 5 where left out.
        class_, plane, conditions, numbers, text: what the changed part is to show; as for
            :func:`isocenter.generate`.
        seed, steps, guidance, resize, written_as: see
            :class:`isocenter.tasks.edit.settings.EditSettings`.
        model: folder or loaded model to take in place of the shipped one of that name.
        device: "cpu", "cuda", "cuda:1" and so on, or "auto".
        private: folders and files are for their owner alone (0700 and 0600).
        progress: called after every image.

    Raises:
        InputRefused: the image, a setting, or something that the model cannot be told; nothing is
            written.
        ModelRefused: there is no such model, or it gives nothing but copies.
        OutputRefused: the place to write to.
    """
    in_region = mask is not None or box is not None
    settings = EditSettings(
        strength=(IN_A_REGION if in_region else OF_THE_WHOLE) if strength is None else strength,
        seed=seed,
        steps=steps,
        guidance=guidance,
        resize=resize,
        written_as=written_as,
    )
    count = _count(between, number)
    _check_bounds(between, strength, mask, box)
    final = named_path(output).resolve()
    device = resolve_device(device)
    generator = load_generator(name, model, device)
    settings = completed(settings, generator.defaults)
    family = generator.family
    wish = wish_of(
        family,
        class_=class_,
        plane=plane,
        conditions=conditions,
        numbers=numbers,
        box=box if family.box else None,
        text=text,
    )
    generator.check(wish)
    if between is not None and wish != Wish():
        raise InputRefused(
            "--between is made from the two images alone; leave out what it is to show"
        )
    first = open_picture(input, family, resize=resize)
    second = None if between is None else open_picture(between, family, resize=resize)
    where = _region(generator, mask, box, resize=resize)
    record = _record(generator, settings, device, wish, where, first, second, count)
    files = PictureFiles(
        source=first,
        family=family,
        record=record,
        description=_description(second, where),
        derivation=EDITED if second is None else MIXED,
        of_modality=written_as == OF_MODALITY,
    )
    files.refuse_class()
    run = _Run(
        generator=generator,
        settings=settings,
        wish=wish,
        first=first,
        second=second,
        where=where,
        count=count,
        files=files,
    )
    record, already_there = made_once(
        final, record, lambda folder: run.make(folder, progress or silent), private=private
    )
    return _result_in(final, record, already_there=already_there)


def _result_in(folder: Path, record: RunRecord, *, already_there: bool) -> EditResult:
    content = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
    return EditResult(
        folder=folder,
        images=tuple(folder / each["file"] for each in content["images"]),
        contact_sheet=folder / CONTACT_SHEET_NAME,
        record=record,
        pixels_kept=int(content["pixels_kept"]),
        notes=tuple(content["notes"]),
        already_there=already_there,
    )


def _count(between: object, number: int | None) -> int:
    if between is None:
        if number is not None:
            raise InputRefused("--number says how many images lie between two; give --between")
        return 1
    count = 5 if number is None else number
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_BETWEEN:
        raise InputRefused(
            f"number must be a whole number from 1 to {MOST_BETWEEN}, got {count}",
            reason="setting",
        )
    return count


def _check_bounds(between: object, strength: float | None, mask: object, box: object) -> None:
    """Refuse a change that is bounded twice, or has no bounds and is given some."""
    if between is not None and not (mask is box is strength is None):
        raise InputRefused(
            "--between goes from one whole image to another, so a region or a strength means "
            "nothing there; leave them out"
        )
    if mask is not None and box is not None:
        raise InputRefused("--mask and --box both bound the change; give one of them")


def _region(
    generator: Generator,
    mask: str | Path | NDArray | None,
    box: Sequence[float] | str | None,
    *,
    resize: bool,
) -> NDArray[np.bool_] | None:
    """Where the image may change; None for everywhere."""
    rows, columns = generator.family.rows, generator.family.columns
    if box is not None:
        bounds = Wish(box=parsed_box(box)).box
        assert bounds is not None
        return inside_box(bounds, rows, columns)
    if mask is None:
        return None
    labels = read_mask(mask)
    if labels.shape != (rows, columns) and resize:
        labels = resized_mask(labels, rows, columns)
    if labels.shape != (rows, columns):
        raise InputRefused(
            f"the mask has {labels.shape[0]} rows and {labels.shape[1]} columns; "
            f"{generator.family.name} takes {rows} x {columns}",
            reason="matrix",
        )
    if not labels.any():
        raise InputRefused(
            "the mask is empty: every pixel is 0, so nothing may change; mark a region"
        )
    return labels > 0


def _record(
    generator: Generator,
    settings: EditSettings,
    device: str,
    wish: Wish,
    where: NDArray[np.bool_] | None,
    first: Picture,
    second: Picture | None,
    count: int,
) -> RunRecord:
    said = asdict(settings) | {
        "family": generator.family.name,
        "wish": wish.described(),
        "device": device.partition(":")[0],
    }
    if where is not None:
        said["region_sha256"] = hashlib.sha256(np.packbits(where).tobytes()).hexdigest()
    if second is not None:
        said["number"] = count
    digests = [first.digest(), *([] if second is None else [second.digest()])]
    return RunRecord(
        task="edit",
        product_version=__version__,
        model_name=generator.name,
        model_version=generator.version,
        weights_sha256=generator.weights_sha256,
        settings=said,
        source_digest=hashlib.sha256(" ".join(digests).encode()).hexdigest(),
        library_versions=library_versions(),
    )


def _description(second: Picture | None, where: NDArray[np.bool_] | None) -> str:
    if second is not None:
        return "An image between two others, made by a diffusion model."
    if where is None:
        return "An image that was altered throughout by a diffusion model."
    return "An image that was drawn anew by a diffusion model inside a region, and kept outside."


@dataclass(frozen=True, kw_only=True)
class _Made:
    """One image that the model gave, and what else is to be told of it."""

    image: Generated
    more: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One run, ready to draw: nothing is left that could refuse it before work."""

    generator: Generator
    settings: EditSettings
    wish: Wish
    first: Picture
    second: Picture | None
    where: NDArray[np.bool_] | None
    count: int
    files: PictureFiles

    def make(self, folder: Path, progress: Progress) -> None:
        """Draw and write everything; the record last."""
        family = self.generator.family
        (folder / IMAGES).mkdir()
        before = self.first.values(family)
        tiles = [Tile(picture=windowed(before, family.window), caption="before")]
        told, kept = [], 0
        where = np.ones(before.shape, bool) if self.where is None else self.where
        progress(0, self.count)
        for number, made in enumerate(self._images(before), 1):
            native, num_clipped = self.first.altered(made.image.values, where)
            path = self.files.write(folder / IMAGES, native, made.image, number, **made.more)
            kept = self.files.prove_kept(path, where)
            tiles += self._tiles(before, made)
            told.append(self._told(path, made, num_clipped))
            progress(number, self.count)
        if self.second is not None:
            after = windowed(self.second.values(family), family.window)
            tiles.append(Tile(picture=after, caption="the second image"))
        record = self.files.record
        said = {"record": record.digest(), "model": record.model_name}
        save_png(sheet(self._heading(), tiles), folder / CONTACT_SHEET_NAME, said=said)
        model = f"{record.model_name} {record.model_version}"
        write_text(folder / MARKER, _MARKER.format(model=model, version=__version__))
        notes = [
            *getattr(self.generator, "notes", ()),
            *self.first.notes,
            *(self.second.notes if self.second else ()),
            *(note for each in told for note in each["notes"]),
        ]
        write_record(
            folder,
            {
                "record": record.as_dict(),
                "synthetic": True,
                "family": family.described(),
                "images": told,
                "pixels_kept": kept,
                "notes": notes,
            },
        )

    def _images(self, before: NDArray) -> Iterator[_Made]:
        if self.second is None:
            yield self._altered(before)
            return
        after = self.second.values(self.generator.family)
        shares = [place / (self.count + 1) for place in range(1, self.count + 1)]
        given = self.generator.interpolate(before, after, shares)
        for share, values in zip(shares, given, strict=True):
            image = Generated(values=values, wish=self.wish, seed=self.settings.seed)
            check_image(self.generator, image)
            if self._is_copy(values, before, after):
                raise _only_copies()
            yield _Made(image=image, more={"fraction": share})

    def _altered(self, before: NDArray) -> _Made:
        """The altered image, drawn again while it is a copy."""
        settings = self.settings
        request = Request(wish=self.wish, seed=settings.seed)
        for attempt in range(MOST_ATTEMPTS):
            image = self.generator.edit(
                before,
                self.wish,
                request.seed_of(attempt),
                strength=settings.strength,
                mask=self.where,
                steps=settings.steps,
                guidance=settings.guidance,
            )
            check_image(self.generator, image)
            if not self._is_copy(image.values, before):
                more = {"strength": settings.strength, "copies_replaced": attempt}
                return _Made(image=image, more=more)
        raise _only_copies()

    def _is_copy(self, values: NDArray, *given: NDArray) -> bool:
        """Whether it shows a training patient that the user did not bring."""
        is_copy = self.generator.is_copy
        return is_copy(values) and not any(is_copy(one) for one in given)

    def _tiles(self, before: NDArray, made: _Made) -> list[Tile]:
        family, values = self.generator.family, made.image.values
        box = made.image.wish.box
        if self.second is not None:
            caption = f"{100 * made.more['fraction']:.0f} % of the way"
            return [Tile(picture=windowed(values, family.window), caption=caption)]
        caption = f"after: {wish_in_words(made.image)}"
        width = family.window[1]
        return [
            Tile(picture=windowed(values, family.window), caption=caption, box=box),
            Tile(
                picture=windowed(values - before, (0.0, width)),
                caption="change, in the width of the window; gray is none",
            ),
        ]

    def _told(self, path: Path, made: _Made, num_clipped: int) -> dict[str, Any]:
        return {
            "file": f"{IMAGES}/{path.name}",
            "seed": made.image.seed,
            "wish": made.image.wish.described(),
            "values_clipped": num_clipped,
            "notes": list(made.image.notes),
            **made.more,
        }

    def _heading(self) -> str:
        record = self.files.record
        return (
            f"{self.generator.family.title}. SYNTHETIC in whole or in part: altered by "
            f"{record.model_name} {record.model_version}. Not for diagnosis."
        )


def _only_copies() -> ModelRefused:
    return ModelRefused(
        "the model gave nothing but a copy of an image it was trained on; nothing was written. "
        "Give another --seed, or less --strength",
        reason="only_copies",
    )
