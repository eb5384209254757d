"""How one language says each part of a meaning; the tables themselves are beside this file.

Words of a phrase are separated by spaces in every language, so that all words of a language can be
listed; a language that writes no spaces takes them out at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Forms:
    """Phrases for one value of an attribute.

    Attributes:
        before: those that stand before the noun, such as "left-sided".
        after: those that stand after it, such as "in the left hemisphere".
    """

    before: tuple[str, ...]
    after: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Language:
    """The phrases of one language.

    Attributes:
        name: "en" or "zh".
        images: nouns for an image by modality; "" is for one of any.
        forms: for each attribute and each of its values.
        lung_forms: in place of ``forms`` where the finding is in the lungs.
        findings: nouns by finding.
        sizes: what stands before and after a noun to give its extent; {} is the number.
        units: for {} mm; the second is ten times the first.
        normal: what says that nothing is found, alone or before an image.
        clear_lungs: the same where it speaks of lungs.
        leads: what may stand before everything.
        shown: between an image and its finding.
        seen_on: between a finding and its image.
        denials: before what is absent.
        joint_denials: before and between two that are absent.
        denied: after what is absent.
        ors: between what is absent.
        spaced: whether words are written apart.
        comma, stop, colon: punctuation.
    """

    name: str
    images: Mapping[str, tuple[str, ...]]
    forms: Mapping[str, Mapping[str, Forms]]
    lung_forms: Mapping[str, Mapping[str, Forms]]
    findings: Mapping[str, tuple[str, ...]]
    sizes: Forms
    units: tuple[tuple[str, ...], tuple[str, ...]]
    normal: Forms
    clear_lungs: tuple[str, ...]
    leads: tuple[str, ...]
    shown: tuple[str, ...]
    seen_on: tuple[str, ...]
    denials: tuple[str, ...]
    joint_denials: tuple[tuple[str, str], ...]
    denied: tuple[str, ...]
    ors: tuple[str, ...]
    spaced: bool
    comma: str
    stop: str
    colon: str

    def forms_of(self, attribute: str, value: str, *, in_lungs: bool = False) -> Forms:
        """Phrases for a value; those for lungs where there are any and lungs are meant."""
        lungs = self.lung_forms.get(attribute, {}) if in_lungs else {}
        return lungs.get(value) or self.forms[attribute][value]

    def phrases(self) -> Iterator[str]:
        """Every phrase that may be part of a sentence."""
        for names in (*self.images.values(), *self.findings.values(), *self.units):
            yield from names
        for table in (self.forms, self.lung_forms):
            for values in table.values():
                for forms in values.values():
                    yield from (*forms.before, *forms.after)
        yield from (*self.sizes.before, *self.sizes.after, *self.normal.before, *self.normal.after)
        yield from (*self.clear_lungs, *self.leads, *self.shown, *self.seen_on)
        yield from (*self.denials, *self.denied, *self.ors)
        for pair in self.joint_denials:
            yield from pair
