"""The README and the other pages: what they name is there, what they show can be run."""

import ast
import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from vitjax import __version__
from vitjax.cli import parser

ROOT = Path(__file__).resolve().parents[2]
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")]
PAGES = [*TOP, *sorted((ROOT / "docs").rglob("*.md"))]
HOMES = (ROOT, ROOT / "vitjax")
ROOMS = "|".join(path.name for home in HOMES for path in home.iterdir() if path.is_dir() and path.name[0] not in "._")


def blocks(page: Path, *kinds: str) -> list[str]:
    """The blocks of code of these kinds on a page."""
    return re.findall(rf"^```(?:{'|'.join(kinds)})\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_names_files_that_are_there(page):
    """Links from where it stands, names in quotes from the root or the package; what is in capitals stands for many."""
    text = page.read_text()
    links = (found for found in re.findall(r"\]\(([^)#:]+)[^):]*\)", text))
    quoted = (found for found in re.findall(rf"`((?:{ROOMS})/[\w./-]+)`", text) if not re.search("[A-Z]{3}", found))
    made = re.compile(r"(?:commands|api)/.*\.md")  # by docs/site, for the site alone
    assert [link for link in links if not made.fullmatch(link) and not (page.parent / link).exists()] == []
    assert [name for name in quoted if not any((home / name).exists() for home in HOMES)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_imports_what_there_is(page):
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = import_module(node.module)
                assert [one.name for one in node.names if not known(module, one.name)] == []


def known(module, name: str) -> bool:
    """Whether `from module import name` gives something."""
    try:
        return hasattr(module, name) or bool(import_module(f"{module.__name__}.{name}"))
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_shows_commands_that_there_are(page, capsys):
    """Each is read as the command line reads it, and goes no further; a variable of the shell stands for a number."""
    whole = parser()
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    for command in (found for line in lines for found in re.findall(r"\bvitjax [a-z].*", line.split("&& ")[-1])):
        command = command.split(" & ")[0]
        if command.count("'") % 2:  # the end of a command that is handed on to other machines
            command = command.removesuffix("'")
        words = shlex.split(re.sub(r"\$\w+", "0", command), comments=True)
        try:
            whole.parse_args(words[1:])
        except SystemExit as stop:
            assert stop.code == 0, f"{command}: {capsys.readouterr().err}"


def test_the_readme_is_short():
    """What a page says better stands there."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_versions_agree():
    cited = re.search(r'^version: (.*)\ndate-released: "(.*)"$', (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    newest = re.search(r"^## ([\d.]+) \(([\d-]+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert cited.groups() == newest.groups() and cited[1] == __version__


@pytest.mark.parametrize("book", sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")), ids=lambda book: book.stem)
def test_a_notebook_is_kept_without_what_it_showed(book):
    """It imports what there is, is listed, and what it showed is made anew by `python -m docs`."""
    cells = json.loads(book.read_text())["cells"]
    assert f"({book.name})" in (book.parent / "index.md").read_text()
    for cell in (cell for cell in cells if cell["cell_type"] == "code"):
        assert not cell["outputs"] and cell["execution_count"] is None
        lines = [line for line in cell["source"] if not line.lstrip().startswith(("%", "!"))]
        for node in ast.walk(ast.parse("".join(lines).replace("if COLAB:", "COLAB"))):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("vitjax"):
                assert [one.name for one in node.names if not known(import_module(node.module), one.name)] == []
