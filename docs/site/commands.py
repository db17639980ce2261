"""Writes the reference of every command from the parser itself: what `--help` says, a page each."""

import argparse
from collections.abc import Iterator
from html import escape

from vitjax.cli import parser

UNSAID = argparse._HelpAction, argparse._SubParsersAction


def pages() -> dict[str, str]:
    """{address: Markdown} of every command, and an index of them at `commands/index.md`."""
    found = list(_commands(parser(), ""))
    said = {_address(name): _page(one, name, line) for name, one, line in found}
    rows = "\n".join(f"| [`{name}`]({_address(name).partition('/')[2]}) | {escape(line)} |" for name, _, line in found)
    intro = (
        "# Commands\n\nWhat `vitjax COMMAND --help` says, a page a command. `vitjax --version` says which vitjax it is."
    )
    return {"commands/index.md": f"{intro}\n\n| command | |\n|---|---|\n{rows}\n", **said}


def _commands(whole: argparse.ArgumentParser, above: str) -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    """Every command that does something: its words, its parser, its line in the list of commands."""
    for action in whole._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        lines = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for name, one in action.choices.items():
            words = f"{above} {name}".strip()
            if one.get_default("run"):
                yield words, one, lines.get(name, "")
            yield from _commands(one, words)


def _address(name: str) -> str:
    return f"commands/{name.replace(' ', '-')}.md"


def _page(one: argparse.ArgumentParser, name: str, line: str) -> str:
    """A command's page: what it does, its usage, its arguments by group, its examples."""
    formatter = argparse.HelpFormatter("")
    usage = one.format_usage().removeprefix("usage: ").rstrip()
    parts = [f"# {name}", escape((one.description or line).strip()), f"```text\n{usage}\n```"]
    for group in one._action_groups:
        shown = [action for action in group._group_actions if not isinstance(action, UNSAID)]
        shown = [action for action in shown if action.help != argparse.SUPPRESS]
        if shown:
            parts += [f"## {(group.title or 'options').capitalize()}", escape(group.description or "")]
            parts += [_argument(action, formatter) for action in shown]
    if one.epilog:
        parts += ["## Notes", f"```text\n{one.epilog.strip()}\n```"]
    return "\n\n".join(part for part in parts if part) + "\n"


def _argument(action: argparse.Action, formatter: argparse.HelpFormatter) -> str:
    """An argument as an entry of a list of definitions."""
    value = formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
    if not action.option_strings:
        value = formatter._format_args(action, formatter._get_default_metavar_for_positional(action))
    names = ", ".join(action.option_strings) or value
    shown = f"{names} {value}".strip() if action.option_strings else names
    meaning = escape(formatter._expand_help(action), quote=False) if action.help else ""
    for mark in "*_[`|":
        meaning = meaning.replace(mark, f"\\{mark}")
    return f"`{shown}`\n:   {meaning}"
