"""Everything that can be configured of the gateway, in the order in which a study travels."""

# ruff: noqa: RUF009 - a key is a field

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isocenter.core.errors import SettingRefused
from isocenter.core.files import named_path
from isocenter.gateway.configuration.keys import key, read_table

MEBIBYTE = 2**20
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_AE_TITLE = re.compile(r"[\x21-\x5b\x5d-\x7e]([\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}")


def _check_ae_title(name: str, title: str) -> None:
    if not _AE_TITLE.fullmatch(title):
        raise SettingRefused(
            f"{name} must be 1 to 16 characters of ASCII without a backslash, got {title!r}"
        )


@dataclass(frozen=True, kw_only=True)
class StoreKeys:
    """Where instances and the state of everything lie."""

    folder: Path = key(help="Folder for the spool and, by default, the database; made if absent.")
    database: str = key(
        "",
        help="SQLAlchemy URL of the database, such as postgresql+psycopg://user@host/name; empty "
        "keeps SQLite in the folder.",
    )
    keep_free_mib: int = key(
        1024, help="Below this much free disk, senders are asked to wait.", at_least=0
    )
    busy_s: float = key(
        10.0,
        help="How long to wait for a locked database before asking the sender to wait.",
        at_least=0.0,
    )

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.folder.absolute() / 'gateway.sqlite'}"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Who may send: an AE title from these addresses."""

    ae_title: str = key(help="Calling AE title.")
    addresses: tuple[str, ...] = key(
        help="Addresses or networks, such as 10.1.0.0/16, that it may call from."
    )

    def __post_init__(self) -> None:
        _check_ae_title("ae_title", self.ae_title)
        if not self.addresses:
            raise SettingRefused("addresses is empty; name where the peer calls from")
        for each in self.addresses:
            try:
                ipaddress.ip_network(each)
            except ValueError:
                raise SettingRefused(
                    f"addresses takes IP addresses or networks such as 10.1.0.0/16, got {each!r}"
                ) from None


@dataclass(frozen=True, kw_only=True)
class DicomKeys:
    """The receiver of C-STORE, C-ECHO, MPPS and IAN."""

    ae_title: str = key("ISOCENTER", help="AE title that callers must call.")
    host: str = key("127.0.0.1", help="Address to listen at.")
    port: int = key(11112, help="Port to listen at; 0 takes a free one.", at_least=0, at_most=65535)
    peers: tuple[Peer, ...] = ()
    most_associations: int = key(16, help="At once; further ones are rejected.", at_least=1)
    largest_pdu: int = key(
        65536, help="Bytes of a PDU that are offered to callers.", at_least=4096, at_most=2**20
    )
    largest_instance_mib: int = key(
        1024, help="An association that sends a larger instance is aborted.", at_least=1
    )
    idle_s: float = key(
        60.0, help="An association that says nothing for so long is aborted.", at_least=0.1
    )
    tls_certificate: Path | None = key(None, help="PEM file; turns TLS on.")
    tls_key: Path | None = key(None, help="PEM file of the private key.")
    tls_callers: Path | None = key(
        None, help="PEM file of the authorities that callers' certificates must come from."
    )

    def __post_init__(self) -> None:
        _check_ae_title("ae_title", self.ae_title)
        if not self.peers:
            raise SettingRefused("peers is empty; strangers are refused, so name who may send")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise SettingRefused("tls_certificate and tls_key go together; give both or none")
        if self.tls_callers is not None and self.tls_certificate is None:
            raise SettingRefused("tls_callers needs tls_certificate and tls_key")


@dataclass(frozen=True, kw_only=True)
class WebKeys:
    """The receiver of STOW-RS."""

    host: str = key("127.0.0.1", help="Address to listen at.")
    port: int = key(8080, help="Port to listen at; 0 takes a free one.", at_least=0, at_most=65535)
    token_env: str = key(
        "",
        help="Environment variable with the bearer token that callers send; may be empty only "
        "where host is this machine alone.",
    )
    largest_body_mib: int = key(2048, help="Of one request.", at_least=1)
    largest_instance_mib: int = key(1024, help="Of one part.", at_least=1)
    most_parts: int = key(10_000, help="Of one request.", at_least=1)
    slowest_s: float = key(
        60.0, help="A request of which nothing arrives for so long is ended.", at_least=0.1
    )

    def __post_init__(self) -> None:
        if not self.token_env and self.host not in LOOPBACK:
            raise SettingRefused(
                f"token_env is empty, but host is {self.host}: others could send; name a variable "
                "with a token, or listen at 127.0.0.1"
            )


