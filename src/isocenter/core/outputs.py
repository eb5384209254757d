"""What a task says of each thing that it writes, before anything is written.

Codes are triples as DICOM has them; the folder ``dicom`` turns them into code sequences, other
formats into words. Nothing here is true of one modality alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Code(NamedTuple):
    """A coded concept: value, coding scheme designator and meaning."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What numbers are in.

    Attributes:
        name: as :class:`isocenter.core.volume.Volume` and reports write it, such as "HU".
        code: UCUM code.
    """

    name: str
    code: Code


HOUNSFIELD = Unit(name="HU", code=Code("[hnsf'U]", "UCUM", "Hounsfield unit"))
SQUARE_MICROMETERS_PER_SECOND = Unit(
    name="µm²/s", code=Code("um2/s", "UCUM", "square micrometer per second")
)
MILLILITER = Unit(name="mL", code=Code("mL", "UCUM", "milliliter"))
NO_UNIT = Unit(name="", code=Code("1", "UCUM", "no units"))
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")


@dataclass(frozen=True, kw_only=True)
class SeriesOutput:
    """An image series.

    Attributes:
        name: of its folder in the result, and of its values in each slice result.
        label: in words, for people, such as "Enhanced series".
        modality: DICOM Modality of the objects written.
        unit: of the values.
        derivation: what was done, for Derivation Code Sequence.
        image_type: value 4 of Image Type, of at most 16 capitals, digits and "_"; "" for none.
        flag: first words of Series Description and Image Comments, such as "AI ENHANCED".
        absolute: False writes a change of the source's stored values, so that what does not change
            stays bit for bit; True writes the values themselves, on any grid.
        image_flavor: value 3 of Image Type where ``absolute``, such as "AXIAL" or "OTHER".
    """

    name: str
    label: str
    modality: str
    unit: Unit
    derivation: Code
    image_type: str = ""
    flag: str = "AI DERIVED"
    absolute: bool = False
    image_flavor: str = "OTHER"


@dataclass(frozen=True, kw_only=True)
class MapOutput:
    """One number a voxel, such as an uncertainty: a DICOM Parametric Map.

    Attributes:
        name, label, modality, unit, derivation: as in :class:`SeriesOutput`.
        content_label: capitals, digits, "_" and space, at most 16.
        meaning: what a value means, in words; viewers show the first 64 characters.
        quantity: what is measured, for Quantity Definition Sequence.
        window: lowest and highest value that a viewer shows at first.
        flag: first words of Series Description; the content label follows.
        image_flavor: value 3 of Image Type where it is written as images.
        image_step: what one stored integer is worth there; 0 takes the finest step that fits.
        always_images: whether it is written as images too where nobody asked for them.
    """

    name: str
    label: str
    modality: str
    unit: Unit
    derivation: Code
    content_label: str
    meaning: str
    quantity: Code
    window: tuple[float, float] = (0.0, 100.0)
    flag: str = "AI"
    image_flavor: str = "OTHER"
    image_step: float = 0.0
    always_images: bool = False


@dataclass(frozen=True, kw_only=True)
class MaskOutput:
    """Yes or no for each voxel: a DICOM Segmentation of one segment.

    Attributes:
        name, label, derivation: as in :class:`SeriesOutput`.
        category, kind: Segmented Property Category and Type.
        flag: first words of Series Description and Image Comments.
        family: of the algorithm, out of CID 7162.
    """

    name: str
    label: str
    derivation: Code
    category: Code
    kind: Code
    flag: str = "AI SEGMENTATION"
    family: Code = ARTIFICIAL_INTELLIGENCE


@dataclass(frozen=True, kw_only=True)
class MeasurementOutput:
    """Measurements of what a mask marks: a DICOM Structured Report by template TID 1500.

    Attributes:
        name, label, derivation: as in :class:`SeriesOutput`; the last is the method of each.
        mask: what is measured; written beside it, and referred to.
        of: the map whose mean within the mask is told besides the volume.
        procedure: that was reported on.
        finding: what the mask marks.
    """

    name: str
    label: str
    derivation: Code
    mask: MaskOutput
    of: MapOutput
    procedure: Code
    finding: Code


@dataclass(frozen=True, kw_only=True)
class MapImages:
    """A map once more as images of its modality, 16 bits, for viewers without Parametric Map.

    Attributes:
        map: whose values they are.
    """

    map: MapOutput

    @property
    def name(self) -> str:
        return f"{self.map.name}_images"

    @property
    def label(self) -> str:
        return f"{self.map.label}, images"


@dataclass(frozen=True, kw_only=True)
class MapPictures:
    """A map in color over the image that it is of, to look at and not to measure in.

    Attributes:
        map: whose values they show.
        behind: name of the image series behind it; "" for what was read.
    """

    map: MapOutput
    behind: str = ""

    @property
    def name(self) -> str:
        return f"{self.map.name}_color"

    @property
    def label(self) -> str:
        return "Map, in color"


Output = SeriesOutput | MapOutput | MaskOutput | MeasurementOutput
"""What a task declares."""

WrittenOutput = Output | MapImages | MapPictures
"""What a run writes: a map may take further forms."""
