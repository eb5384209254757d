"""Headers of derived images: what stays of the source, and what is added."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from isocenter.core.outputs import SeriesOutput
from isocenter.dicom.marking import (
    Provenance,
    comment_text,
    derivation_text,
    from_slices,
    mark,
    series_text,
)
from isocenter.dicom.uids import instance_uid, series_uid
from isocenter.dicom.writing.kept_header import fill_empty, kept_header, readable_text
from isocenter.dicom.writing.modalities import image_kind
from isocenter.dicom.writing.references import (
    derivation_codes,
    refer_to_series,
    source_image,
    write_lossy,
)

SERIES_NUMBER_BAND = 9000
MAP_NUMBER_BAND = SERIES_NUMBER_BAND + 500
MASK_NUMBER_BAND = MAP_NUMBER_BAND + 500
MAP_IMAGES_NUMBER_BAND = MASK_NUMBER_BAND + 500
MAP_PICTURES_NUMBER_BAND = MAP_IMAGES_NUMBER_BAND + 500
MEASUREMENTS_NUMBER_BAND = MAP_PICTURES_NUMBER_BAND + 500


def classic_header(
    window: Sequence[Dataset],
    provenance: Provenance,
    output: SeriesOutput,
    *,
    made_at: datetime,
    variant: str = "",
) -> Dataset:
    """Header of one derived single-frame image, ready for its pixels.

    Args:
        window: headers of all slices that it was computed from, that at the same place first.
        made_at: time of making, with time zone.
        variant: as in :class:`isocenter.dicom.writing.derived_series.DerivedSeriesWriter`.
    """
    source = window[0]
    kind = image_kind(output.modality)
    header = kept_header(source, kind.sop_class_uid)
    fill_empty(header, kind.empty_where_unknown)
    header.SOPClassUID = kind.sop_class_uid
    header.ImageType = kind.image_type(output.image_type, flavor=_flavor(source))
    write_identity(header, source, provenance, output, variant=variant)
    mark(header, provenance, made_at=made_at, sources=[header])
    _write_derivation(header, source, provenance, output)
    if kind.rescale_type and not header.get("RescaleType"):
        header.RescaleType = kind.rescale_type
    header.SourceImageSequence = [source_image(image) for image in window]
    refer_to_series(header, window)
    write_lossy(header, window)
    return header


def _flavor(source: Dataset) -> str:
    """Value 3 of Image Type, "" where the source has none."""
    values = source.get("ImageType")
    return str(values[2]) if isinstance(values, MultiValue) and len(values) > 2 else ""


def write_identity(
    header: Dataset,
    source: Dataset,
    provenance: Provenance,
    output: SeriesOutput,
    *,
    variant: str = "",
) -> None:
    """Make a kept header that of another instance, of another series."""
    digest = provenance.record.digest()
    image, series = f"image {variant}".rstrip(), f"series {variant}".rstrip()
    header.SOPInstanceUID = instance_uid(source.SOPInstanceUID, digest, role=image)
    header.SeriesInstanceUID = series_uid(source.SeriesInstanceUID, digest, role=series)
    header.SeriesNumber = series_number(source, SERIES_NUMBER_BAND)
    header.SeriesDescription = series_text(
        provenance, readable_text(source, "SeriesDescription"), flag=output.flag
    )
    header.Modality = output.modality


def series_number(source: Dataset, band: int) -> int:
    """A Series Number of our own band that still shows which series it came from."""
    return band + number_in_band(source)


def number_in_band(source: Dataset) -> int:
    """What shows the Series Number of a source in that of a result."""
    try:
        return int(source.get("SeriesNumber") or 0) % 500
    except ValueError:
        return 0


def _write_derivation(
    header: Dataset, source: Dataset, provenance: Provenance, output: SeriesOutput
) -> None:
    header.DerivationDescription = derivation_text(
        provenance,
        made_from=from_slices(provenance),
        earlier=readable_text(source, "DerivationDescription"),
    )
    earlier = header.get("DerivationCodeSequence") or ()
    header.DerivationCodeSequence = derivation_codes(earlier, output.derivation)
    comments = comment_text(provenance, flag=output.flag)
    words = readable_text(source, "ImageComments")
    header.ImageComments = f"{comments} Source: {words}"[:10240] if words else comments
