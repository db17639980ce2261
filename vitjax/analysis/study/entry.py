"""Describes an analysis to the command line: its line of help, where it is, what it needs, and its options."""

import ast
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec

FORMATS = ("png", "svg", "pdf")  # of figures, as files
SAME = "the same tokens in all blocks"  # what an analysis may need beside what a model says of itself


@dataclass(frozen=True)
class Option:
    """A keyword of an analysis as the command line offers it; `kind` names a type in `vitjax.cli.analyze.KINDS`."""

    flag: str
    kind: str
    help: str
    required: bool = False

    @property
    def name(self) -> str:
        """The keyword."""
        return self.flag.removeprefix("--").replace("-", "_")


@dataclass(frozen=True)
class Analysis:
    """An analysis: `function` of `vitjax.analysis.MODULE`, called with (model, data, **options), gives `Findings`.

    Attributes:
        module, function: where it is.
        summary: one line.
        text: what is measured, and by whom it was first.
        options: its keywords; their defaults are those of the function.
        needs: what must be true of a model, of `vitjax.models.core.network.FACTS` or `SAME`.
        resumable: it takes `folder`, where it keeps its state, and hosts may share it.
    """

    module: str
    summary: str
    text: str
    options: tuple[Option, ...] = ()
    function: str = "run"
    needs: frozenset[str] = frozenset()
    resumable: bool = False

    def defaults(self) -> dict[str, object]:
        """Reads the defaults in the function's signature, {keyword: default}, without importing it, which takes JAX.

        Those that are written as a literal, or as the name of one.
        """
        module = f"vitjax.analysis.{self.module}"
        (function,) = (one for one in _tree(module).body if getattr(one, "name", None) == self.function)
        given = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        return {key.arg: value for key, default in given for value in _literal(default, module)}


def _literal(value: ast.expr | None, module: str) -> Iterator[object]:
    """The value of an expression, if it is a literal or the name of one in this module or one that it imports from."""
    if not isinstance(value, ast.Name):
        with suppress(ValueError):
            yield ast.literal_eval(value)
        return
    for line in _tree(module).body:
        if isinstance(line, ast.Assign) and value.id in (getattr(name, "id", None) for name in line.targets):
            yield from _literal(line.value, module)
        elif isinstance(line, ast.ImportFrom) and value.id in (name.name for name in line.names):
            yield from _literal(value, line.module)


def _tree(module: str) -> ast.Module:
    spec = find_spec(module)
    return ast.parse(spec.loader.get_source(module))
