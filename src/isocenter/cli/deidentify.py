"""``isocenter deidentify``: objects without the identity of their patient."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from isocenter.cli.answer import Answer, made
from isocenter.cli.options import LimitOption, LimitsOption, chosen_limits
from isocenter.cli.output import complain, print_table, progress_bar, say
from isocenter.core.errors import SettingRefused

if TYPE_CHECKING:
    from isocenter.deidentification.folder import Result
    from isocenter.deidentification.keys import SecretKey
    from isocenter.deidentification.one_object import Deidentifier

DEFAULT_KEY = Path("~/.isocenter/deidentify.key")


class Retain(StrEnum):
    """What may stay."""

    patient = "patient"
    device = "device"
    institution = "institution"
    uids = "uids"
    private = "private"


class Clean(StrEnum):
    """What may stay once it is cleaned."""

    descriptors = "descriptors"
    graphics = "graphics"
    content = "content"


class Dates(StrEnum):
    """What becomes of dates and times."""

    remove = "remove"
    modify = "modify"
    keep = "keep"


_SETTINGS = {
    Retain.patient: "retain_patient_characteristics",
    Retain.device: "retain_device_identity",
    Retain.institution: "retain_institution_identity",
    Retain.uids: "retain_uids",
    Retain.private: "retain_safe_private",
    Clean.descriptors: "clean_descriptors",
    Clean.graphics: "clean_graphics",
    Clean.content: "clean_structured_content",
}


def deidentify(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="DICOM file, folder, or tree of them.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="New folder for what is written."),
    ] = None,
    key: Annotated[
        Path,
        typer.Option(
            "--key",
            metavar="FILE",
            help="Secret key that UIDs, Patient IDs and shifts of dates come from; made there "
            "where there is none.",
        ),
    ] = DEFAULT_KEY,
    retain: Annotated[
        list[Retain] | None,
        typer.Option("--retain", help="What may stay; may be given several times."),
    ] = None,
    dates: Annotated[
        Dates,
        typer.Option(
            "--dates", help="Remove dates, move them by days of the patient's own, or keep them."
        ),
    ] = Dates.remove,
    clean: Annotated[
        list[Clean] | None,
        typer.Option("--clean", help="What stays once it is cleaned; may be given several times."),
    ] = None,
    clean_pixels: Annotated[
        Path | None,
        typer.Option(
            "--clean-pixels",
            metavar="FILE",
            help="TOML file of what to black out in which images; others are set aside.",
        ),
    ] = None,
    safe_private: Annotated[
        Path | None,
        typer.Option(
            "--safe-private",
            metavar="FILE",
            help="CSV file of more private elements that may stay: tag, creator, vr.",
        ),
    ] = None,
    oldest_age: Annotated[
        int,
        typer.Option(
            "--oldest-age",
            metavar="YEARS",
            help="Ages above are written as one year more.",
            min=1,
            max=998,
        ),
    ] = 89,
    quarantine: Annotated[
        Path | None,
        typer.Option(
            "--quarantine",
            metavar="FOLDER",
            help="New folder for what may show names in pixels; FOLDER-quarantine without it.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would be done with one file; write nothing."),
    ] = False,
    limit: LimitOption = None,
    limits: LimitsOption = None,
) -> Answer:
    """Take the patient's identity from DICOM objects, as PS3.15 Annex E says."""
    from isocenter.deidentification.options import Options

    if output is None and not dry_run:
        raise SettingRefused("name a new folder for what is written with --output")
    settings: dict[str, Any] = {_SETTINGS[one]: True for one in (*(retain or ()), *(clean or ()))}
    options = Options(
        **settings,
        dates=dates.value,
        clean_pixels=clean_pixels is not None,
        oldest_age_years=oldest_age,
    )
    chosen = {
        "options": options,
        "pixel_rules": _pixel_rules(clean_pixels),
        "safe": _safe_private(safe_private),
        "limits": chosen_limits(limit, limits),
    }
    if dry_run:
        return _rehearse(source, chosen)
    assert output is not None
    return _run(source, output, quarantine, _deidentifier(_key(key, output), chosen))


