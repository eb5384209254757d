"""Wheel, locks, bill of materials and image: they hold what they should, and nothing else."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from release.locks import Locked, normalized, read_lock

from isocenter.core.files import sha256_of
from isocenter.core.version import __version__

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
SHIPPED = "isocenter/modelpack/shipped"
WEIGHTS = f"{SHIPPED}/ct_enhance"
LOCKS = {
    "registry": REPOSITORY / "constraints-hashed.txt",
    "cpu": REPOSITORY / "constraints-hashed-cpu.txt",
}
NOBODY = 65534


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and source archive, as `make wheel` makes them."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("isocenter-*.whl")
    return found


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    info = f"isocenter-{__version__}.dist-info"
    package = REPOSITORY / "src"
    sources = {
        path.relative_to(package).as_posix()
        for path in (package / "isocenter").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    described = {f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")}
    assert names == sources | described | {f"{info}/licenses/LICENSE"}
    for needed in (
        "isocenter/py.typed",
        "isocenter/tasks/report/report.html.j2",
        f"{WEIGHTS}/SHA256SUMS",
        f"{WEIGHTS}/card.json",
        f"{WEIGHTS}/mean/diffusion_pytorch_model.safetensors",
        f"{WEIGHTS}/texture/diffusion_pytorch_model.safetensors",
        f"{SHIPPED}/generators/denoiser/diffusion_pytorch_model.safetensors",
        f"{SHIPPED}/generators/families.json",
    ):
        assert needed in names
    assert not [name for name in names if "test" in Path(name).name.lower()]


@pytest.mark.parametrize("model", ["ct_enhance", "generators"])
def test_the_weights_in_the_wheel_are_those_that_their_checksums_list(
    wheel: Path, tmp_path: Path, model: str
) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    folder = tmp_path / SHIPPED / model
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    assert len(listed) > 5
    for name, digest in listed.items():
        assert sha256_of(folder / name) == digest


def test_the_wheel_says_what_was_tried_and_no_more(wheel: Path) -> None:
    info = f"isocenter-{__version__}.dist-info/METADATA"
    text = zipfile.ZipFile(wheel).read(info).decode()
    pythons = re.findall(r"^Classifier: Programming Language :: Python :: (3\.\d+)$", text, re.M)
    systems = re.findall(r"^Classifier: Operating System :: (.*)$", text, re.M)
    assert (pythons, systems) == (["3.11"], ["POSIX :: Linux"])
    assert re.search(r"^Requires-Python: <3.12,>=3.11$", text, re.M)
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in pythons
    assert "License-Expression: Apache-2.0" in text
    for page in ("README.md", "docs/quick_start.md", "docs/shipping.md"):
        claimed = re.findall(r"Python (3\.\d+)", (REPOSITORY / page).read_text())
        assert set(claimed) == set(pythons), page


def test_the_source_archive_can_be_built_and_tested(built: Path) -> None:
    (archive,) = built.glob("isocenter-*.tar.gz")
    top = f"isocenter-{__version__}"
    with tarfile.open(archive) as stored:
        names = {name.removeprefix(f"{top}/") for name in stored.getnames()}
    for needed in (
        "LICENSE",
        "README.md",
        "SECURITY.md",
        "Containerfile",
        "Makefile",
        "constraints-hashed.txt",
        "pyproject.toml",
        "release/sbom.py",
        "src/isocenter/py.typed",
        f"src/{WEIGHTS}/mean/diffusion_pytorch_model.safetensors",
        "tests/test_what_ships.py",
    ):
        assert needed in names
    assert not [name for name in names if name.endswith((".dcm", ".pyc"))]


# The locks


def constraints() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    return {normalized(name): version for name, _, version in (x.partition("==") for x in lines)}


@pytest.fixture(params=LOCKS)
def lock(request: pytest.FixtureRequest) -> dict[str, Locked]:
    return read_lock(LOCKS[request.param])


def test_a_lock_pins_what_the_package_names_at_the_versions_tried(lock: dict[str, Locked]) -> None:
    direct = {normalized(re.split(r"[<>=!~ ;\[]", each)[0]) for each in PROJECT["dependencies"]}
    assert direct <= set(lock)
    tried = constraints()
    for name, locked in lock.items():
        if name in tried:
            assert locked.version.partition("+")[0] == tried[name], name
        else:
            assert re.match(r"nvidia-|cuda-|triton", name), f"{name} was never tried"


def test_the_locks_differ_by_the_build_of_torch_alone() -> None:
    registry, cpu = (read_lock(path) for path in LOCKS.values())
    assert (registry["torch"].version, cpu["torch"].version) == ("2.13.0", "2.13.0+cpu")
    assert set(cpu) <= set(registry)
    assert all(registry[name] == cpu[name] for name in cpu if name != "torch")


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_no_address(name: str) -> None:
    text = LOCKS[name].read_text()
    assert not re.search(r"://|--(?!hash)\w|@", text)


@pytest.mark.parametrize("line", ["torch>=2", "torch==2.13.0", "torch==2 --hash=md5:00", "-e ."])
def test_a_lock_with_a_line_that_pins_nothing_is_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text(line + "\n")
    with pytest.raises(ValueError, match="pins no files"):
        read_lock(tmp_path / "lock.txt")


# The bill of materials


@pytest.fixture(scope="module")
def bill(wheel: Path) -> dict[str, Any]:
    from release.sbom import bill_of_materials

    made_at = datetime(2026, 1, 1, tzinfo=UTC)
    text = bill_of_materials(wheel=wheel, made_at=made_at)
    assert text == bill_of_materials(wheel=wheel, made_at=made_at)
    found: dict[str, Any] = json.loads(text)
    return found


def components(bill: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in bill["components"] if each["type"] == kind}


def test_the_bill_names_the_wheel_by_its_digest(bill: dict[str, Any], wheel: Path) -> None:
    whole = bill["metadata"]["component"]
    assert (whole["name"], whole["version"]) == ("isocenter", __version__)
    assert [each["content"] for each in whole["hashes"]] == [sha256_of(wheel)]


def test_the_bill_lists_what_is_locked_with_licences(bill: dict[str, Any]) -> None:
    libraries = components(bill, "library")
    assert set(libraries) == set(read_lock(LOCKS["cpu"])) - not_needed_here()
    assert not [name for name, each in libraries.items() if not each.get("licenses")]
    assert not {"pytest", "mypy", "hatchling", "bm3d"} & set(libraries)
    numpy = read_lock(LOCKS["cpu"])["numpy"]
    assert {each["content"] for each in libraries["numpy"]["hashes"]} == set(numpy.sha256)


def not_needed_here() -> set[str]:
    """What the lock holds for other environments; nothing is expected."""
    return set()


@pytest.mark.parametrize(
    ("folder", "weights"), [("ct_enhance", "mean"), ("generators", "denoiser")]
)
def test_the_bill_holds_the_weights_their_card_and_their_data(
    bill: dict[str, Any], folder: str, weights: str
) -> None:
    shipped = REPOSITORY / "src" / SHIPPED / folder
    card = json.loads((shipped / "card.json").read_text())
    models = components(bill, "machine-learning-model").values()
    (model,) = (each for each in models if each["name"] == card["name"])
    listed = {each["name"]: each["hashes"][0]["content"] for each in model["components"]}
    file = f"{weights}/diffusion_pytorch_model.safetensors"
    assert listed[file] == sha256_of(shipped / file)
    assert len(listed) == sum(path.is_file() for path in shipped.rglob("*"))
    assert model["version"] == card["version"]
    assert set(card["limits"]) <= set(model["modelCard"]["considerations"]["technicalLimitations"])
    refs = {each["ref"] for each in model["modelCard"]["modelParameters"]["datasets"]}
    data = [each for each in bill["components"] if each["bom-ref"] in refs]
    text = (shipped / "README.md").read_text().partition("## Data")[2].partition("\n## ")[0]
    cited = re.findall(r"^- .* \((?:CC BY [\d.]+|Apache-2.0|no restriction)\)$", text, re.M)
    assert len(data) == len(refs) == len(cited) > 5
    for each in data:
        assert each["licenses"][0]["license"].keys() & {"id", "name"}
        for reference in each.get("externalReferences", []):
            assert reference["url"].startswith("https://doi.org/10.")


def test_every_need_in_the_bill_is_a_component_of_it(bill: dict[str, Any]) -> None:
    known = {each["bom-ref"] for each in bill["components"]}
    whole = bill["metadata"]["component"]["bom-ref"]
    needs = {each["ref"]: set(each.get("dependsOn", ())) for each in bill["dependencies"]}
    assert needs[whole]
    assert set().union(*needs.values()) <= known
    assert known | {whole} >= set(needs)


# The image


def instructions() -> list[tuple[str, str]]:
    """Name and arguments of each line of the Containerfile."""
    text = (REPOSITORY / "Containerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    return [
        (name.upper(), " ".join(rest.split()))
        for name, _, rest in (line.partition(" ") for line in whole.splitlines() if line.strip())
    ]


def all_of(name: str) -> list[str]:
    return [arguments for found, arguments in instructions() if found == name]


def last_stage() -> list[tuple[str, str]]:
    lines = instructions()
    start = max(index for index, (name, _) in enumerate(lines) if name == "FROM")
    return lines[start:]


def test_the_image_runs_the_command_as_a_numbered_user_who_is_not_root() -> None:
    stage = dict(last_stage())
    user, _, group = stage["USER"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert json.loads(stage["ENTRYPOINT"]) == ["isocenter"]
    assert stage["HEALTHCHECK"] == "NONE"
    names = [name for name, _ in last_stage()]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name == "COPY")
    assert "RUN" not in names  # nothing is installed beside what the first stage checked


def test_the_image_takes_nothing_from_elsewhere_than_the_lock_lets_in() -> None:
    assert not all_of("ADD")
    run = all_of("RUN")
    assert not [line for line in run if re.search(r"curl|wget|git |apt|://", line)]
    installs = [line for line in run if " install " in line]
    assert installs
    for line in installs:
        assert "--require-hashes" in line or "--no-index" in line


def test_the_image_copies_only_what_there_is() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().split()
    for line in all_of("COPY"):
        if line.startswith("--from=build"):
            continue
        (source, _) = line.split()
        if source == "dist/":
            assert "!dist/*.whl" in ignored  # which `make wheel` makes
        else:
            assert (REPOSITORY / source).is_file()
            assert f"!{source}" in ignored
    assert ignored[ignored.index("*") - 1] != "!"


def test_the_base_of_the_image_has_a_tag_and_takes_a_digest() -> None:
    arguments = dict(each.split("=", 1) for each in all_of("ARG"))
    assert arguments["BASE"] == "python:3.11-slim-bookworm"
    assert all(stage.startswith("${BASE}${BASE_DIGEST}") for stage in all_of("FROM"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first stage of the image makes, by its own steps, in places of the test."""
    top = tmp_path_factory.mktemp("image")
    top.chmod(0o755)
    for parent in top.parents[:2]:
        parent.chmod(parent.stat().st_mode | 0o055)
    place, build = top / "installed", top / "build"
    (build / "dist").mkdir(parents=True)
    shutil.copy(wheel, build / "dist")
    for line in all_of("COPY"):
        if not line.startswith("--from") and not line.startswith("dist/"):
            shutil.copy(REPOSITORY / line.split()[0], build)
    for line in all_of("RUN"):
        command = line.replace("/srv/isocenter", str(place)).replace("/build", str(build))
        done = subprocess.run(["sh", "-ec", command], cwd=top, capture_output=True, text=True)
        if "No matching distribution found for torch" in done.stderr:
            pytest.skip("pip finds no build of torch for processors; tell it by PIP_FIND_LINKS")
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return place


