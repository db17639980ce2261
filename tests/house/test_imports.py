"""What is imported of the repository's own modules is there, also where it is imported late, inside functions."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = "vitjax", "converters", "experiments", "benchmarks", "docs", "tests"


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def module(name: str) -> Path | None:
    """The file of a module or package; None where there is none."""
    base = ROOT.joinpath(*name.split("."))
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.exists()), None)


@cache
def has(path: Path) -> set[str]:
    """The names that a module has for others: whatever is bound outside its functions and classes."""
    found, left = set(), [*parsed(path).body]
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        left += ast.iter_child_nodes(node)
    return found


def lost(path: Path) -> list[str]:
    """What a file imports that is not there."""
    found = []
    for node in ast.walk(parsed(path)):
        if not isinstance(node, ast.ImportFrom) or not node.module or node.module.split(".")[0] not in ROOMS:
            continue
        of = module(node.module)
        for alias in node.names:
            there = of and {alias.name, "__getattr__"} & has(of)  # the latter: a package that imports its names late
            if not there and not module(f"{node.module}.{alias.name}"):
                found.append(f"{path.relative_to(ROOT)}: {node.module}.{alias.name}")
    return found


def test_all_that_is_imported_is_there():
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    assert len(files) > 500 and [one for path in files for one in lost(path)] == []


def test_what_is_lost_is_seen(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (late := tmp_path / "late.py").write_text(
        "def run():\n    from vitjax.errors import InputEror, nearest\n    from vitjax.gone import it"
    )
    monkeypatch.setitem(globals(), "module", lambda name: {"vitjax.errors": late}.get(name))
    monkeypatch.setitem(globals(), "has", lambda path: {"nearest"})
    assert lost(late) == ["late.py: vitjax.errors.InputEror", "late.py: vitjax.gone.it"]
