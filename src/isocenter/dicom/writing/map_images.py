"""Maps as 16-bit images of their modality, for viewers that know no Parametric Map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from isocenter.core.outputs import MapImages, SeriesOutput
from isocenter.dicom.marking import Provenance
from isocenter.dicom.writing.derived_header import MAP_IMAGES_NUMBER_BAND
from isocenter.dicom.writing.new_grid import NewGrid, grid_of
from isocenter.dicom.writing.new_series import NewSeriesWriter

if TYPE_CHECKING:
    from isocenter.dicom.reading.series import ImageSeries


def map_images_writer(
    place: ImageSeries | NewGrid, folder: Path, *, provenance: Provenance, output: MapImages
) -> NewSeriesWriter:
    """A writer of one image a slice, whose Rescale Slope gives the map's values in its unit.

    One slope for all slices, the finest that fits the largest value in 15 bits.

    Args:
        place: the series that the map is of, or a grid of its own.
        folder: exists and holds no series yet.

    Raises:
        ValueError: images of the map's modality are not written.
        OutputRefused: the folder does not exist or is taken.
    """
    of_map = output.map
    return NewSeriesWriter(
        folder,
        geometry=place.geometry,
        acquisition=place.acquisition,
        provenance=provenance,
        output=SeriesOutput(
            name=output.name,
            label=output.label,
            modality=of_map.modality,
            unit=of_map.unit,
            derivation=of_map.derivation,
            image_type=of_map.content_label,
            flag=f"{of_map.flag} {of_map.content_label}",
            absolute=True,
            image_flavor=of_map.image_flavor,
        ),
        grid=grid_of(place, provenance),
        of_map=of_map,
        band=MAP_IMAGES_NUMBER_BAND,
    )