def without_rights(folder: Path) -> list[str]:
    """Another user without network, where the system lets us be one."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("setpriv"):
        return []
    user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    prefix = ["unshare", "-n", "setpriv", *user]
    if subprocess.run([*prefix, "true"], capture_output=True).returncode:
        return []
    os.chown(folder, NOBODY, NOBODY)
    return prefix


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_the_image_installs_works_for_nobody_read_only_and_without_network(
    installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    prefix = without_rights(home)
    assert prefix or os.geteuid() != 0
    writable = [path for path in installed.rglob("*") if not path.is_symlink()
                and path.stat().st_mode & 0o222]  # fmt: skip
    assert not writable
    before = {path: path.stat().st_mtime_ns for path in installed.rglob("*")}
    environment = {"PATH": f"{installed}/bin:/usr/bin:/bin", "HOME": str(home)}
    for line in all_of("ENV"):
        for word in shlex.split(line):
            name, _, value = word.partition("=")
            if name not in ("PATH", "HOME"):
                environment[name] = value.replace("/tmp", str(home))

    def run(*arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [*prefix, "isocenter", *arguments, "--json"],
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert "Warning" not in done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    model = run("model")["result"]
    listed = json.loads((REPOSITORY / "src" / WEIGHTS / "card.json").read_text())
    assert model["version"] == listed["version"]
    demo = run("demo", "--output", str(home / "demo"), "--slices", "3")
    assert [made["num_files"] for made in demo["made"]] == [3, 1]
    assert before == {path: path.stat().st_mtime_ns for path in installed.rglob("*")}
