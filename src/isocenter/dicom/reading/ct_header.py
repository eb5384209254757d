"""What a CT header says besides: kernel, tube, exposure, gantry."""

from __future__ import annotations

from isocenter.core.acquisition import CtAcquisition
from isocenter.dicom.reading.header_kind import HeaderKind
from isocenter.dicom.reading.header_values import (
    Values,
    lenient_number,
    plain_text,
    positive,
    texts,
)

CLASSIC_CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.2"


def _acquisition(values: Values) -> CtAcquisition:
    return CtAcquisition(
        modality=plain_text(values.get("Modality"), 16),
        kernel=plain_text("\\".join(texts(values.get("ConvolutionKernel"))), 64),
        slice_thickness_mm=positive(values.get("SliceThickness")),
        tube_voltage_kv=positive(values.get("KVP")),
        exposure_mas=_exposure_mas(values),
        gantry_tilt_deg=lenient_number(values.get("GantryDetectorTilt")),
        reconstruction_diameter_mm=positive(values.get("ReconstructionDiameter")),
        manufacturer=plain_text(values.get("Manufacturer"), 64),
        manufacturer_model=plain_text(values.get("ManufacturerModelName"), 64),
        body_part=plain_text(values.get("BodyPartExamined"), 16),
    )


def _exposure_mas(values: Values) -> float | None:
    micro = positive(values.get("ExposureInuAs"))
    if (precise := positive(values.get("ExposureInmAs"))) is not None:
        return precise
    return micro / 1000 if micro is not None else positive(values.get("Exposure"))


CT_HEADER = HeaderKind(
    modality="CT",
    sop_classes=(CLASSIC_CT, ENHANCED_CT, LEGACY_ENHANCED_CT),
    multiframe_classes=(ENHANCED_CT, LEGACY_ENHANCED_CT),
    keywords=(
        "ConvolutionKernel",
        "ReconstructionDiameter",
        "GantryDetectorTilt",
        "KVP",
        "Exposure",
        "ExposureInuAs",
        "ExposureInmAs",
    ),
    groups=(
        "CTReconstructionSequence",
        "CTImageFrameTypeSequence",
        "CTAcquisitionDetailsSequence",
        "CTExposureSequence",
        "CTXRayDetailsSequence",
    ),
    acquisition=_acquisition,
)