@dataclass(frozen=True, kw_only=True)
class CompletenessKeys:
    """When a study is taken to be complete."""

    quiet_s: float = key(
        60.0,
        help="Nothing new for so long, where nobody says that the study is complete.",
        at_least=0.0,
    )
    poll_s: float = key(0.2, help="How often studies are looked at.", at_least=0.01)
    archive: str = key(
        "",
        help="Archive that holds the same studies: its count (QIDO-RS) must be that of the gateway "
        "in two polls beside the quiet time. Empty asks none.",
    )
    archive_poll_s: float = key(10.0, help="Between two polls of the archive.", at_least=0.05)
    longest_wait_s: float = key(
        1800.0,
        help="Where counts or lists of instances never fit, go on after so much quiet time all the "
        "same, and say so.",
        at_least=0.0,
    )


@dataclass(frozen=True, kw_only=True)
class JobKeys:
    """How tasks are run."""

    workers: int = key(1, help="Jobs at once.", at_least=1, at_most=64)
    memory_gib: float = key(
        16.0, help="Address space of a job; beyond it the job fails.", at_least=0.25
    )
    minutes: float = key(60.0, help="Longest time of a job by the clock.", at_least=0.001)
    tries: int = key(
        2, help="How often a job that crashes is tried before it fails.", at_least=1, at_most=20
    )
    device: str = key("cpu", help='"cpu", "cuda", "cuda:1" and so on, or "auto".')


