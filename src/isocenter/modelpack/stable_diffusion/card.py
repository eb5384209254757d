"""The card of a Stable Diffusion model: what its makers say, and that it is not for medicine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isocenter.modelpack.card import LONGEST_NAME, checked_card
from isocenter.modelpack.stable_diffusion.adapter import Adapter
from isocenter.modelpack.stable_diffusion.folder import StableFolder

NOT_STATED = "not stated"
MOST_README_CHARACTERS = 200_000
MOST_LIMITS, LONGEST_LIMIT = 24, 400
INTENDED_USE = (
    "Drawing pictures from text, for research and teaching about generative models. The model was "
    "made for photographs and art, not for medicine."
)
NOT_FOR = (
    "Diagnosis, treatment or any decision about a patient.",
    "Standing for a patient's image, or for evidence that a finding looks so.",
    "Training or judging a medical model, unless the pictures were judged for that by their own "
    "measures.",
)
LIMITS = (
    "It knows medical images from what lay about on the web: anatomy, sides, counts and findings "
    "are often wrong, however real they look.",
    "Gray levels have no unit, and no pixel has a size in millimeters.",
    "The picture may be a near copy of one that the model was fitted to.",
)
ADAPTED_LIMITS = (
    "It was fitted to pictures of the user's own by a small adapter; what the adapter did not see "
    "comes from a model of photographs.",
    "Values lie within the window that the adapter was fitted with, and what is darker or brighter "
    "is lost.",
    "The picture may be a near copy of one that the adapter was fitted to.",
)
_HEADINGS = re.compile(r"limit|bias|misuse|out.of.scope|malicious|not .*(intended|use)", re.I)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def card_of(base: StableFolder, adapter: Adapter | None = None) -> dict[str, Any]:
    """The card for programs, ready for JSON.

    Args:
        base: whose own card, ``README.md``, is passed on where there is one.
        adapter: whose own card says what it was fitted to.
    """
    said = base_card(base.path)
    own = adapter.card if adapter is not None else None
    is_adapted = adapter is not None and adapter.facts is not None
    name = adapter.name if adapter is not None else base.name
    limits = [*(ADAPTED_LIMITS if is_adapted else LIMITS), *said["limits"]]
    card: dict[str, Any] = {
        "name": shown_name(name),
        "version": (adapter.sha256 if adapter is not None else base.revision or base.sha256)[:12],
        "intended_use": INTENDED_USE,
        "not_for": list(NOT_FOR),
        "limits": limits,
        "licence": said["licence"],
        "base": {"name": base.name, "revision": base.revision, "sha256": base.sha256},
    }
    if own is not None:
        card |= {**own, "limits": [*own["limits"], *(x for x in limits if x not in own["limits"])]}
    return checked_card(card)


def base_card(folder: Path) -> dict[str, Any]:
    """Licence and limits as the makers of a model state them in its ``README.md``.

    The text comes from anywhere and is passed on as text, shortened.
    """
    try:
        text = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {"licence": NOT_STATED, "limits": []}
    text = text[:MOST_README_CHARACTERS]
    head, body = _parted(text)
    return {"licence": _licence(head), "limits": _limits(body)}


def shown_name(name: str) -> str:
    """A name that a card and a DICOM long string take."""
    printable = "".join(letter for letter in name if letter.isprintable() and letter != "\\")
    return printable[-LONGEST_NAME:].strip() or "stable diffusion"


def _parted(text: str) -> tuple[Mapping[str, str], str]:
    """The lines ``name: value`` between the first two lines of dashes, and the rest."""
    found = re.match(r"---\s*\n(.*?)\n---\s*\n", text, re.S)
    if found is None:
        return {}, text
    lines = re.findall(r"^([\w-]+):[ \t]*(\S.*?)[ \t]*$", found[1], re.M)
    return {name: value.strip("\"'") for name, value in lines}, text[found.end() :]


def _licence(head: Mapping[str, str]) -> str:
    name = head.get("license_name") or head.get("license") or NOT_STATED
    link = head.get("license_link", "")
    shown = _clean(f"{name} ({link})" if link else name)
    return shown[:LONGEST_LIMIT] or NOT_STATED


def _limits(body: str) -> list[str]:
    """The sentences below headings that speak of limits, bias or misuse."""
    found: list[str] = []
    for part in re.split(r"^#+[ \t]*", body, flags=re.M)[1:]:
        heading, _, text = part.partition("\n")
        if not _HEADINGS.search(heading):
            continue
        blocks = re.split(r"\n\s*\n|\n\s*[-*+]\s+", "\n" + text)
        sentences = [one for block in blocks for one in _SENTENCE_END.split(_clean(block))]
        found += [f"Its makers say: {one[:LONGEST_LIMIT]}" for one in sentences if len(one) > 20]
    return found[:MOST_LIMITS]


def _clean(text: str) -> str:
    text = re.sub(r"<[^>]*>|[*_`]{1,3}|^\s*[-*+]\s+", " ", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())
