"""Lists every public name of vitjax for mkdocstrings: a page for each package, its modules one after another."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOP = """# Python

`import vitjax` is quick: what is asked for is imported when it is asked for. These names stand at the top; every other
public name is on the page of its package.

"""


def pages() -> dict[str, str]:
    """{address: Markdown} of every package, and of the names at the top, with a list of packages, at `api/index.md`."""
    said, rows = {}, []
    for folder in sorted(path.parent for path in (ROOT / "vitjax").rglob("__init__.py")):
        package = ".".join(folder.relative_to(ROOT).parts)
        modules = [path for path in sorted(folder.glob("*.py")) if path.stem not in ("__init__", "__main__")]
        modules = [path for path in modules if not path.stem.startswith("_")]
        if package == "vitjax" or not modules:
            continue
        about = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
        entries = [f"::: {package}.{path.stem}" for path in modules]
        said[f"api/{package}.md"] = "\n\n".join([f"# {package}", about, *entries]) + "\n"
        rows.append(f"| [`{package}`]({package}.md) | {about.partition('. ')[0].partition(chr(10) * 2)[0]} |")
    table = "\n".join(["| package | |", "|---|---|", *(row.replace("\n", " ") for row in rows)])
    return {"api/index.md": TOP + table + "\n\n" + "\n\n".join(map(_entry, public())) + "\n", **said}


def public() -> dict[str, str]:
    """{name: module} of what `vitjax` itself gives, read from its source."""
    for node in ast.parse((ROOT / "vitjax" / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "_HOMES":
            return ast.literal_eval(node.value)
    raise LookupError("vitjax/__init__.py has no _HOMES")


def _entry(name: str) -> str:
    """A name at the top: where it is defined says what it does."""
    home = public()[name]
    return f"## vitjax.{name} {{ #{name} }}\n\n::: {home}.{name}\n    options: {{ heading_level: 3 }}"
