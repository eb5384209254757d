"""New CT images: Hounsfield units in steps of one, and what a CT image says of its making."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from isocenter.core.acquisition import Acquisition, CtAcquisition
from isocenter.dicom.writing.image_kind import ImageKind, decimal_or_empty
from isocenter.dicom.writing.scale import Scale


def _write_acquisition(dataset: Dataset, acquisition: Acquisition) -> None:
    """What is known; KVP, which must be there, is empty where it is not."""
    known = acquisition if isinstance(acquisition, CtAcquisition) else CtAcquisition()
    exposure = known.exposure_mas
    dataset.KVP = decimal_or_empty(known.tube_voltage_kv)
    dataset.AcquisitionNumber = 1
    facts = {
        "Exposure": None if exposure is None else round(exposure),
        "ConvolutionKernel": known.kernel or None,
        "GantryDetectorTilt": decimal_or_empty(known.gantry_tilt_deg),
        "ReconstructionDiameter": decimal_or_empty(known.reconstruction_diameter_mm),
    }
    for keyword, value in facts.items():
        if value is not None:
            setattr(dataset, keyword, value)


CT_IMAGE = ImageKind(
    modality="CT",
    sop_class_uid=CTImageStorage,
    flavors=("AXIAL",),
    empty_where_unknown=("KVP", "AcquisitionNumber", "SliceThickness", "InstanceNumber"),
    unit="HU",
    rescale_type="HU",
    scale=Scale(slope=1.0, intercept=-1024.0, padding=-2000),
    window=(-160.0, 240.0),
    write_acquisition=_write_acquisition,
)