def _deidentifier(key: SecretKey, chosen: dict[str, Any]) -> Deidentifier:
    from isocenter.deidentification.one_object import Deidentifier

    return Deidentifier(key=key, **chosen)


def _key(path: Path, output: Path) -> SecretKey:
    from isocenter.core.files import named_path
    from isocenter.deidentification.keys import key_of

    place = named_path(path)
    if named_path(output).resolve() in place.resolve().parents:
        raise SettingRefused("the key must not lie in the output folder, as it would be given away")
    return key_of(place)


def _pixel_rules(path: Path | None) -> Any:
    from isocenter.deidentification.pixel_rules import read_pixel_rules

    return () if path is None else read_pixel_rules(path.expanduser())


def _safe_private(path: Path | None) -> Any:
    from isocenter.deidentification.profile import read_safe_private, safe_private

    return safe_private(() if path is None else read_safe_private(path.expanduser()))


def _run(source: Path, output: Path, quarantine: Path | None, deidentifier: Deidentifier) -> Answer:
    from isocenter.deidentification.folder import deidentify_folder

    with progress_bar("De-identifying") as progress:
        result = deidentify_folder(
            source, output, deidentifier, quarantine=quarantine, progress=progress
        )
    return _answer(result)


def _answer(result: Result) -> Answer:
    summary = result.summary
    written = [made("deidentified", "De-identified", result.folder, num_files=summary.written)]
    if result.quarantine is not None:
        aside = len(summary.set_aside)
        written.append(made("quarantine", "Quarantine", result.quarantine, num_files=aside))
    return Answer(
        show=partial(_print, result),
        result={
            "folder": result.folder,
            "quarantine": result.quarantine,
            "report": result.report,
            "files": summary.counts(),
            "elements": summary.actions(),
        },
        counts_in={"files": summary.num_files, "other": summary.other},
        counts_out=summary.counts(),
        made=written,
        notes=summary.notes(),
    )


def _print(result: Result) -> None:
    summary = result.summary
    files = Table("Files", "", title_justify="left")
    for name, number in summary.counts().items():
        files.add_row(name.replace("_", " "), str(number))
    print_table(files)
    elements = Table("Elements", "")
    for name, number in summary.actions().items():
        elements.add_row(name, str(number))
    print_table(elements)
    for note in summary.notes():
        complain(f"note: {note}")
    for one in summary.refused:
        complain(one.message)
    say("De-identified", result.folder)
    if result.quarantine is not None:
        say("Quarantine", result.quarantine)
    say("Report", result.report)


def _rehearse(source: Path, chosen: dict[str, Any]) -> Answer:
    """What would be done with the first file, under a key that is used for nothing else."""
    from isocenter.deidentification.keys import new_key
    from isocenter.deidentification.report import attribute_table
    from isocenter.dicom.reading.listing import list_files

    listing = list_files(source, limits=chosen["limits"])
    if not listing.dicom:
        raise SettingRefused("there is no DICOM file to show it on")
    done = _deidentifier(new_key(), chosen).deidentified(listing.dicom[0])
    rows = attribute_table(done.done)
    return Answer(
        show=partial(_print_rehearsal, rows, done.risk),
        result={"dry_run": True, "attributes": rows, "set_aside": done.risk or None},
        counts_in={"files": 1},
    )


def _print_rehearsal(rows: list[dict[str, Any]], risk: str) -> None:
    from isocenter.deidentification.burned_in import RISKS

    table = Table("Tag", "Name", "Action", "Times")
    for row in rows:
        if row["action"] != "kept":
            table.add_row(row["tag"], row["name"], row["action"], str(row["count"]))
    print_table(table)
    typer.echo(f"{sum(row['count'] for row in rows if row['action'] == 'kept')} elements kept")
    if risk:
        typer.echo(f"It would be set aside: {RISKS[risk]}.")
    typer.echo("Nothing was written.")
