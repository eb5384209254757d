"""What the docs promise exists, and what exists is in the docs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import griffe
import pytest
import typer.main

import isocenter
from isocenter import cli
from isocenter.cli.train import RECIPE_MODULES, Recipe
from isocenter.core.limits import DEFAULT_LIMITS
from isocenter.core.settings import setting_names

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
SITE = REPOSITORY / "build" / "site"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.glob("**/*.md")])
COMMAND_LINE = (DOCS / "command_line.md").read_text()

# What stands before the first command is true of all.
COMMON_OPTIONS = COMMAND_LINE.partition("\n## ")[0]


def commands() -> dict[str, click.Command]:
    group = typer.main.get_command(cli.app)
    assert isinstance(group, click.Group)
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def with_inner(command: click.Command) -> Iterator[click.Command]:
    """A command, and those that it groups."""
    yield command
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from with_inner(inner)


def section(command: str) -> str:
    """The part of the command line page that is about one command."""
    found = re.search(rf"^## isocenter {command}\b.*?(?=^## |\Z)", COMMAND_LINE, re.M | re.S)
    assert found, f"docs/command_line.md has no section on {command}"
    return found.group()


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_and_option_is_documented(command: str) -> None:
    text = section(command) + COMMON_OPTIONS
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
    known = {
        option
        for command in commands().values()
        for one in with_inner(command)
        for parameter in one.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    for page in PAGES:
        for line in re.findall(r"^.*\bisocenter \w+ .*$", page.read_text(), re.M):
            used = re.search(r"\bisocenter (\w+) (.*)", line)
            if used and used.group(1) in commands():
                assert set(re.findall(r"(?<![\w-])--[a-z-]+", used.group(2))) <= known, line


def test_every_limit_is_documented() -> None:
    names = re.findall(r"^\| `(\w+)` \|", COMMAND_LINE, re.M)
    assert [name for name in names if name in setting_names(DEFAULT_LIMITS)] == list(
        setting_names(DEFAULT_LIMITS)
    )


def test_every_recipe_is_documented_and_offered() -> None:
    recipes = REPOSITORY / "src" / "isocenter" / "recipes"
    written = {
        f"isocenter.recipes.{path.parent.name}.recipe" for path in recipes.glob("*/recipe.py")
    }
    assert set(RECIPE_MODULES) == set(Recipe)
    assert set(RECIPE_MODULES.values()) == written
    assert all(f"`{recipe}`" in section("train") for recipe in Recipe)


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


def navigation() -> list[str]:
    """Pages that the site's menu names, as paths below docs."""
    menu = re.search(r"^nav:\n((?: .*\n)+)", (REPOSITORY / "mkdocs.yml").read_text(), re.M)
    assert menu
    return re.findall(r": ([\w/]+\.md)$", menu[1], re.M)


def test_every_page_is_in_the_menu_of_the_site() -> None:
    pages = {str(path.relative_to(DOCS)) for path in DOCS.glob("**/*.md")}
    notebooks = {str(path.relative_to(DOCS)) for path in DOCS.glob("**/*.ipynb")}
    written = pages | {name.replace(".ipynb", ".md") for name in notebooks}
    listed = set(navigation())
    assert not written - listed
    assert not {page for page in listed - written if not (REPOSITORY / page).exists()}


def test_the_first_page_leads_to_every_page_of_prose_and_every_notebook() -> None:
    index = (DOCS / "index.md").read_text()
    pages = [*DOCS.glob("*.md"), *DOCS.glob("notebooks/*.ipynb"), DOCS / "reference" / "index.md"]
    names = [str(page.relative_to(DOCS)) for page in pages if page != DOCS / "index.md"]
    assert not [name for name in names if f"]({name})" not in index]


def referenced() -> set[str]:
    """What the reference is asked to show."""
    texts = [page.read_text() for page in (DOCS / "reference").glob("*.md")]
    return set(re.findall(r"^::: ([\w.]+)$", "\n".join(texts), re.M))


def test_every_call_of_the_package_is_in_the_reference() -> None:
    calls = set(isocenter.__all__) - {"__version__"}
    assert calls
    assert not [call for call in calls if f"isocenter.{call}" not in referenced()]


@pytest.fixture(scope="module")
def package() -> griffe.Module:
    """The package as the reference reads it: without importing it."""
    loaded = griffe.load("isocenter", search_paths=[REPOSITORY / "src"])
    assert isinstance(loaded, griffe.Module)
    return loaded


def documented_names(docstring: griffe.Docstring, section: str) -> list[str]:
    """Names that an "Args:" or "Attributes:" section describes; several may share a line."""
    found = re.search(rf"^{section}:\n((?: +.*\n?|\n)*)", docstring.value, re.M)
    lines = re.findall(r"^ {4}(\w+(?:, \w+)*):(?: |$)", found.group(1), re.M) if found else []
    return [name for line in lines for name in line.split(", ")]


def functions_and_classes(module: griffe.Module) -> list[griffe.Function | griffe.Class]:
    found: list[griffe.Function | griffe.Class] = []
    waiting: list[griffe.Object] = [module]
    while waiting:
        members = waiting.pop().members.values()
        own = [each for each in members if isinstance(each, griffe.Object)]
        found += [each for each in own if isinstance(each, griffe.Function | griffe.Class)]
        waiting += [each for each in own if not isinstance(each, griffe.Function)]
    return found


def test_docstrings_describe_arguments_and_attributes_that_exist(package: griffe.Module) -> None:
    wrong = []
    for each in functions_and_classes(package):
        if each.docstring is None:
            continue
        if isinstance(each, griffe.Function):
            names, known = (
                documented_names(each.docstring, "Args"),
                {p.name for p in each.parameters},
            )
        else:
            names, known = documented_names(each.docstring, "Attributes"), set(each.all_members)
        known |= {name.lstrip("*") for name in known}
        wrong += [f"{each.path}: {name}" for name in names if name not in known]
    assert not wrong


@pytest.fixture(scope="module")
def site() -> dict[str, str]:
    """The pages that `make docs` built."""
    if not SITE.is_dir():
        pytest.skip("the site is not built; run `make docs`")
    return {str(page.relative_to(SITE)): page.read_text() for page in SITE.glob("**/*.html")}


def test_the_site_holds_every_page(site: dict[str, str]) -> None:
    assert {page.replace(".md", ".html") for page in navigation()} <= set(site)


def test_the_site_fetches_nothing_from_elsewhere(site: dict[str, str]) -> None:
    fetching = re.compile(
        r"<(?:link|script|img|iframe|source)\b[^>]*\b(?:href|src)=\"?(?:https?:)?//"
    )
    assert not [name for name, page in site.items() if fetching.search(page)]
    styles = [path.read_text() for path in SITE.glob("**/*.css")]
    assert not [
        style for style in styles if re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", style)
    ]


def test_the_reference_shows_no_unread_markup(site: dict[str, str]) -> None:
    for name, page in site.items():
        if name.startswith("reference/"):
            assert not re.search(r":(?:class|func|meth|mod|data):", page), name
            assert "<p>Source:" not in page, name


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
