"""What the docs promise exists, and what exists is in the docs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest
import typer.main

from isocenter import cli
from isocenter.cli.train import Recipe

REPOSITORY = Path(__file__).parents[1]
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])
COMMAND_LINE = (REPOSITORY / "docs" / "command_line.md").read_text()


def commands() -> dict[str, click.Command]:
    group = typer.main.get_command(cli.app)
    assert isinstance(group, click.Group)
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def section(command: str) -> str:
    """The part of the command line page that is about one command."""
    found = re.search(rf"^## isocenter {command}\b.*?(?=^## |\Z)", COMMAND_LINE, re.M | re.S)
    assert found, f"docs/command_line.md has no section on {command}"
    return found.group()


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_and_option_is_documented(command: str) -> None:
    text = section(command)
    for parameter in commands()[command].params:
        names = (
            parameter.opts
            if isinstance(parameter, click.Option)
            else [parameter.human_readable_name]
        )
        for name in names:
            assert name.strip("[]") in text


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_and_option_explains_itself(command: str) -> None:
    assert commands()[command].help
    assert all(getattr(each, "help", "") for each in commands()[command].params)


def test_the_docs_name_no_command_or_option_that_is_gone() -> None:
    known = {option for command in commands().values() for p in command.params for option in p.opts}
    for page in PAGES:
        for line in re.findall(r"^.*\bisocenter \w+ .*$", page.read_text(), re.M):
            used = re.search(r"\bisocenter (\w+) (.*)", line)
            if used and used.group(1) in commands():
                assert set(re.findall(r"(?<![\w-])--[a-z-]+", used.group(2))) <= known, line


def test_every_recipe_is_documented_and_offered() -> None:
    recipes = REPOSITORY / "src" / "isocenter" / "recipes"
    written = {path.parent.name for path in recipes.glob("*/recipe.py")}
    assert written == set(Recipe)
    assert all(recipe in section("train") for recipe in written)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


def test_every_folder_of_the_package_is_in_the_readme_and_the_architecture() -> None:
    package = REPOSITORY / "src" / "isocenter"
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    for page in ("README.md", "docs/architecture.md"):
        text = (REPOSITORY / page).read_text()
        assert not [folder for folder in folders if folder not in text]


def test_no_page_of_the_docs_is_hidden() -> None:
    index = (REPOSITORY / "docs" / "index.md").read_text()
    pages = (REPOSITORY / "docs").glob("*.md")
    assert not [page.name for page in pages if page.name != "index.md" and page.name not in index]


def test_the_readme_fits_on_two_screens_and_warns_first() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    assert "Not for diagnosis" in readme[:1200]
    assert len(readme.splitlines()) <= 150


def test_the_changelog_names_pixel_changes() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text()
    for heading in ("Added", "Changed", "Fixed", "Image values"):
        assert f"### {heading}" in changelog


def tracked_text() -> dict[str, str]:
    """Every text file that git knows, by its path."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    texts = {}
    for name in filter(None, listed.stdout.split("\0")):
        file = REPOSITORY / name
        try:
            texts[name] = file.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
    return texts


def test_the_tree_names_no_machine_and_no_registry() -> None:
    places = ["/" + "work/", "/" + "home/", "/" + "root/", "/" + "opt/"]
    registries = ["python" + "hosted", "pypi" + ".org/simple", "registry." + "npmjs"]
    for name, text in tracked_text().items():
        found = [word for word in places + registries if word in text]
        assert not found, f"{name} names {found}"


def test_constraints_are_bare_versions() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines)
