"""Measurements of a mask as DICOM Structured Report: Comprehensive 3D SR, template TID 1500."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from highdicom import sr
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import SegmentationStorage

from isocenter.core.files import flush
from isocenter.core.outputs import MILLILITER, Code, MeasurementOutput
from isocenter.dicom.marking import PRODUCT, Provenance, fitted, mark, series_text
from isocenter.dicom.uids import derived_uid, device_uid, instance_uid, series_uid
from isocenter.dicom.writing.derived_header import MEASUREMENTS_NUMBER_BAND
from isocenter.dicom.writing.files import empty_place, save
from isocenter.dicom.writing.grid import check_slice
from isocenter.dicom.writing.multiframe import concept
from isocenter.dicom.writing.new_grid import NewGrid, grid_of
from isocenter.dicom.writing.segmentation import mask_instance_uid, mask_series_uid
from isocenter.dicom.writing.study import copy_person_and_study

if TYPE_CHECKING:
    from isocenter.dicom.reading.series import ImageSeries

VOLUME = Code("118565006", "SCT", "Volume")
MEAN = Code("373098007", "SCT", "Mean")
_OF_IMAGES = (
    "BodyPartExamined",
    "Laterality",
    "PatientPosition",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
)
MICROLITERS_IN_ML = 1000.0
DIGITS = 3


class MeasurementWriter:
    """Writes volume and mean value of what a mask marks, once all of it was seen.

    The report names the mask by its UID; write the mask beside it. The same place, record and
    values give the same UIDs and numbers again.
    """

    def __init__(
        self,
        place: ImageSeries | NewGrid,
        folder: Path,
        *,
        provenance: Provenance,
        output: MeasurementOutput,
    ) -> None:
        """Start a report in an empty folder.

        Args:
            place: the series that the mask is of, or a grid of its own.
            folder: exists and holds no report yet.
            output: what is measured.

        Raises:
            OutputRefused: the folder does not exist or is taken.
        """
        self._grid = grid_of(place, provenance)
        self._folder = empty_place(folder, "SR*.dcm")
        self._provenance = provenance
        self._output = output
        self._num_voxels = 0
        self._sum = 0.0
        self._marked: set[int] = set()

    def write(self, index: int, mask: NDArray, values: NDArray) -> None:
        """Take one slice of the mask, (row, column) bool, and of the map that it is measured in.

        Raises:
            ValueError: another shape.
        """
        check_slice(self._grid.geometry, index, mask)
        check_slice(self._grid.geometry, index, values)
        if mask.any():
            self._marked.add(index)
            self._num_voxels += int(np.count_nonzero(mask))
            self._sum += float(values[mask].sum(dtype=np.float64))

    def finish(self) -> list[Path]:
        """Write the report; returns its file."""
        path = self._folder / "SR0001.dcm"
        save(self._object(), path, product_version=self._provenance.record.product_version)
        flush(self._folder)
        return [path]

    def _object(self) -> Dataset:
        grid, provenance = self._grid, self._provenance
        record, role = provenance.record, f"measurements {self._output.name}"
        images = [
            one.header for index in sorted(self._marked or {0}) for one in grid.sources(index)
        ]
        dataset: Dataset = sr.Comprehensive3DSR(
            evidence=[self._mask_stand_in(), *map(_stand_in, images)],
            content=self._content(images)[0],
            series_instance_uid=series_uid(grid.name(), record.digest(), role=role),
            series_number=MEASUREMENTS_NUMBER_BAND + grid.series_number(),
            sop_instance_uid=instance_uid(grid.name(0), record.digest(), role=role),
            instance_number=1,
            manufacturer=PRODUCT,
            is_complete=True,
            is_final=False,
            is_verified=False,
        )
        copy_person_and_study(dataset, grid.header(0))
        for keyword in _OF_IMAGES:
            if keyword in dataset:
                delattr(dataset, keyword)
        mark(
            dataset,
            provenance,
            made_at=provenance.clock(),
            sources=grid.equipment(),
            purpose=grid.purpose,
        )
        dataset.SeriesDescription = series_text(
            provenance, self._output.label, flag=self._output.mask.flag
        )
        return dataset

    def _content(self, images: Iterable[Dataset]) -> sr.MeasurementReport:
        output, record = self._output, self._provenance.record
        observer = sr.DeviceObserverIdentifyingAttributes(
            uid=device_uid(record.weights_sha256),
            name=PRODUCT,
            manufacturer_name=PRODUCT,
            model_name=fitted(record.model_name, 64),
        )
        report: sr.MeasurementReport = sr.MeasurementReport(
            observation_context=sr.ObservationContext(
                observer_device_context=sr.ObserverContext(codes.DCM.Device, observer)
            ),
            procedure_reported=concept(output.procedure),
            title=codes.DCM.ImagingMeasurementReport,
            imaging_measurements=[
                sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
                    tracking_identifier=sr.TrackingIdentifier(
                        uid=derived_uid("finding", self._grid.name(), record.digest()),
                        identifier=output.mask.label,
                    ),
                    referenced_segment=self._segment(images),
                    finding_type=concept(output.finding),
                    algorithm_id=sr.AlgorithmIdentification(
                        name=fitted(f"{PRODUCT} {record.model_name}", 64),
                        version=record.product_version,
                    ),
                    measurements=list(self._measurements()),
                )
            ],
        )
        return report

    def _segment(self, images: Iterable[Dataset]) -> sr.ReferencedSegment:
        grid, mask = self._grid, self._output.mask
        segment: sr.ReferencedSegment = sr.ReferencedSegment(
            sop_class_uid=SegmentationStorage,
            sop_instance_uid=mask_instance_uid(grid, self._provenance, mask),
            segment_number=1,
            source_images=[
                sr.SourceImageForSegmentation(
                    referenced_sop_class_uid=image.SOPClassUID,
                    referenced_sop_instance_uid=image.SOPInstanceUID,
                )
                for image in images
            ],
        )
        return segment

    def _measurements(self) -> Iterable[sr.Measurement]:
        """The volume, and the mean where there is anything to take it of."""
        output = self._output
        voxel_ml = float(np.prod(self._grid.geometry.spacing_mm)) / MICROLITERS_IN_ML
        shared: dict[str, Any] = {"method": concept(output.derivation)}
        yield sr.Measurement(
            name=concept(VOLUME),
            value=round(self._num_voxels * voxel_ml, DIGITS),
            unit=concept(MILLILITER.code),
            **shared,
        )
        if self._num_voxels:
            yield sr.Measurement(
                name=concept(output.of.quantity),
                value=round(self._sum / self._num_voxels, DIGITS),
                unit=concept(output.of.unit.code),
                derivation=concept(MEAN),
                **shared,
            )

    def _mask_stand_in(self) -> Dataset:
        """What a report needs of a mask that may not be written yet."""
        mask = Dataset()
        mask.SOPClassUID = SegmentationStorage
        mask.SOPInstanceUID = mask_instance_uid(self._grid, self._provenance, self._output.mask)
        mask.SeriesInstanceUID = mask_series_uid(self._grid, self._provenance, self._output.mask)
        mask.StudyInstanceUID = self._grid.header(0).StudyInstanceUID
        return _of_nobody(mask)


def _stand_in(image: Dataset) -> Dataset:
    """An image without whatever highdicom refuses of scanners' headers."""
    stand_in = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        setattr(stand_in, keyword, image[keyword].value)
    return _of_nobody(stand_in)


def _of_nobody(stand_in: Dataset) -> Dataset:
    """Add in place what is copied from the source afterwards."""
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID"):
        setattr(stand_in, keyword, "")
    stand_in.AccessionNumber = ""
    stand_in.StudyDate = stand_in.StudyTime = None
    return stand_in
