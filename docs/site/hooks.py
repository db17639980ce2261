"""Makes of the pages in `docs/`, which read well in the repository, those of a site: MkDocs calls these functions.

Links that lead out of `docs/` go to the repository, pictures outside are taken along, and commands, modules and
notebooks become pages.
"""

import re
from pathlib import Path

import commands
import modules
import notebooks
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def on_files(files: Files, config) -> Files:
    """Adds the pages that are made, and to the navigation whatever it does not name."""
    made = {**commands.pages(), **modules.pages()}
    for address, text in made.items():
        files.append(File.generated(config, address, content=text))
    shown = notebooks.pages()
    for address, content in shown.items():
        files.append(File.generated(config, address, content=content))
    _fill(config.nav, "Notebooks", ["notebooks/index.md", *(page for page in shown if page.endswith(".md"))])
    packages = sorted(address for address in made if address.startswith("api/vitjax"))
    rooms = {}
    for address in packages:
        rooms.setdefault(address.split(".")[1].removesuffix(".md"), []).append(address)
    listed = [{room: [{a.removeprefix("api/").removesuffix(".md"): a} for a in pages]} for room, pages in rooms.items()]
    each = [{_words(address): address} for address in made if re.fullmatch(r"commands/(?!index).*", address)]
    _fill(config.nav, "Reference", [
        {"Commands": ["commands/index.md", *each]},
        {"Python": ["api/index.md", *listed]},
    ])  # fmt: skip
    named = set(re.findall(r"[\w/.-]+\.md", str(config.nav)))
    more = [
        file.src_uri
        for file in files.documentation_pages()
        if file.src_uri not in named and file.inclusion.is_included()
    ]
    if more:
        config.nav.append({"More": more})
    for path in sorted({found for page in Path(config.docs_dir).glob("**/*.md") for found in _pictures_outside(page)}):
        files.append(File.generated(config, _taken(path), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page, config, files: Files) -> str:
    """Turns links that lead out of the pages to what the site has in their place."""
    source = Path(config.docs_dir, page.file.src_uri)

    def turned(found: re.Match) -> str:
        picture, text, target, anchor = found.groups()
        path = (source.parent / target).resolve()
        if path == ROOT / "README.md":
            return f"{picture}[{text}]({'../' * page.file.src_uri.count('/')}index.md)"
        if path.suffix == ".ipynb" and path.is_file():
            return f"[{text}]({target.removesuffix('.ipynb')}.md)"
        if not path.exists() or path.is_relative_to(config.docs_dir):
            return found[0]
        if picture:
            return f"![{text}]({'../' * page.file.src_uri.count('/')}{_taken(path)})"
        return f"[{text}]({config.extra['source']}{path.relative_to(ROOT).as_posix()}{anchor or ''})"

    return LINK.sub(turned, markdown)


def _fill(nav: list, section: str, pages: list) -> None:
    """Gives a section of the navigation its pages."""
    next(one for one in nav if section in one)[section] = pages


def _words(address: str) -> str:
    return re.sub("^(analyze|atlas)-", r"\1 ", address.removeprefix("commands/").removesuffix(".md"))


def _pictures_outside(page: Path):
    """The pictures that a page shows from elsewhere in the repository."""
    for picture, _, target, _ in LINK.findall(page.read_text()):
        path = (page.parent / target).resolve()
        if picture and path.is_file() and not path.is_relative_to(ROOT / "docs"):
            yield path


def _taken(path: Path) -> str:
    return f"from/{path.relative_to(ROOT).as_posix()}"
