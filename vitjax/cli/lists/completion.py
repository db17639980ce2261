"""`vitjax completion`: prints what makes a shell complete commands, options and files."""

import argparse
from collections.abc import Iterator

from vitjax.cli.arguments import path

MORE = """
examples:
  vitjax completion bash > ~/.local/share/bash-completion/completions/vitjax
  vitjax completion zsh > ~/.zsh/completions/_vitjax        where fpath+=(~/.zsh/completions) comes before compinit
"""
SHELLS = ("bash", "zsh", "tcsh")
# Or a hub id: models, images, atlases.
FILES = {"model", "base", "other", "encoder", "baseline", "embedding", "data", "validation", "start", "like"}
FILES |= {"per_spread", "check_dictionary", "store", "out"}


def add(commands) -> None:
    """Adds the command."""
    command = commands.add_parser(
        "completion",
        help="print what makes a shell complete vitjax",
        description="Prints a script that has a shell complete vitjax's commands, options and files.",
        epilog=MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("shell", choices=SHELLS, help="which shell")
    command.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    import shtab

    from vitjax.cli import parser

    whole = parser()
    for action in _actions(whole):
        if action.type is path or action.dest in FILES:
            action.complete = shtab.FILE
    print(shtab.complete(whole, shell=args.shell))
    return 0


def _actions(command: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All arguments of a command and of those below it."""
    for action in command._actions:
        yield action
        below = action.choices.values() if isinstance(action, argparse._SubParsersAction) else ()
        for one in below:
            yield from _actions(one)
