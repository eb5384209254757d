"""Pages of the site that are not Markdown of its folder: notebooks, and files of the root.

A notebook becomes Markdown with the outputs stored in it, so that its links are checked and its
headings are found like those of any page; the notebook itself can be downloaded. The files of
``FROM_THE_ROOT`` become pages too. A link to anything else outside the folder keeps its words
only: the site has no address for it.
"""

from __future__ import annotations

import base64
import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

FROM_THE_ROOT = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
_LINK = re.compile(r"(?<!!)\[(?P<words>[^\]]+)\]\((?P<target>[\w./-]+)(?P<anchor>#[\w-]+)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    root = Path(config.config_file_path).parent
    for name in FROM_THE_ROOT:
        files.append(File.generated(config, name, abs_src_path=str(root / name)))
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        stem = notebook.src_uri.removesuffix(".ipynb")
        pictures: list[bytes] = []
        parts = list(_parts(json.loads(notebook.content_string), stem, pictures))
        download = f"*A notebook: [download it]({posixpath.basename(notebook.src_uri)}) to run it.*"
        page = "\n\n".join([parts[0], download, *parts[1:]])
        files.append(File.generated(config, f"{stem}.md", content=page))
        for number, content in enumerate(pictures):
            files.append(File.generated(config, f"{stem}-{number}.jpeg", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to what their targets became."""
    root = Path(config.config_file_path).parent
    folder = posixpath.dirname(page.file.src_uri)
    from_root = page.file.src_uri in FROM_THE_ROOT
    written_in = "" if from_root else posixpath.join("docs", folder)
    download = posixpath.basename(page.file.src_uri).replace(".md", ".ipynb")

    def led(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(written_in, link["target"]))
        if link["target"] == download or not (root / target).exists():
            return link[0]  # what does not exist is left for the strict build to find
        if not target.startswith("docs/") and target not in FROM_THE_ROOT:
            return link["words"]
        place = target.removeprefix("docs/").replace(".ipynb", ".md")
        return f"[{link['words']}]({posixpath.relpath(place, folder or '.')}{link['anchor'] or ''})"

    return _LINK.sub(led, markdown)


def _parts(notebook: dict[str, Any], stem: str, pictures: list[bytes]) -> Iterator[str]:
    """Markdown of each cell and of what it shows; pictures are put into the list."""
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield source
            continue
        yield f"```python\n{source}\n```"
        text = ""
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/jpeg" in data:
                yield f"![What the cell shows]({posixpath.basename(stem)}-{len(pictures)}.jpeg)"
                pictures.append(base64.b64decode("".join(data["image/jpeg"])))
            else:
                text += "".join(output.get("text", data.get("text/plain", "")))
        if text:
            yield f"``` {{ .text .shown }}\n{text.rstrip()}\n```"
