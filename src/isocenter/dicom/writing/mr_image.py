"""New MR images: values of any unit, and no sequence that never ran."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from isocenter.core.acquisition import Acquisition, MrSequence
from isocenter.dicom.writing.image_kind import ImageKind, decimal, decimal_or_empty

_TIMES = ("RepetitionTime", "EchoTime", "EchoTrainLength")


def _write_acquisition(dataset: Dataset, acquisition: Acquisition) -> None:
    """A research image without times, whatever its sources were measured with.

    Nobody waited an echo time for a computed image: a time copied here would be read as measured.
    Only a simulation, whose sequence is known as a whole, has times of its own.
    """
    if isinstance(acquisition, MrSequence):
        _write_sequence(dataset, acquisition)
        return
    dataset.ScanningSequence = "RM"
    dataset.SequenceVariant = "NONE"
    dataset.ScanOptions = None
    dataset.MRAcquisitionType = None
    for keyword in _TIMES:
        setattr(dataset, keyword, None)


def _write_sequence(dataset: Dataset, sequence: MrSequence) -> None:
    """What PS3.3 C.8.3.1 asks of a sequence.

    The b-value has its place in the diffusion module of Enhanced MR; scanners write it into classic
    images too (a Standard Extended SOP Class), and readers look for it there.
    """
    dataset.ScanningSequence = list(sequence.scanning_sequence)
    dataset.SequenceVariant = list(sequence.sequence_variant)
    dataset.ScanOptions = list(sequence.scan_options) or None
    dataset.MRAcquisitionType = "3D" if sequence.is_3d else "2D"
    dataset.RepetitionTime = decimal_or_empty(sequence.repetition_time_ms)
    dataset.EchoTime = decimal_or_empty(sequence.echo_time_ms)
    dataset.EchoTrainLength = sequence.echo_train_length
    for keyword, value in (
        ("InversionTime", sequence.inversion_time_ms),
        ("FlipAngle", sequence.flip_deg),
        ("MagneticFieldStrength", sequence.field_strength_t),
    ):
        if value is not None:
            setattr(dataset, keyword, decimal(value))
    if sequence.b_value_s_per_mm2 is not None:
        dataset.DiffusionBValue = float(sequence.b_value_s_per_mm2)
    if sequence.contrast_agent:
        dataset.ContrastBolusAgent = sequence.contrast_agent


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
