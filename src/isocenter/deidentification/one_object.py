"""De-identify one object: read, survey, rewrite, mark, judge its pixels, write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from isocenter.core.errors import UnsuitableScan
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.core.version import __version__
from isocenter.deidentification.burned_in import ImageFacts, may_show_a_face, risk_of
from isocenter.deidentification.keys import SecretKey
from isocenter.deidentification.options import Options
from isocenter.deidentification.pixel_rules import PixelRule, rule_for
from isocenter.deidentification.profile import EDITION, SafePrivate, safe_private
from isocenter.deidentification.rules import ObjectRules, patient_of
from isocenter.dicom.decoding.parsing import refusing
from isocenter.dicom.deidentify.marks import mark_deidentified
from isocenter.dicom.deidentify.opening import OpenedObject, open_object
from isocenter.dicom.deidentify.pixels import cleaned_pixels, without_words
from isocenter.dicom.deidentify.saving import write_object
from isocenter.dicom.deidentify.walking import Done, rewrite, survey
from isocenter.dicom.marking import is_enhanced

METHOD = f"Isocenter {__version__}, PS3.15 {EDITION}"
DIRECTORY = "1.2.840.10008.1.3.10"
_DOCUMENTS = "1.2.840.10008.5.1.4.1.1.104."


@dataclass(frozen=True, kw_only=True)
class Deidentifier:
    """Takes the identity from objects, one at a time, all in the same way.

    Attributes:
        key: decides all replacements; the same key gives the same ones.
        options: beside the Basic Profile.
        pixel_rules: what to black out, where ``options.clean_pixels``.
        safe: private elements that may stay, where ``options.retain_safe_private``.
        limits: what reading may cost.
    """

    key: SecretKey
    options: Options = field(default_factory=Options)
    pixel_rules: tuple[PixelRule, ...] = ()
    safe: SafePrivate = field(default_factory=safe_private)
    limits: Limits = DEFAULT_LIMITS

    def deidentified(self, path: Path, *, what: str = "the file") -> DeidentifiedObject:
        """An object without identity, not yet written.

        Args:
            path: a DICOM file; it is left as it is.
            what: how messages name it.

        Raises:
            UnreadableInput: damaged, no DICOM, without UIDs or beyond the limits.
            UnsuitableScan: a document, whose content nothing here can clean.
        """
        private = self.options.retain_safe_private
        opened = open_object(path, private=private, what=what, limits=self.limits)
        _refuse_documents(opened, what)
        with refusing(f"{what} has a header that cannot be interpreted; export it again"):
            facts, names = facts_of(opened), self._names(opened)
            rules = self._rules(opened)
            for element in survey(opened.dataset):
                rules.note(element)
            rules.identity.freeze()
            done = rewrite(opened.dataset, rules)
            made = self._with_pixels(opened, facts, done, names, what)
            self._mark(opened, rules, pixels_cleaned=not made.risk)
            return made

    def _rules(self, opened: OpenedObject) -> ObjectRules:
        return ObjectRules(
            options=self.options,
            key=self.key,
            safe=self.safe,
            sop_class=opened.text("SOPClassUID"),
            patient=patient_of(opened.text("PatientID"), opened.text("StudyInstanceUID")),
            make=f"{opened.text('Manufacturer')} {opened.text('ManufacturerModelName')}",
            lists_references="ReferencedSeriesSequence" in opened.dataset,
        )

    def _names(self, opened: OpenedObject) -> tuple[str, str, str]:
        """Of study, series and instance; derived even where UIDs are retained."""
        keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        study, series, instance = (self.key.name("uid", opened.text(one)) for one in keywords)
        return study, series, instance

    def _mark(self, opened: OpenedObject, rules: ObjectRules, *, pixels_cleaned: bool) -> None:
        """Write what was done; what is set aside does not claim that its pixels are clean."""
        for keyword in ("PatientID", "PatientName"):
            setattr(opened.dataset, keyword, self.key.pseudonym(rules.patient))
        options = replace(self.options, clean_pixels=self.options.clean_pixels and pixels_cleaned)
        mark_deidentified(opened.dataset, options.codes(), method=METHOD, temporal=options.temporal)

    def _with_pixels(
        self,
        opened: OpenedObject,
        facts: ImageFacts,
        done: Done,
        names: tuple[str, str, str],
        what: str,
    ) -> DeidentifiedObject:
        """Clean pixels where that was asked for; else, where they are at risk, say so."""
        risk = risk_of(facts)
        pixels: bytes | None = None
        rule = rule_for(self.pixel_rules, opened.text) if self.options.clean_pixels else None
        boxes = rule.boxes if rule is not None and facts.has_pixels else ()
        try:
            if boxes or facts.has_embedded_overlay:
                opened, pixels = cleaned_pixels(
                    opened,
                    boxes,
                    clear_unused_bits=facts.has_embedded_overlay,
                    what=what,
                    limits=self.limits,
                )
        except UnsuitableScan:
            risk = "embedded_overlay" if facts.has_embedded_overlay else "pixels_not_cleaned"
        else:
            risk = self._risk_after_rules(risk, facts, rule)
        if self.options.clean_pixels and facts.has_pixels and not risk:
            opened.dataset.BurnedInAnnotation = "NO"
        shows_face = may_show_a_face(facts) and facts.recognizable != "NO"
        if shows_face:
            opened.dataset.RecognizableVisualFeatures = "YES"
        return DeidentifiedObject(
            opened=opened,
            pixels=pixels,
            risk=risk,
            done=done,
            names=names,
            may_show_a_face=shows_face,
            limits=self.limits,
        )

    def _risk_after_rules(self, risk: str, facts: ImageFacts, rule: PixelRule | None) -> str:
        """A rule answers for its images; with cleaning asked for, no other may pass unseen."""
        if not self.options.clean_pixels or not facts.has_pixels or risk == "odd_kind":
            return risk
        if rule is not None:
            return ""
        return risk if risk or facts.burned_in == "NO" else "no_pixel_rule"


@dataclass(frozen=True, kw_only=True)
class DeidentifiedObject:
    """An object whose header names nobody any more.

    Attributes:
        opened: the header, and where the pixels are.
        pixels: what takes their place, None where they stay.
        risk: a code of :data:`isocenter.deidentification.burned_in.RISKS` where the pixels may
            still show who it is, "" where no rule speaks against them.
        done: how often what was done, by tag.
        names: of study, series and instance, for files and folders; never of the source's making.
        may_show_a_face: whether Recognizable Visual Features was set to YES.
        limits: what reading may cost.
    """

    opened: OpenedObject
    pixels: bytes | None
    risk: str
    done: Done
    names: tuple[str, str, str]
    may_show_a_face: bool
    limits: Limits

    def write(self, file: BinaryIO) -> None:
        """Write it as a DICOM file with new File Meta Information.

        Raises:
            UnreadableInput: the source's pixels cannot be read any more.
            OSError: the disk refuses.
        """
        write_object(
            self.opened, file, change=without_words, pixels=self.pixels, limits=self.limits
        )


def facts_of(opened: OpenedObject) -> ImageFacts:
    """What the header says of the making of an image."""
    kinds: Sequence[str] = opened.text("ImageType").upper().split("\\")
    return ImageFacts(
        sop_class=opened.text("SOPClassUID"),
        modality=opened.text("Modality").upper(),
        burned_in=opened.text("BurnedInAnnotation").upper(),
        recognizable=opened.text("RecognizableVisualFeatures").upper(),
        conversion=opened.text("ConversionType").upper(),
        image_type=tuple(kind.strip() for kind in kinds if kind.strip()),
        body_part=opened.text("BodyPartExamined"),
        by_isocenter=is_enhanced(opened.dataset),
        has_place=bool(opened.text("ImagePositionPatient")),
        has_pixels=opened.pixels is not None,
        has_embedded_overlay=opened.has_embedded_overlay,
    )


def _refuse_documents(opened: OpenedObject, what: str) -> None:
    is_document = opened.text("SOPClassUID").startswith(_DOCUMENTS)
    if is_document or "EncapsulatedDocument" in opened.dataset:
        raise UnsuitableScan(
            f"{what} is a document inside DICOM, whose content cannot be cleaned here; take the "
            "identity from the document itself first",
            reason="document",
        )
