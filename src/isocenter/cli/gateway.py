"""``isocenter gateway``: run it, look at it, explain it, mend what did not arrive, try it."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from isocenter.cli.answer import Answer
from isocenter.cli.options import OutputOption
from isocenter.cli.output import print_table, tell
from isocenter.core.errors import InputRefused, OutputRefused
from isocenter.core.files import writing_to

if TYPE_CHECKING:
    from isocenter.gateway.configuration.configuration import Configuration
    from isocenter.gateway.deliver.dead_letters import DeadLetter
    from isocenter.gateway.demo import Shown
    from isocenter.gateway.rules.explain import Explanation
    from isocenter.gateway.status import Status
    from isocenter.gateway.store.store import Store

ConfigurationArgument = Annotated[
    Path, typer.Argument(metavar="CONFIGURATION", help="TOML file; docs/gateway.md lists its keys.")
]

gateway_app = typer.Typer(
    name="gateway",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Behind a PACS: receive, decide, run, deliver; nothing lost, nothing doubled.",
)


@contextmanager
def _needing_extra() -> Iterator[None]:
    """Say what to install where the extra is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputRefused(
            f"the gateway needs {error.name}, which is not installed; install the extra `gateway`, "
            "such as by `pip install -e '.[gateway]'`"
        ) from error


@contextmanager
def _opened(configuration: Configuration) -> Iterator[Store]:
    from isocenter.gateway.store.store import Store

    store = Store(configuration.store)
    try:
        yield store
    finally:
        store.close()


def _read(path: Path) -> Configuration:
    from isocenter.gateway.configuration.configuration import read_configuration

    return read_configuration(path)


@gateway_app.command()
def run(configuration: ConfigurationArgument) -> Answer:
    """Run the gateway until it is told to end (SIGTERM or Ctrl-C)."""
    with _needing_extra():
        from isocenter.gateway.service import Gateway

        keys = _read(configuration)
        with Gateway(keys) as gateway:
            previous = {
                number: signal.signal(number, lambda *_: gateway.stop())
                for number in (signal.SIGTERM, signal.SIGINT)
            }
            _tell_listening(gateway, keys)
            try:
                gateway.wait()
            finally:
                for number, handler in previous.items():
                    signal.signal(number, handler)
    return Answer(show=lambda: tell("Ended; what was under way goes on at the next start."))


def _tell_listening(gateway: Any, keys: Configuration) -> None:
    if keys.dicom is not None:
        tell(f"C-STORE: {keys.dicom.ae_title} at {keys.dicom.host}:{gateway.dicom_port}")
    if keys.web is not None:
        tell(f"STOW-RS: http://{keys.web.host}:{gateway.web_port}/studies")
    put_right = {name: number for name, number in asdict(gateway.recovered).items() if number}
    if put_right:
        words = ", ".join(f"{name} {number}" for name, number in put_right.items())
        tell(f"Put right after the last end: {words}")


@gateway_app.command()
def status(
    configuration: ConfigurationArgument,
    latest: Annotated[int, typer.Option("--latest", min=0, help="Studies that are listed.")] = 20,
) -> Answer:
    """Show what there is, what is due and what needs a person; the gateway need not run."""
    with _needing_extra():
        from isocenter.gateway.status import status_of

        with _opened(_read(configuration)) as store:
            found = status_of(store, most=latest)
    return Answer(show=partial(_print_status, found), result=asdict(found))


def _print_status(found: Status) -> None:
    table = Table("", "State", "Number")
    groups = {
        "Instances": found.instances,
        "Studies": found.studies,
        "Jobs": found.jobs,
        "Deliveries": found.deliveries,
    }
    for name, numbers in groups.items():
        for state, number in numbers.items():
            table.add_row(name, state, str(number))
            name = ""
    print_table(table)
    if found.latest:
        table = Table("Study", "State", "Instances", "Time", "Last instance", "Jobs")
        for line in found.latest:
            at = datetime.fromtimestamp(line.last_at).astimezone()
            table.add_row(
                str(line.number),
                line.state,
                str(line.num_instances),
                str(line.generation),
                at.isoformat(" ", "seconds"),
                escape("\n".join(line.jobs)),
            )
        print_table(table)
    typer.echo(f"Free on the disk of the spool: {found.free_bytes / 2**30:.1f} GiB")
    if found.dead_letters:
        typer.echo(f"Dead letters: {found.dead_letters}; see `isocenter gateway dead-letters list`")


