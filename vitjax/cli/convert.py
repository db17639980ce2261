"""`vitjax convert`: any checkpoint in, a folder out that vitjax loads as it is."""

import argparse
from pathlib import Path

from vitjax.cli.arguments import load, model_arguments

ABOUT = """
Writes a checkpoint of any kind that vitjax loads as Orbax arrays, with where it came from and a model card. Loading
does the same on the way and keeps it in its cache; a folder of one's own can be moved, shared and loaded by its path.
To prove a conversion against the library it came from, use the scripts in converters/.
"""


def add(commands) -> None:
    """Adds the command."""
    command = commands.add_parser(
        "convert",
        help="write a checkpoint as Orbax arrays",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model_arguments(command)
    command.add_argument("--out", type=Path, required=True, help="folder to write; an older conversion is replaced")
    command.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    model = load(args)
    from vitjax.weights.converted import export

    export(model, args.out)
    print(args.out)
    return 0