@dataclass(frozen=True, kw_only=True)
class RetryKeys:
    """Pauses between attempts to deliver."""

    first_s: float = key(2.0, help="After the first failure; it doubles each time.", at_least=0.01)
    longest_s: float = key(900.0, help="No pause is longer.", at_least=0.01)
    give_up_hours: float = key(
        72.0, help="From when on what still fails is a dead letter.", at_least=0.0
    )

    def __post_init__(self) -> None:
        if self.longest_s < self.first_s:
            raise SettingRefused(
                f"longest_s must be at least first_s, got {self.longest_s:g} and {self.first_s:g}"
            )


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Where results go.

    ``url`` is for STOW-RS and for reading back; ``host``, ``port`` and AE titles are for C-STORE.
    """

    name: str = key(help="As rules call it.")
    send: str = key("stow", help="How results are sent.", choices=("stow", "dicom"))
    url: str = key(
        "", help="Root of its DICOMweb, such as https://archive/dicom-web; studies follow it."
    )
    user: str = key("", help="For HTTP basic authentication.")
    password_env: str = key("", help="Environment variable with its password.")
    token_env: str = key("", help="Environment variable with a bearer token instead.")
    authorities: Path | None = key(
        None, help="PEM file of authorities for https; empty takes the system's."
    )
    host: str = key("", help="For C-STORE.")
    port: int = key(104, help="For C-STORE.", at_least=1, at_most=65535)
    ae_title: str = key("", help="Called AE title, for C-STORE.")
    own_ae_title: str = key("ISOCENTER", help="Calling AE title.")
    verify: str = key(
        "read_back",
        help="How a result counts as delivered: read_back compares the digest of its pixels, "
        "commitment asks for storage commitment, none believes the answer.",
        choices=("read_back", "commitment", "none"),
    )
    timeout_s: float = key(
        30.0, help="Longest silence, and four times that for one request.", at_least=0.05
    )
    most_instances: int = key(10, help="Of one request.", at_least=1)
    largest_request_mib: int = key(10, help="Of one request; one instance may be more.", at_least=1)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SettingRefused(f"name must be letters, digits, space, _ or -, got {self.name!r}")
        needs_url = self.send == "stow" or self.verify == "read_back"
        if needs_url and not re.fullmatch(r"https?://[^\s?#@]+", self.url):
            raise SettingRefused(
                f"url must be http:// or https:// without user or query, got {self.url!r}; "
                f"{'STOW-RS' if self.send == 'stow' else 'reading back'} needs it"
            )
        if self.send == "dicom":
            if not self.host:
                raise SettingRefused("host is empty; C-STORE needs it")
            _check_ae_title("ae_title", self.ae_title)
            _check_ae_title("own_ae_title", self.own_ae_title)
        elif self.verify == "commitment":
            raise SettingRefused('verify "commitment" goes with send "dicom"')
        if self.user and not self.password_env:
            raise SettingRefused("password_env is empty, but user is set; name the variable")

    def secret(self) -> str:
        """The password or token out of the environment, "" for none."""
        return secret_of(self.password_env or self.token_env)


@dataclass(frozen=True, kw_only=True)
class RuleKeys:
    """What is to be made of which study; ``inputs`` and ``without`` describe series."""

    name: str = key(help="In words, as it stands in reasons.")
    task: str = key(help="Command of a task, such as enhance; copy makes an unchanged series.")
    inputs: Mapping[str, Any] = key(
        help="For each scan that the task reads, what a series must be to be taken."
    )
    without: Mapping[str, Any] = key(
        {}, help="Descriptions by name; the rule holds only where no series of the study fits one."
    )
    settings: Mapping[str, Any] = key({}, help="Of the task, such as strength.")
    model: str = key("", help="Model folder; empty takes the shipped weights.")
    largest_run: bool = key(
        False, help="Where slices are missing or damaged take the largest even run."
    )
    to: tuple[str, ...] = key(help="Names of archives that get the result.")
    priority: int = key(0, help="Higher ones first, such as 100 for stroke.")

    def __post_init__(self) -> None:
        if not self.to:
            raise SettingRefused("to is empty; name the archives that get the result")
        if not self.inputs:
            raise SettingRefused("inputs is empty; describe the series that the task reads")


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The whole file."""

    store: StoreKeys
    dicom: DicomKeys | None = None
    web: WebKeys | None = None
    completeness: CompletenessKeys = field(default_factory=CompletenessKeys)
    jobs: JobKeys = field(default_factory=JobKeys)
    retry: RetryKeys = field(default_factory=RetryKeys)
    archives: tuple[Archive, ...] = ()
    rules: tuple[RuleKeys, ...] = ()

    def __post_init__(self) -> None:
        _check_unique("archives", [each.name for each in self.archives])
        _check_unique("rules", [each.name for each in self.rules])
        names = [each.name for each in self.archives]
        for rule in self.rules:
            for name in rule.to:
                _check_archive(f"rules ({rule.name}).to", name, names)
        if self.completeness.archive:
            _check_archive("completeness.archive", self.completeness.archive, names)
            if not self.archive(self.completeness.archive).url:
                raise SettingRefused("completeness.archive has no url; QIDO-RS needs one")

    def archive(self, name: str) -> Archive:
        """The archive of that name."""
        return next(each for each in self.archives if each.name == name)


def _check_unique(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SettingRefused(f"{what}: the name {name!r} stands twice; names must differ")


def _check_archive(where: str, name: str, known: list[str]) -> None:
    if name not in known:
        raise SettingRefused(
            f"{where} names the archive {name!r}; there are {', '.join(known) or 'none'}"
        )


def read_configuration(path: str | Path) -> Configuration:
    """Read and check the file.

    Raises:
        SettingRefused: it cannot be read, or a key is unknown, missing or not acceptable.
    """
    try:
        text = named_path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SettingRefused(
            "the configuration cannot be read as text; name a TOML file that you may read"
        ) from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingRefused(f"the configuration is not TOML: {error}") from error
    return read_table(Configuration, table)


def secret_of(variable: str) -> str:
    """What an environment variable holds; "" where none is named.

    Raises:
        SettingRefused: it is named and not set.
    """
    if not variable:
        return ""
    if not os.environ.get(variable):
        raise SettingRefused(f"the environment variable {variable} is empty; set it")
    return os.environ[variable]
