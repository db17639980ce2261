"""`vitjax recipes`: lists the recipes and what their fields mean, or shows some side by side."""

import argparse
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

MORE = """
A recipe is chosen with --recipe NAME, and any field of it is changed with --set FIELD=VALUE, a field of one of its
stages with --set stages.0.size=0.25.

examples:
  vitjax recipes                        the recipes, and every field with its meaning
  vitjax recipes fast best              the fields of both, a * before those that differ
  vitjax visualize --recipe fast --set views=4
"""
WIDE = 120  # letters of a line at most


def add(commands) -> None:
    """Adds the command."""
    command = commands.add_parser(
        "recipes",
        help="list the recipes for pictures, and what their fields mean",
        description="Lists the recipes and what every field of one means; with names, the values of these.",
        epilog=MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("names", nargs="*", metavar="NAME", help="recipes to show side by side (default: list all)")
    command.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from vitjax.optimize.recipes import ABOUT, RECIPES, choose

    if args.names:
        lines = _beside(dict.fromkeys(args.names), {name: dict(_values(choose(name))) for name in args.names})
    else:
        lines = [*_listed(ABOUT, 0), "", *_fields(RECIPES["default"])]
    print("\n".join(lines))
    return 0


def _fields(usual: Any) -> list[str]:
    """Every field with its meaning and, of a recipe, its value in the default one."""
    from vitjax.optimize.settings.meanings import meanings
    from vitjax.optimize.settings.stage import Stage

    value = lambda name: _short(getattr(usual, name))
    own = _shared({name: text for name, text in meanings(type(usual)).items() if name != "stages"})
    own = {", ".join(names): f"{text} [{', '.join(map(value, names))}]" for text, names in own.items()}
    stage = {f"stages.N.{', '.join(names)}": text for text, names in _shared(meanings(Stage)).items()}
    return ["fields, with their values in default:", *_listed(own, 2), "", "fields of a stage:", *_listed(stage, 2)]


def _shared(about: Mapping[str, str]) -> dict[str, list[str]]:
    """The names that have each text."""
    found: dict[str, list[str]] = {}
    for name, text in about.items():
        found.setdefault(text, []).append(name)
    return found


def _listed(about: Mapping[str, str], indent: int) -> list[str]:
    """Names and what is said of them, broken to lines of the terminal's width."""
    wide, across = min(24, max(map(len, about)) + 2), min(WIDE, shutil.get_terminal_size((WIDE, 24)).columns)
    found = []
    for name, text in about.items():
        lines = textwrap.wrap(text, max(30, across - wide - indent)) or [""]
        first, under = " " * indent + f"{name:{wide - 1}} ", " " * (indent + wide)
        lines = [f"{first}{lines[0]}", *(under + line for line in lines[1:])]
        found += lines if len(name) < wide else [first, under + lines[0].removeprefix(first), *lines[1:]]
    return found


def _beside(names: Mapping[str, None], values: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The fields of recipes side by side, a star before those that differ."""
    fields = list(dict.fromkeys(field for each in values.values() for field in each))
    cells = {name: {field: _short(values[name].get(field, "-")) for field in fields} for name in names}
    wide = {name: max(len(name), *map(len, cells[name].values())) for name in names}
    first = max(map(len, fields))
    lines = ["  " + " " * first + "".join(f"  {name:>{wide[name]}}" for name in names)]
    for field in fields:
        differs = len({cells[name][field] for name in names}) > 1
        lines.append(
            f"{'*' if differs else ' '} {field:{first}}" + "".join(f"  {cells[n][field]:>{wide[n]}}" for n in names)
        )
    return lines


def _values(recipe: Any) -> Iterator[tuple[str, Any]]:
    """The fields of a recipe, those of its stages one by one, by the names that --set has for them."""
    for name in recipe.__dataclass_fields__:
        if name != "stages":
            yield name, getattr(recipe, name)
    for number, stage in enumerate(recipe.stages):
        for name in stage.__dataclass_fields__:
            yield f"stages.{number}.{name}", getattr(stage, name)


def _short(value: Any) -> str:
    return "recipe's" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