@gateway_app.command()
def explain(
    configuration: ConfigurationArgument,
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY", help="Number in the status, Study Instance UID, or a folder."
        ),
    ],
    ask: Annotated[
        bool,
        typer.Option("--ask/--no-ask", help="Ask the tasks whether they accept the series."),
    ] = True,
) -> Answer:
    """Say what the rules want of a study and why, and what the tasks accept; nothing is made."""
    with _needing_extra():
        from isocenter.gateway.jobs.asking import asked_apart
        from isocenter.gateway.rules.decide import checked_rules
        from isocenter.gateway.rules.explain import explain_folder, explain_stored

        keys = _read(configuration)
        rules = checked_rules(keys)
        with asked_apart(keys.jobs, wanted=ask) as question:
            device = keys.jobs.device
            if Path(study).is_dir():
                found = explain_folder(Path(study), rules, device=device, ask=question)
            else:
                with _opened(keys) as store:
                    found = explain_stored(store, study, rules, device=device, ask=question)
    return Answer(show=partial(_print_explanation, found), result=_plain(found))


def _plain(found: Explanation) -> dict[str, Any]:
    """Without UIDs and descriptions, which may identify."""
    return {
        "state": found.state,
        "series": [
            {
                "number": each.number,
                "num_images": each.num_images,
                "modality": each.text("Modality"),
            }
            for each in found.series
        ],
        "decisions": [
            {
                "rule": each.rule,
                "holds": bool(each.wanted),
                "reasons": list(each.reasons),
            }
            for each in found.decisions
        ],
        "tasks": [asdict(each) for each in found.says],
        "jobs": [dict(zip(("rule", "state", "reason"), each, strict=True)) for each in found.jobs],
    }


def _print_explanation(found: Explanation) -> None:
    typer.echo(f"Study: {found.state}")
    for series in found.series:
        shown = ", ".join(
            text for name in ("Modality", "BodyPartExamined") if (text := series.text(name))
        )
        typer.echo(
            f"  series {series.number}: {shown or 'not described'}, {series.num_images} images"
        )
    for decision in found.decisions:
        typer.echo(f"{decision.rule}: {'holds' if decision.wanted else 'does not hold'}")
        for reason in decision.reasons:
            typer.echo(f"  {reason}")
        for says in found.says:
            if says.rule == decision.rule:
                numbers = ", ".join(map(str, says.series))
                verdict = "accepts it" if says.accepts else f"refuses it: {says.message}"
                typer.echo(f"  asked about series {numbers}, the task {verdict}")
    for rule, state, reason in found.jobs:
        typer.echo(f"Job of {rule}: {state}{f' ({reason})' if reason else ''}")


@gateway_app.command()
def demo(
    output: OutputOption = Path("gateway-demo"),
    task: Annotated[
        str, typer.Option("--task", help="What is made of the phantom: enhance, or copy (fast).")
    ] = "enhance",
    slices: Annotated[int, typer.Option("--slices", min=3, help="Length of the phantom scan.")] = 5,
    patience: Annotated[
        float, typer.Option("--patience", min=1.0, help="Seconds to wait for the result.")
    ] = 600.0,
) -> Answer:
    """Try it: a real Orthanc as archive, a phantom study sent as a scanner would."""
    with _needing_extra():
        from isocenter.dicom.writing.phantom_scan import write_phantom_scan
        from isocenter.gateway.demo import demonstrate, installed_orthanc
        from isocenter.gateway.known_tasks.named import task_named
        from isocenter.physics.ct_phantom import low_dose_phantom

        installed_orthanc()
        task_named(task)
        if output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise OutputRefused(
                f"{output} exists already; name a new folder with --output", reason="output_taken"
            )
        tell("Making a phantom scan at low dose")
        scan = output / "scan"
        with writing_to(output):
            scan.mkdir(parents=True)
            write_phantom_scan(low_dose_phantom(seed=0, num_slices=slices)[0], scan)
        shown = demonstrate(scan, output, task=task, patience_s=patience, tell=tell)
    return Answer(
        show=partial(_print_shown, shown),
        result={
            "folder": output.absolute(),
            "series": [{"description": text, "instances": num} for text, num in shown.series],
            "seconds": shown.seconds,
            "jobs": dict(shown.jobs),
        },
        counts_in={"images": slices},
        counts_out={"series": len(shown.series)},
    )


