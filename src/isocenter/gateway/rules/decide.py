"""What is to be made of a study; a pure function of what is known of its series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from isocenter.core.errors import SettingRefused
from isocenter.gateway.configuration.configuration import Configuration, RuleKeys
from isocenter.gateway.known_tasks.named import task_named
from isocenter.gateway.rules.description import Description, Series, description_of
from isocenter.tasks.settings import settings_from
from isocenter.tasks.task import Task

_MOST_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule of the configuration, checked.

    Attributes:
        keys: as it stands there.
        task: what it asks for.
        inputs: what a series must be, by name of what the task reads.
        without: what no series may be, by name.
        settings: of the task, complete, by name.
    """

    keys: RuleKeys
    task: Task[Any, Any]
    inputs: Mapping[str, Description]
    without: Mapping[str, Description]
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One thing to make: a rule, and the series that it takes by name of what the task reads."""

    rule: Rule
    series: Mapping[str, Series]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What one rule says of one study.

    Attributes:
        rule: its name.
        wanted: what is to be made; empty where it does not hold.
        reasons: why and why not, in words.
    """

    rule: str
    wanted: tuple[Wanted, ...]
    reasons: tuple[str, ...]


def checked_rules(configuration: Configuration) -> tuple[Rule, ...]:
    """The rules, held against what their tasks read and take.

    Raises:
        SettingRefused: a task, an input, a keyword or a setting that there is not.
    """
    return tuple(_checked(keys) for keys in configuration.rules)


def _checked(keys: RuleKeys) -> Rule:
    where = f"rules ({keys.name})"
    task = task_named(keys.task, where=f"{where}.task")
    known = {each.name: each for each in task.reads}
    for name in keys.inputs:
        if name not in known:
            raise SettingRefused(
                f"{where}.inputs.{name}: {keys.task} reads {', '.join(known) or 'nothing'}"
            )
    for name, reads in known.items():
        if name not in keys.inputs and not reads.optional:
            raise SettingRefused(f"{where}.inputs.{name} is missing: {reads.what}")
    try:
        settings = settings_from(task.settings, keys.settings)
    except SettingRefused as error:
        raise SettingRefused(f"{where}.settings: {error}") from None
    return Rule(
        keys=keys,
        task=task,
        inputs={
            name: description_of(table, f"{where}.inputs.{name}")
            for name, table in keys.inputs.items()
        },
        without={
            name: description_of(table, f"{where}.without.{name}")
            for name, table in keys.without.items()
        },
        settings=asdict(settings),
    )


def decide(rules: Sequence[Rule], study: Sequence[Series]) -> list[Decision]:
    """Ask every rule; gives a decision each, in the order of the configuration."""
    return [_ask(rule, study) for rule in rules]


def _ask(rule: Rule, study: Sequence[Series]) -> Decision:
    name = rule.keys.name
    for what, description in rule.without.items():
        if has := [series for series in study if not description.failed(series)]:
            return Decision(
                rule=name, wanted=(), reasons=(f"series {has[0].number} is already {what}",)
            )
    taken: dict[str, list[Series]] = {}
    reasons: list[str] = [f"no series is {what}" for what in rule.without]
    for reads, description in rule.inputs.items():
        taken[reads] = _fitting(rule, reads, description, study)
        reasons += _why(reads, description, study, taken[reads])
        if not taken[reads] and not _is_optional(rule, reads):
            return Decision(rule=name, wanted=(), reasons=tuple(reasons))
    wanted = tuple(Wanted(rule=rule, series=each) for each in _combinations(taken))
    return Decision(rule=name, wanted=wanted, reasons=tuple(reasons))


def _fitting(
    rule: Rule, reads: str, description: Description, study: Sequence[Series]
) -> list[Series]:
    """Series that fit what the rule describes, of the modality that the task reads."""
    modality = next(each.modality for each in rule.task.reads if each.name == reads)
    return [
        series
        for series in study
        if not description.failed(series) and modality in ("", series.text("Modality"))
    ]


def _is_optional(rule: Rule, reads: str) -> bool:
    return next(each.optional for each in rule.task.reads if each.name == reads)


def _combinations(taken: Mapping[str, Sequence[Series]]) -> list[dict[str, Series]]:
    """One job a series where a task reads one; of several inputs, the first that fits each."""
    if len(taken) == 1:
        ((name, series),) = taken.items()
        return [{name: each} for each in series]
    return [{name: series[0] for name, series in taken.items() if series}]


def _why(
    reads: str, description: Description, study: Sequence[Series], taken: Sequence[Series]
) -> list[str]:
    lines = [f"{reads}: series {each.number} fits" for each in taken]
    for series in study[:_MOST_SHOWN]:
        if series not in taken:
            failed = description.failed(series)
            why = "; ".join(test.in_words(series) for test in failed) or "of another modality"
            lines.append(f"{reads}: series {series.number} does not fit: {why}")
    if not study:
        lines.append(f"{reads}: there is no series")
    return lines
