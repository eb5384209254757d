"""New MR images: values of any unit, and no sequence that never ran."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from isocenter.core.acquisition import Acquisition
from isocenter.dicom.writing.image_kind import ImageKind

_TIMES = ("RepetitionTime", "EchoTime", "EchoTrainLength")


def _write_acquisition(dataset: Dataset, acquisition: Acquisition) -> None:
    """A research image without times, whatever its sources were measured with.

    Nobody waited an echo time for a computed image: a time copied here would be read as measured.
    """
    dataset.ScanningSequence = "RM"
    dataset.SequenceVariant = "NONE"
    dataset.ScanOptions = None
    dataset.MRAcquisitionType = None
    for keyword in _TIMES:
        setattr(dataset, keyword, None)


MR_IMAGE = ImageKind(
    modality="MR",
    sop_class_uid=MRImageStorage,
    flavors=(
        "OTHER",
        "DENSITY MAP",
        "DIFFUSION MAP",
        "IMAGE ADDITION",
        "MODULUS SUBTRACT",
        "MPR",
        "PHASE MAP",
        "PHASE SUBTRACT",
        "PROJECTION IMAGE",
        "T1 MAP",
        "T2 MAP",
        "VELOCITY MAP",
    ),
    empty_where_unknown=(
        "ScanOptions",
        "MRAcquisitionType",
        *_TIMES,
        "SliceThickness",
        "InstanceNumber",
    ),
    unit="",
    rescale_type="",
    scale=None,
    window=None,
    write_acquisition=_write_acquisition,
)