def _print_shown(shown: Shown) -> None:
    table = Table("Series in the archive", "Images")
    for description, number in shown.series:
        table.add_row(escape(description), str(number))
    print_table(table)
    typer.echo(f"From the last image to the last delivery: {shown.seconds:.1f} s")


letters_app = typer.Typer(
    name="dead-letters",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="What did not arrive or could not be made: list, mend, resend, drop.",
)
gateway_app.add_typer(letters_app)
NamesArgument = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="As the list has them, or all.")
]


@letters_app.command(name="list")
def list_letters(configuration: ConfigurationArgument) -> Answer:
    """List them with their reasons."""
    with _needing_extra():
        from isocenter.gateway.deliver.dead_letters import dead_letters

        with _opened(_read(configuration)) as store:
            found = dead_letters(store)
    result = {"dead_letters": [asdict(each) for each in found]}
    return Answer(show=partial(_print_letters, found), result=result)


def _print_letters(found: Sequence[DeadLetter]) -> None:
    if not found:
        typer.echo("There are none.")
        return
    table = Table("Name", "What", "Tries", "Reason", "Message", "File in the spool")
    for each in found:
        row = (each.id, each.what, str(each.attempts), each.reason, each.message, each.file)
        table.add_row(*map(escape, row))
    print_table(table)


@letters_app.command()
def resend(
    configuration: ConfigurationArgument,
    names: NamesArgument,
    to: Annotated[
        str, typer.Option("--to", metavar="ARCHIVE", help="Send deliveries to another archive.")
    ] = "",
) -> Answer:
    """Try again: deliveries are due at once, jobs are queued."""
    with _needing_extra():
        from isocenter.gateway.deliver.dead_letters import named, send_again

        keys = _read(configuration)
        known = [each.name for each in keys.archives]
        if to and to not in known:
            raise InputRefused(f"there is no such archive; there are {', '.join(known) or 'none'}")
        with _opened(keys) as store:
            letters = named(store, names)
            send_again(store, letters, archive=to)
    return _did("put back", letters)


@letters_app.command()
def mend(
    configuration: ConfigurationArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As the list has it.")],
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="DICOM file of the same UIDs and pixels to send."),
    ],
) -> Answer:
    """Send a corrected file in the place of one that an archive does not take."""
    with _needing_extra():
        from isocenter.gateway.deliver import dead_letters

        with _opened(_read(configuration)) as store:
            (letter,) = letters = dead_letters.named(store, [name])
            dead_letters.mend(store, letter, file)
    return _did("mended and put back", letters)


@letters_app.command()
def drop(configuration: ConfigurationArgument, names: NamesArgument) -> Answer:
    """Give them up; files stay in the spool."""
    with _needing_extra():
        from isocenter.gateway.deliver import dead_letters

        with _opened(_read(configuration)) as store:
            letters = dead_letters.named(store, names)
            dead_letters.drop(store, letters)
    return _did("dropped", letters)


def _did(what: str, letters: Sequence[DeadLetter]) -> Answer:
    names = [each.id for each in letters]
    return Answer(
        show=lambda: typer.echo(f"{what}: {', '.join(names) or 'none'}"),
        result={"dead_letters": names},
        counts_out={"dead_letters": len(names)},
    )
