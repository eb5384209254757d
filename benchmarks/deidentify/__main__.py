"""De-identification beside another program: ``python -m benchmarks.deidentify --output FOLDER``.

Writes invented objects full of identifiers, lets Isocenter (Basic Profile, and with modified dates
and cleaned descriptors) and, with ``--anonymizer PYTHON``, dicom-anonymizer take the identity out
of them, and counts checks of the ten classes that the validator of MIDI-B has. PYTHON is that of an
environment with the package dicom-anonymizer, such as one made by ``python -m venv``; its table of
2026c is used. Where dciodvfy is installed, errors that the source had not are counted too. Prints a
table and writes ``deidentify.json``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydicom.dataset import FileDataset
from pydicom.uid import MRImageStorage, SecondaryCaptureImageStorage

from benchmarks.deidentify.checks import Check, Pair, checks_of
from benchmarks.deidentify.infused import infused, saved
from isocenter.deidentification.keys import new_key
from isocenter.deidentification.one_object import Deidentifier
from isocenter.deidentification.options import Options
from isocenter.deidentification.pixel_rules import PixelRule
from isocenter.dicom.deidentify.pixels import Box

KINDS = (
    "tag_retained",
    "text_notnull",
    "text_retained",
    "text_removed",
    "date_shifted",
    "uid_changed",
    "uid_consistent",
    "patid_consistent",
    "pixels_hidden",
    "pixels_retained",
)
BOX = Box(row=0, column=2, end_row=3, end_column=9)
Make = Callable[[Path, Path], None]

_OTHER = """
import sys, functools
from dicomanonymizer import simpledicomanonymizer as other
rules = functools.partial(other.initialize_actions, "dicomfields_2026c")
for line in sys.stdin:
    source, target = line.rstrip("\\n").split("\\t")
    try:
        other.anonymize_dicom_file(source, target, base_rules_gen=rules)
    except Exception as error:
        print(type(error).__name__, file=sys.stderr)
