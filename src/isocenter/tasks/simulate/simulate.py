"""An examination of a head that nobody has, in a folder that appears at once.

Like ``generate`` it stands beside :data:`isocenter.tasks.registry.TASKS`, as it reads no scan.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused
from isocenter.core.files import named_path, write_json, write_text
from isocenter.core.image_folders import MARKER
from isocenter.core.progress import Progress, silent
from isocenter.core.record import RunRecord
from isocenter.core.version import __version__, library_versions
from isocenter.core.volume import Geometry, Volume
from isocenter.datasets.label_maps import LabelMap, made_up_map
from isocenter.datasets.mr_cohort import SIMULATION_VERSION, sequence_generator
from isocenter.datasets.splits import TRAIN
from isocenter.dicom.marking import Provenance, now
from isocenter.dicom.writing.simulated_study import SimulatedStudyWriter
from isocenter.image.volume_files import is_volume_file, write_volume_file
from isocenter.physics.phantom.anatomy import EXTRA_NAMES
from isocenter.physics.phantom.choices import ADC, LESION_NAMES
from isocenter.physics.phantom.head import SimulatedHead, make_head
from isocenter.physics.phantom.head_tissues import TISSUE_NAMES
from isocenter.physics.phantom.scan import Flaws, Grid, Scan, Slice, acquired
from isocenter.physics.phantom.sequences import Sequence, draw_sequence
from isocenter.tasks.result_folder import RECORD_NAME, made_once, write_record
from isocenter.tasks.simulate.overview import OVERVIEW_NAME, Overview
from isocenter.tasks.simulate.settings import SimulateSettings

LABELS_NAME, LABEL_NAMES_NAME = "labels.nii.gz", "labels.json"
_MARKER = """Every image in this folder is synthetic: computed from a label map of a head and the
equations of MR, measured by no scanner, of no patient. Not for diagnosis.
Keep this file with the images. Isocenter {version}; how each was made stands in record.json.
"""
_DESCRIPTION = "Computed from a map of tissues and the equations of MR; no patient was scanned."
_LIMITS = "Shows no patient. Not for diagnosis."
# The contrast that a mask is drawn over, where it was simulated; else the first one.
_OVER = {
    "plaque": "FLAIR", "edema": "FLAIR", "enhancing tumor": "T1c", "necrosis": "T1c",
    "infarct": "b1000",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SimulateResult:
    """Where a simulated examination lies and what it shows.

    Attributes:
        folder: holds everything below.
        images: files of each contrast, in slice order, or one NIfTI file.
        masks: files of the truth on lesions, by name of the lesion.
        labels: NIfTI file of tissues; their names stand in labels.json.
        overview: picture of some slices of all contrasts.
        head: what was drawn: lesion, volume, age and so on.
        record: settings, seed, versions and digests.
        already_there: True where an earlier run had made this very result.
    """

    folder: Path
    images: dict[str, tuple[Path, ...]]
    masks: dict[str, tuple[Path, ...]]
    labels: Path
    overview: Path
    head: dict[str, float | str]
    record: RunRecord
    already_there: bool = False


def simulate_brain(
    output: str | Path,
    *,
    label_map: str | Path | None = None,
    settings: SimulateSettings | None = None,
    private: bool = False,
    progress: Progress | None = None,
    **changes: Any,
) -> SimulateResult:
    """Simulate an MR examination of a head: images, and the truth behind them.

    Args:
        output: folder for the result; new or empty. It appears when everything is written. Where it
            already holds the result of the same request, that is checked and returned.
        label_map: NIfTI or MetaImage file of FreeSurfer's labels; a head of ellipsoids without it.
        settings: see :class:`isocenter.tasks.simulate.settings.SimulateSettings`.
        private: folders and files are for their owner alone (0700 and 0600).
        progress: called after every slice.
        **changes: single settings by name, such as ``lesion="infarct"``.

    Raises:
        InputRefused: a setting, or a label map that is none; nothing is written.
        OutputRefused: the place to write to.
    """
    chosen = replace(settings or SimulateSettings(), **changes)
    final = named_path(output).resolve()
    source = _label_map(label_map, chosen.seed)
    record = RunRecord(
        task="simulate",
        product_version=__version__,
        model_name="Simulated head",
        model_version=f"{__version__}.{SIMULATION_VERSION}",
        weights_sha256="",
        settings=asdict(chosen) | {"simulation": SIMULATION_VERSION},
        source_digest=source.digest(),
        library_versions=library_versions(),
    )
    run = _Run(source=source, settings=chosen, record=record)
    record, already_there = made_once(
        final, record, lambda folder: run.make(folder, progress or silent), private=private
    )
    return _result_in(final, record, already_there=already_there)


def _label_map(path: str | Path | None, seed: int) -> LabelMap:
    if path is None:
        return made_up_map(seed)
    place = named_path(path)
    if not place.is_file():
        raise InputRefused("there is no such label map", reason="no_such_input")
    if not is_volume_file(place):
        raise InputRefused("a label map is a .nii, .nii.gz, .mha or .mhd file; convert it first")
    return LabelMap(name="label map", part=TRAIN, path=place)


def _result_in(folder: Path, record: RunRecord, *, already_there: bool) -> SimulateResult:
    content = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
    images, masks = (
        {name: tuple(folder / one for one in files) for name, files in content[kind].items()}
        for kind in ("images", "masks")
    )
    return SimulateResult(
        folder=folder,
        images=images,
        masks=masks,
        labels=folder / LABELS_NAME,
        overview=folder / OVERVIEW_NAME,
        head=content["head"],
        record=record,
        already_there=already_there,
    )


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One run, ready to simulate."""

    source: LabelMap
    settings: SimulateSettings
    record: RunRecord

    def make(self, folder: Path, progress: Progress) -> None:
        """Simulate and write everything; the record last."""
        settings = self.settings
        progress(0, settings.num_slices)
        head = self._head()
        scan = self._scan(head)
        geometry = _geometry(scan.grid)
        files = self._files(folder, geometry, scan)
        overview = Overview(scan.grid.shape[0], settings.names)
        tissues, lesions = (np.zeros(scan.grid.shape, np.uint8) for _ in range(2))
        for one in scan.slices():
            files.write(one)
            overview.add(one)
            tissues[one.index], lesions[one.index] = one.tissues, one.lesions
            progress(one.index + 1, settings.num_slices)
        images = files.finish()
        masks = {
            name: files.write_mask(name, lesions == LESION_NAMES.index(name) + 1)
            for name in head.lesion_names
        }
        _write_labels(folder, tissues, geometry)
        overview.save(folder, heading=_heading(head), said={"record": self.record.digest()})
        write_text(folder / MARKER, _MARKER.format(version=__version__))
        write_record(folder, self._told(folder, head, scan, images, masks))

    def _head(self) -> SimulatedHead:
        settings = self.settings
        try:
            return make_head(
                self.source.tissues(),
                seed=settings.seed,
                lesion=settings.lesion,
                field_tesla=settings.field,
                age_hours=settings.age_hours,
                artery=settings.artery,
                plaques=settings.plaques,
            )
        except InputRefused:
            raise
        except ValueError as error:
            raise InputRefused(
                f"no head can be made of the label map: {error}; name another map, lesion or seed"
            ) from error

    def _scan(self, head: SimulatedHead) -> Scan:
        settings = self.settings
        names = settings.names
        return Scan(
            head=head,
            sequences={
                name: draw_sequence(
                    name,
                    field_tesla=settings.field,
                    rng=sequence_generator(settings.seed, name),
                )
                for name in acquired(names)
            },
            grid=Grid(
                shape=(settings.num_slices, settings.size, settings.size),
                spacing_mm=(settings.slice, settings.pixel, settings.pixel),
                thickness_mm=settings.slice,
            ),
            seed=settings.seed,
            flaws=Flaws(noise=settings.noise, others=settings.flaws, bending=settings.bending),
            with_adc=ADC in names,
        )

    def _files(self, folder: Path, geometry: Geometry, scan: Scan) -> _Files:
        names = self.settings.names
        if self.settings.format == "nifti":
            return _NiftiFiles(folder, geometry, names)
        return _DicomFiles(folder, geometry, names, scan.sequences, self.record)

    def _told(
        self,
        folder: Path,
        head: SimulatedHead,
        scan: Scan,
        images: dict[str, list[Path]],
        masks: dict[str, list[Path]],
    ) -> dict[str, Any]:
        def named(files: dict[str, list[Path]]) -> dict[str, list[str]]:
            return {
                name: [one.relative_to(folder).as_posix() for one in some]
                for name, some in files.items()
            }

        return {
            "record": self.record.as_dict(),
            "synthetic": True,
            "head": {"map": self.source.name, **head.facts},
            "lesions": [
                {"name": one.name, "mm3": round(one.volume_mm3, 1), **one.facts}
                for one in head.lesions
            ],
            "sequences": {name: one.numbers() for name, one in scan.sequences.items()},
            "images": named(images),
            "masks": named(masks),
        }


