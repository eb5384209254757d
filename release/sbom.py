"""The software bill of materials (CycloneDX 1.6): libraries, weights and the data behind them.

    python -m release.sbom build/isocenter.cdx.json --wheel dist/isocenter-0.1.0-py3-none-any.whl

Lists what the package needs to run, in the versions that are installed here, not what it is built
and tested with. ``SOURCE_DATE_EPOCH`` sets its time, so that it can be made again byte for byte.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement

from isocenter.core.files import sha256_of, write_text
from isocenter.core.version import __version__
from isocenter.modelpack.folder import CARD, shipped_folder, verify
from isocenter.modelpack.registry import KINDS
from release.locks import LOCKS, ROOT, normalized, read_lock

_LICENCES = LicenseFactory()
_LOCKS = [read_lock(path) for path in LOCKS]
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "isocenter bill of materials")
_LONGEST_LICENCE = 100
# A line of the shipped README's list of data: citation, then its licence.
_DATA_LINE = re.compile(
    r"^- (?P<citation>.+) \((?P<licence>CC BY [\d.]+|CC0[ \d.]*|Apache-2\.0|no restriction)\)$",
    re.M,
)
_DOI = re.compile(r"doi:(10\.[^\s;,)]+)")


def bill_of_materials(*, wheel: Path | None = None, made_at: datetime | None = None) -> str:
    """The document, checked against the schema.

    Args:
        wheel: of this version; its SHA-256 is written down.
        made_at: now where absent.

    Raises:
        ValueError: the document is not valid CycloneDX, or a needed library is not installed.
    """
    bom = Bom(version=1)
    bom.metadata.timestamp = made_at or datetime.now(UTC)
    root = _root(wheel)
    bom.metadata.component = root
    libraries = _libraries()
    models = [_Model(name) for name, kind in KINDS.items() if kind.shipped]
    for library in libraries.values():
        bom.components.add(library.component)
        bom.register_dependency(
            library.component, [libraries[name].component for name in library.names]
        )
    for model in models:
        bom.components.update([model.component, *model.data])
        bom.register_dependency(model.component, model.data)
    direct = [libraries[name].component for name in _needed_by(_own_requirements())]
    bom.register_dependency(root, [*direct, *(model.component for model in models)])
    return _finished(bom, models)


class _Library:
    """An installed library, and the names of those that it needs."""

    def __init__(self, name: str) -> None:
        found = metadata.distribution(name)
        self.names = list(_needed_by(found.requires or ()))
        self.component = Component(
            type=ComponentType.LIBRARY,
            name=normalized(name),
            version=found.version,
            bom_ref=f"pkg:pypi/{normalized(name)}@{found.version}",
            purl=PackageURL("pypi", None, normalized(name), found.version),
            licenses=_licences_of(found),
            hashes=_hashes(_locked_files(name, found.version)),
        )


class _Model:
    """Shipped weights: the component, what they were trained on, and the card."""

    def __init__(self, kind: str) -> None:
        folder = shipped_folder(KINDS[kind].shipped)
        weights_sha256 = verify(folder)
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        self.ref = f"model:{card['name']}@{card['version']}"
        self.data = list(_data((folder / "README.md").read_text(), of=card["name"]))
        self.component = Component(
            type=ComponentType.MACHINE_LEARNING_MODEL,
            name=card["name"],
            version=str(card["version"]),
            bom_ref=self.ref,
            description=card["intended_use"],
            licenses=[_LICENCES.make_from_string(card["licence"])],
            components=[
                Component(
                    type=ComponentType.FILE,
                    name=path.relative_to(folder).as_posix(),
                    bom_ref=f"{self.ref}#{path.relative_to(folder).as_posix()}",
                    hashes=_hashes([sha256_of(path)]),
                )
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            ],
            properties=[Property(name="isocenter:weights_sha256", value=weights_sha256)],
        )
        self.card = {
            "modelParameters": {
                "task": card["intended_use"],
                "approach": {"type": "supervised"},
                "datasets": [{"ref": each.bom_ref.value} for each in self.data],
            },
            "considerations": {
                "useCases": [card["intended_use"]],
                "technicalLimitations": [
                    *card["limits"],
                    *(f"Not for: {x}" for x in card["not_for"]),
                ],
            },
        }


def _root(wheel: Path | None) -> Component:
    return Component(
        type=ComponentType.APPLICATION,
        name="isocenter",
        version=__version__,
        bom_ref=f"pkg:pypi/isocenter@{__version__}",
        purl=PackageURL("pypi", None, "isocenter", __version__),
        licenses=[_LICENCES.make_from_string("Apache-2.0")],
        hashes=_hashes([sha256_of(wheel)] if wheel else []),
    )


def _own_requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return list(project["dependencies"])


def _needed_by(requirements: Sequence[str]) -> Iterator[str]:
    """Names of what is needed here, without extras."""
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield normalized(requirement.name)


def _libraries() -> dict[str, _Library]:
    """Everything that is needed, directly or by what is needed."""
    found: dict[str, _Library] = {}
    waiting = list(_needed_by(_own_requirements()))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _Library(name)
            waiting += found[name].names
    return dict(sorted(found.items()))


def _locked_files(name: str, version: str) -> list[str]:
    """SHA-256 of the files of this very version that the locks let in."""
    locked = [lock.get(normalized(name)) for lock in _LOCKS]
    fitting = [one.sha256 for one in locked if one is not None and one.version == version]
    return sorted({sha256 for each in fitting for sha256 in each})


def _hashes(digests: Sequence[str]) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in digests]


def _licences_of(found: metadata.Distribution) -> list[License]:
    """The licence as a package states it, or as its classifiers do where it prints a whole text."""
    facts = found.metadata
    stated = next(
        (str(facts[key]) for key in ("License-Expression", "License") if key in facts), ""
    )
    if not 0 < len(stated) <= _LONGEST_LICENCE or "\n" in stated:
        classifiers = facts.get_all("Classifier") or []
        named = [text for text in classifiers if text.startswith("License :: ")]
        stated = " or ".join(text.rpartition(" :: ")[2] for text in named)
    return [_LICENCES.make_from_string(stated)] if stated else []


def _data(readme: str, *, of: str) -> Iterator[Component]:
    """What the weights were trained on, as their README lists it."""
    for number, line in enumerate(_DATA_LINE.finditer(readme), start=1):
        citation, licence = line["citation"], line["licence"]
        yield Component(
            type=ComponentType.DATA,
            name=citation,
            bom_ref=f"data:{of}:{number}",
            licenses=[_licence_of_data(licence.strip())],
            external_references=[
                ExternalReference(
                    type=ExternalReferenceType.DOCUMENTATION, url=XsUri(f"https://doi.org/{doi}")
                )
                for doi in _DOI.findall(citation)
            ],
        )


def _licence_of_data(stated: str) -> License:
    by_identifier = stated.startswith(("CC", "Apache"))
    return _LICENCES.make_from_string(stated.replace(" ", "-") if by_identifier else stated)


def _finished(bom: Bom, models: Sequence[_Model]) -> str:
    """As JSON with the model cards, which the library does not write, and a name of its own."""
    document: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    cards = {model.ref: model.card for model in models}
    for component in document["components"]:
        if component["bom-ref"] in cards:
            component["modelCard"] = cards[component["bom-ref"]]
    document.pop("serialNumber", None)
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, content)}"
    text = json.dumps(document, indent=1, sort_keys=True) + "\n"
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(f"the bill of materials is not valid CycloneDX: {error}")
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write the software bill of materials.")
    parser.add_argument("output", type=Path)
    parser.add_argument("--wheel", type=Path, help="write down its SHA-256")
    given = parser.parse_args(arguments)
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    made_at = datetime.fromtimestamp(int(epoch), UTC) if epoch else None
    given.output.parent.mkdir(parents=True, exist_ok=True)
    write_text(given.output, bill_of_materials(wheel=given.wheel, made_at=made_at))
    sys.stdout.write(f"{given.output}\n")


if __name__ == "__main__":
    main()