"""


def main() -> None:
    """Parse the command line, run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="new folder")
    parser.add_argument("--anonymizer", type=Path, metavar="PYTHON", help="with dicom-anonymizer")
    arguments = parser.parse_args()
    sources = write_sources(arguments.output / "source")
    figures = {
        "isocenter, Basic Profile": ours(sources, arguments.output / "basic"),
        "isocenter, dates and descriptors": ours(
            sources, arguments.output / "options", dates="modify", clean_descriptors=True
        ),
    }
    if arguments.anonymizer is not None:
        other = arguments.output / "other"
        figures["dicom-anonymizer"] = theirs(sources, other, arguments.anonymizer)
    (arguments.output / "deidentify.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(table(figures))


def write_sources(folder: Path) -> dict[str, Path]:
    """Objects of two patients, by name."""
    follow_up: dict[str, Any] = {
        "StudyInstanceUID": "1.2.826.9.21",
        "SeriesInstanceUID": "1.2.826.9.22",
        "SOPInstanceUID": "1.2.826.9.23",
        "FrameOfReferenceUID": "1.2.826.9.24",
        "StudyDate": "20250228",
    }
    stranger = {
        "PatientID": "HOSP-4471883",
        "StudyInstanceUID": "1.2.826.9.31",
        "SeriesInstanceUID": "1.2.826.9.32",
        "SOPInstanceUID": "1.2.826.9.33",
        "FrameOfReferenceUID": "1.2.826.9.34",
    }
    objects: dict[str, FileDataset] = {
        "CT": infused(),
        "CT, same series": infused(SOPInstanceUID="1.2.826.9.41"),
        "MR, follow-up": infused(SOPClassUID=MRImageStorage, Modality="MR", **follow_up),
        "CT, another patient": infused(**stranger),
        "CT, Latin letters": infused(SpecificCharacterSet="ISO_IR 100", **stranger),
    }
    return {
        name: saved(dataset, folder / f"{number}.dcm")
        for number, (name, dataset) in enumerate(objects.items())
    }


def ours(sources: Mapping[str, Path], folder: Path, **chosen: Any) -> dict[str, Any]:
    """Figures of Isocenter under some options."""
    folder.mkdir(parents=True)
    key = new_key()
    deidentifier = Deidentifier(key=key, options=Options(**chosen))
    pairs, began = [], time.process_time()
    for name, source in sources.items():
        target = folder / source.name
        with target.open("wb") as file:
            deidentifier.deidentified(source).write(file)
        pairs.append(Pair(name=name, before=source, after=target))
    seconds = time.process_time() - began
    checks = list(
        checks_of(
            pairs,
            shifts=chosen.get("dates") == "modify",
            describes=chosen.get("clean_descriptors", False),
        )
    )
    checks.append(_hidden(folder, Options(clean_pixels=True, **chosen)))
    return _figures(checks, pairs, seconds)


def _hidden(folder: Path, options: Options) -> Check:
    """Whether a box that a rule names is black, and nothing else is."""
    import io

    from pydicom import dcmread

    dataset = infused(SOPClassUID=SecondaryCaptureImageStorage, ConversionType="WSD")
    path = saved(dataset, folder / "capture.source")
    rule = PixelRule(wanted=(("ConversionType", "WSD"),), boxes=(BOX,))
    deidentifier = Deidentifier(key=new_key(), options=options, pixel_rules=(rule,))
    file = io.BytesIO()
    deidentifier.deidentified(path).write(file)
    after = dcmread(io.BytesIO(file.getvalue())).pixel_array
    expected = dataset.pixel_array.copy()
    expected[BOX.row : BOX.end_row, BOX.column : BOX.end_column] = 0
    return Check(kind="pixels_hidden", what="a box", passed=bool((after == expected).all()))


def theirs(sources: Mapping[str, Path], folder: Path, python: Path) -> dict[str, Any]:
    """Figures of dicom-anonymizer, which has neither options nor boxes."""
    folder.mkdir(parents=True)
    pairs = [
        Pair(name=name, before=source, after=folder / source.name)
        for name, source in sources.items()
    ]
    lines = "".join(f"{pair.before.resolve()}\t{_resolved(pair.after)}\n" for pair in pairs)
    began = time.perf_counter()
    subprocess.run([python, "-I", "-c", _OTHER], input=lines, text=True, check=True)
    seconds = time.perf_counter() - began
    return _figures(list(checks_of(pairs, shifts=False, describes=False)), pairs, seconds)


def _resolved(path: Path | None) -> Path:
    assert path is not None
    return path.resolve()


def _figures(checks: Sequence[Check], pairs: Sequence[Pair], seconds: float) -> dict[str, Any]:
    passed = Counter(check.kind for check in checks if check.passed)
    total = Counter(check.kind for check in checks)
    return {
        "passed": dict(passed),
        "checks": dict(total),
        "failed": sorted({f"{check.kind}: {check.what}" for check in checks if not check.passed}),
        "new_errors_of_dciodvfy": _new_errors(pairs),
        "seconds": round(seconds, 3),
    }


def _new_errors(pairs: Sequence[Pair]) -> int | None:
    if shutil.which("dciodvfy") is None:
        return None
    return sum(
        len(_errors(pair.after) - _errors(pair.before))
        for pair in pairs
        if pair.after is not None and pair.after.exists()
    )


def _errors(path: Path) -> set[str]:
    command = ["dciodvfy", "-new", str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return {line for line in answer.stderr.splitlines() if line.startswith("Error")}


def table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """A line a class, a column a program; "-" where a program was not asked for it."""
    lines = [f"| class | {' | '.join(figures)} |", "|---" * (len(figures) + 1) + "|"]
    for kind in KINDS:
        cells = []
        for each in figures.values():
            total = each["checks"].get(kind, 0)
            cells.append(f"{each['passed'].get(kind, 0)} of {total}" if total else "-")
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    errors = [str(each["new_errors_of_dciodvfy"]) for each in figures.values()]
    lines.append(f"| new errors of dciodvfy | {' | '.join(errors)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
