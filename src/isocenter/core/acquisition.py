"""What is known of how a scan was made; nothing here identifies a person."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """What any scanner says of a scan.

    Attributes:
        modality: DICOM Modality, such as "CT"; "" where unknown.
        slice_thickness_mm: None where unknown.
        manufacturer, manufacturer_model, body_part: "" where unknown.
    """

    modality: str = ""
    slice_thickness_mm: float | None = None
    manufacturer: str = ""
    manufacturer_model: str = ""
    body_part: str = ""


@dataclass(frozen=True, kw_only=True)
class CtAcquisition(Acquisition):
    """What a CT scanner says besides.

    Attributes:
        kernel: reconstruction kernel as the scanner names it, "" where unknown.
        tube_voltage_kv, exposure_mas, gantry_tilt_deg, reconstruction_diameter_mm: None where
            unknown.
    """

    modality: str = "CT"
    kernel: str = ""
    tube_voltage_kv: float | None = None
    exposure_mas: float | None = None
    gantry_tilt_deg: float | None = None
    reconstruction_diameter_mm: float | None = None


@dataclass(frozen=True, kw_only=True)
class MrAcquisition(Acquisition):
    """What an MR scanner says besides.

    Attributes:
        sequence: name or kind of the sequence as the scanner writes it, "" where unknown.
        echo_time_ms, repetition_time_ms, inversion_time_ms, flip_deg: of the sequence.
        field_strength_t: of the magnet.
        b_value_s_per_mm2: diffusion weighting. All None where unknown.
        echo_train_length: echoes read after one excitation, None where unknown.
        scanning_sequence, sequence_variant, scan_options, image_type: DICOM's own terms.
        is_3d, is_angiography, has_contrast_agent: None where the header does not say.
        described_as: words out of a fixed list (such as "flair") that free texts of the header
            hold; nothing else of those texts is kept.
    """

    modality: str = "MR"
    sequence: str = ""
    echo_time_ms: float | None = None
    repetition_time_ms: float | None = None
    inversion_time_ms: float | None = None
    flip_deg: float | None = None
    field_strength_t: float | None = None
    b_value_s_per_mm2: float | None = None
    echo_train_length: int | None = None
    scanning_sequence: tuple[str, ...] = ()
    sequence_variant: tuple[str, ...] = ()
    scan_options: tuple[str, ...] = ()
    image_type: tuple[str, ...] = ()
    is_3d: bool | None = None
    is_angiography: bool | None = None
    has_contrast_agent: bool | None = None
    described_as: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MrSequence(MrAcquisition):
    """An MR acquisition whose sequence is known as a whole, such as one that was simulated.

    Attributes:
        contrast_agent: what was given, "" for none.
    """

    contrast_agent: str = ""