class _Files:
    """How images and masks are written."""

    def __init__(self, folder: Path, geometry: Geometry, names: tuple[str, ...]) -> None:
        self.folder, self.geometry, self.names = folder, geometry, names

    def write(self, one: Slice) -> None:
        """Take one slice of all contrasts."""
        raise NotImplementedError

    def finish(self) -> dict[str, list[Path]]:
        """Files of each contrast."""
        raise NotImplementedError

    def write_mask(self, name: str, mask: NDArray[np.bool_]) -> list[Path]:
        """Write where a lesion is, over images that are finished."""
        raise NotImplementedError


class _NiftiFiles(_Files):
    """One volume a contrast."""

    def __init__(self, folder: Path, geometry: Geometry, names: tuple[str, ...]) -> None:
        super().__init__(folder, geometry, names)
        self._volumes = {name: np.zeros(geometry.shape, np.float32) for name in names}

    def write(self, one: Slice) -> None:
        for name, volume in self._volumes.items():
            volume[one.index] = np.rint(one.images[name])

    def finish(self) -> dict[str, list[Path]]:
        found = {}
        for name, array in self._volumes.items():
            volume = Volume(
                array=array, geometry=self.geometry, unit="µm²/s" if name == ADC else ""
            )
            path = self.folder / f"{name}.nii.gz"
            found[name] = [write_volume_file(volume, path, synthetic=True)]
        return found

    def write_mask(self, name: str, mask: NDArray[np.bool_]) -> list[Path]:
        path = self.folder / f"mask_{name.replace(' ', '_')}.nii.gz"
        volume = Volume(array=mask.astype(np.uint8), geometry=self.geometry, unit="")
        return [write_volume_file(volume, path, synthetic=True)]


