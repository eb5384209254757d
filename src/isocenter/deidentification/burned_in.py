"""Whether pixels may show who the patient is, judged by what a header says of their making.

No rule looks at pixels. Each names a kind of image that is known to carry names in its pixels, or
faces; such an image is set aside for a person to look at and never passed in silence.
"""

from __future__ import annotations

from dataclasses import dataclass

RISKS = {
    "burned_in_stated": "Burned In Annotation says something else than NO",
    "ultrasound": "ultrasound, whose machines write names into pixels",
    "secondary_capture": "a secondary capture that does not say that nothing is burned in",
    "converted": "digitized film, a scanned document, or video",
    "screen_save": "the image of a screen",
    "secondary_image": "an image made after the examination that does not say what is burned in",
    "fluoroscopy": "an X-ray sequence that does not say that nothing is burned in",
    "photograph": "a photograph, endoscopy or microscopy, which may show a face or a label",
    "odd_kind": "an object of a private kind, for which the profile is not defined",
    "embedded_overlay": "a drawing kept in unused bits of compressed pixels",
    "no_pixel_rule": "no rule of the pixel rules is for it, nor does it say that nothing is "
    "burned in",
    "pixels_not_cleaned": "its pixels cannot be cleaned as they are stored, or a box "
    "of its rule lies outside of them",
}
"""Why an image is set aside, by the code that reports have."""

_ULTRASOUND = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.3",
        "1.2.840.10008.5.1.4.1.1.3.1",
        "1.2.840.10008.5.1.4.1.1.6",
        "1.2.840.10008.5.1.4.1.1.6.1",
        "1.2.840.10008.5.1.4.1.1.6.2",
        "1.2.840.10008.5.1.4.1.1.6.3",
    )
)
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_PHOTOGRAPH = "1.2.840.10008.5.1.4.1.1.77.1"
_STANDARD_CLASSES = "1.2.840.10008.5.1.4.1.1."
_PHOTO_MODALITIES = frozenset("ES GM OP OPT XC SM DMS DOC EPS IVOCT".split())
_FLUOROSCOPY = frozenset("XA RF DSA DF".split())
_CONVERTED = frozenset(("DV", "DI", "DF", "SD", "SI", "DRW"))
_SCREENS = frozenset(
    (
        "SCREEN SAVE",
        "SCREENSAVE",
        "SCREEN_SAVE",
        "SCREENSHOT",
        "SCREEN",
        "DOSE_INFO",
        "DOSE INFO",
        "CSA REPORT",
        "REPORT",
    )
)
_HEAD_PARTS = frozenset(
    "HEAD BRAIN SKULL FACE HEADNECK NECK ORBIT EYE EAR JAW SINUS IAC MAXILLA MANDIBLE NOSE TMJ "
    "HEADNECKCHEST PITUITARY WHOLEBODY".split()
)
_SEES_FACES = frozenset(("CT", "MR", "PT"))


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What a header says of an image's making, "" or none where it says nothing.

    Attributes:
        by_isocenter: whether its marks say that Isocenter computed it from a scan or drew it.
        recognizable: of Recognizable Visual Features.
        has_embedded_overlay: whether a drawing lies in bits that the pixels do not use.
        has_pixels: whether there are any; without, the kind alone is looked at.
        has_place: whether it says where it lies in the patient.
    """

    sop_class: str
    modality: str = ""
    burned_in: str = ""
    conversion: str = ""
    image_type: tuple[str, ...] = ()
    body_part: str = ""
    by_isocenter: bool = False
    recognizable: str = ""
    has_place: bool = False
    has_pixels: bool = True
    has_embedded_overlay: bool = False


def risk_of(facts: ImageFacts) -> str:
    """Code of the first risk that applies, "" for none."""
    stated_clean = facts.burned_in == "NO"
    kinds = set(facts.image_type)
    if not facts.sop_class.startswith(_STANDARD_CLASSES):
        return "odd_kind"
    if not facts.has_pixels:
        return ""
    if facts.burned_in not in ("", "NO"):
        return "burned_in_stated"
    if facts.sop_class in _ULTRASOUND or facts.modality in ("US", "IVUS"):
        return "ultrasound"
    if facts.conversion in _CONVERTED:
        return "converted"
    if kinds & _SCREENS:
        return "screen_save"
    if facts.sop_class.startswith(_PHOTOGRAPH) or facts.modality in _PHOTO_MODALITIES:
        return "photograph"
    if stated_clean:
        return ""
    if facts.sop_class.startswith(_SECONDARY_CAPTURE + ".") or facts.conversion:
        return "secondary_capture"
    if facts.sop_class == _SECONDARY_CAPTURE or facts.modality in ("OT", "SC"):
        return "secondary_capture"
    if facts.modality in _FLUOROSCOPY:
        return "fluoroscopy"
    is_computed_slice = facts.by_isocenter and facts.has_place
    if "SECONDARY" in kinds and not is_computed_slice:
        return "secondary_image"
    return ""


def may_show_a_face(facts: ImageFacts) -> bool:
    """Whether a volume of such images may be rendered into a face, by body part and modality."""
    part = "".join(letter for letter in facts.body_part.upper() if letter.isalpha())
    return facts.modality in _SEES_FACES and part in _HEAD_PARTS
