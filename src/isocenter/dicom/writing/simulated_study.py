"""A simulated examination on disk: one classic MR series a contrast, and masks of what is true.

The images stand for a scan, as a software phantom does: no model changed them, so tasks that refuse
what a model made take them. They are marked synthetic in coded elements, and name no person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from numpy.typing import NDArray

from isocenter.core.acquisition import MrSequence
from isocenter.core.outputs import (
    NO_UNIT,
    SQUARE_MICROMETERS_PER_SECOND,
    Code,
    MaskOutput,
    SeriesOutput,
)
from isocenter.core.volume import Geometry
from isocenter.dicom.marking import Provenance
from isocenter.dicom.reading.open import open_series
from isocenter.dicom.writing.new_grid import NewGrid, OwnGrid
from isocenter.dicom.writing.new_series import NewSeriesWriter
from isocenter.dicom.writing.phantom_scan import NOT_DERIVED
from isocenter.dicom.writing.segmentation import SegmentationWriter
from isocenter.dicom.writing.study import Subject

FLAG = "SYNTHETIC PHANTOM"
DESCRIPTION = "SYNTHETIC PHANTOM HEAD (software, no patient)"
SIMULATION = Code("SIMULATE", "99ISOCENTER", "Simulation")
TRUTH = Code("SIMTRUTH", "99ISOCENTER", "Truth that a simulation knows")
_ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
_KINDS = {
    "plaque": Code("52988006", "SCT", "Lesion"),
    "edema": Code("79654002", "SCT", "Edema"),
    "enhancing tumor": Code("108369006", "SCT", "Neoplasm"),
    "necrosis": Code("6574001", "SCT", "Necrosis"),
    "infarct": Code("55641003", "SCT", "Infarct"),
}
_ADC = "ADC"


class SimulatedStudyWriter:
    """Writes the contrasts of one head slice by slice, then the masks of its lesions.

    All series share patient, study and frame of reference, which are nobody's and new. The same
    record gives the same UIDs again.
    """

    def __init__(
        self,
        folder: Path,
        *,
        geometry: Geometry,
        sequences: Mapping[str, MrSequence],
        case: str,
        provenance: Provenance,
    ) -> None:
        """Make a folder for each series.

        Args:
            folder: exists; series and masks get folders of their names in it.
            geometry: of all series.
            sequences: by contrast, in the order of their numbers; ADC has that of its source.
            case: letters, digits and "-" that name the head, at most 32.
            provenance: of the run; its clock must stand still, so that all series are of one time.

        Raises:
            OutputRefused: a folder is taken.
        """
        self._folder = folder
        self._provenance = provenance
        self._subject = Subject(
            case=case,
            name=f"PHANTOM^HEAD {case}",
            identifier=f"SYN-HEAD-{case}",
            description=DESCRIPTION,
            is_phantom=True,
        )
        self._count = geometry.shape[0]
        self._writers = {
            name: self._writer(name, sequence, geometry, number)
            for number, (name, sequence) in enumerate(sequences.items(), start=1)
        }

    def _writer(
        self, name: str, sequence: MrSequence, geometry: Geometry, number: int
    ) -> NewSeriesWriter:
        place = self._folder / name
        place.mkdir()
        provenance = replace(self._provenance, series_description=_described(name, sequence))
        grid = NewGrid(geometry=geometry, acquisition=sequence, subject=self._subject)
        is_adc = name == _ADC
        output = SeriesOutput(
            name=name,
            label=f"{name} images",
            modality="MR",
            unit=SQUARE_MICROMETERS_PER_SECOND if is_adc else NO_UNIT,
            derivation=NOT_DERIVED,
            flag=FLAG,
            absolute=True,
            image_flavor="DIFFUSION MAP" if is_adc else "OTHER",
        )
        return NewSeriesWriter(
            place,
            geometry=geometry,
            acquisition=sequence,
            provenance=provenance,
            output=output,
            grid=_Numbered(grid, provenance, number),
        )

    def write(self, index: int, images: Mapping[str, NDArray]) -> None:
        """Write one slice of every contrast; values are rounded to whole numbers."""
        for name, writer in self._writers.items():
            writer.write(index, images[name].round())

    def finish(self) -> dict[str, list[Path]]:
        """Complete all series; returns the files of each in slice order."""
        return {name: writer.finish() for name, writer in self._writers.items()}

    def write_mask(self, name: str, mask: NDArray, *, over: str, label: str) -> list[Path]:
        """Write a mask of a lesion over a series that is finished; returns its file.

        Args:
            name: such as "infarct".
            mask: (slice, row, column) bool.
            over: contrast whose images it refers to.
            label: of the segment, in words.
        """
        series = open_series(self._folder / over, modality="MR", accept_enhanced=True)
        place = self._folder / f"mask_{name.replace(' ', '_')}"
        place.mkdir()
        writer = SegmentationWriter(
            series,
            place,
            provenance=replace(self._provenance, series_description=label),
            output=MaskOutput(
                name=name,
                label=label,
                derivation=TRUTH,
                category=_ABNORMAL,
                kind=_KINDS[name],
                flag=f"{FLAG} TRUTH",
                family=SIMULATION,
            ),
        )
        for index in range(self._count):
            writer.write(index, mask[index])
        return writer.finish()


class _Numbered(OwnGrid):
    """The grid of all series, with the number of one."""

    def __init__(self, new: NewGrid, provenance: Provenance, number: int) -> None:
        super().__init__(new, provenance)
        self._number = number

    def series_number(self) -> int:
        return self._number


def _described(name: str, sequence: MrSequence) -> str:
    return name if name == _ADC else f"{name} {sequence.sequence}"