class _DicomFiles(_Files):
    """One series a contrast, one Segmentation a lesion."""

    def __init__(
        self,
        folder: Path,
        geometry: Geometry,
        names: tuple[str, ...],
        sequences: dict[str, Sequence],
        record: RunRecord,
    ) -> None:
        super().__init__(folder, geometry, names)
        made_at = now()
        thickness = geometry.spacing_mm[0]
        headers = {
            name: sequences["b1000" if name == ADC else name].acquisition(
                slice_thickness_mm=thickness
            )
            for name in names
        }
        if ADC in headers:
            headers[ADC] = replace(headers[ADC], b_value_s_per_mm2=None)
        self._writer = SimulatedStudyWriter(
            folder,
            geometry=geometry,
            sequences=headers,
            case=record.digest()[:12].upper(),
            provenance=Provenance(
                record=record,
                model_description=_DESCRIPTION,
                limits=_LIMITS,
                clock=_standing(made_at),
            ),
        )

    def write(self, one: Slice) -> None:
        self._writer.write(one.index, one.images)

    def finish(self) -> dict[str, list[Path]]:
        return self._writer.finish()

    def write_mask(self, name: str, mask: NDArray[np.bool_]) -> list[Path]:
        over = _OVER[name] if _OVER[name] in self.names else self.names[0]
        return self._writer.write_mask(name, mask, over=over, label=name.capitalize())


def _standing(moment: Any) -> Callable[[], Any]:
    return lambda: moment


def _geometry(grid: Grid) -> Geometry:
    """The middle of all slices is the origin."""
    z, y, x = (
        -(count - 1) / 2 * step for count, step in zip(grid.shape, grid.spacing_mm, strict=True)
    )
    return Geometry(shape=grid.shape, spacing_mm=grid.spacing_mm, origin_mm=(x, y, z))


def _write_labels(folder: Path, tissues: NDArray[np.uint8], geometry: Geometry) -> None:
    volume = Volume(array=tissues, geometry=geometry, unit="")
    write_volume_file(volume, folder / LABELS_NAME, synthetic=True)
    names = dict(enumerate((*TISSUE_NAMES, *EXTRA_NAMES)))
    write_json(folder / LABEL_NAMES_NAME, names)


def _heading(head: SimulatedHead) -> str:
    said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in head.facts.items())
    return (
        f"Simulated head at {head.field_tesla:g} T: {said}. SYNTHETIC: computed, of no patient. "
        "Not for diagnosis."
    )
