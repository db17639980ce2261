"""`vitjax convert`: writes any checkpoint as a folder that vitjax loads as it is."""

import argparse

from vitjax.cli.arguments import check_push, load, model_arguments, path, push_arguments

ABOUT = """
Writes a checkpoint of any kind that vitjax loads as Orbax arrays, with where it came from and a model card. Loading
does the same on the way and keeps it in its cache; a folder of one's own can be moved, shared and loaded by its path,
and with --push by its name on the hub.
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
    command.add_argument("--out", type=path, required=True, help="folder to write; an older conversion is replaced")
    push_arguments(command, "model")
    command.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    check_push(args)
    from vitjax.weights.publish.converted import export
    from vitjax.weights.publish.push import MODEL, push
    from vitjax.weights.publish.upload import check_name

    if args.push:
        check_name(args.push, MODEL)
    export(load(args), args.out, repo=args.push)
    print(args.out)
    if args.push:
        print(push(args.out, args.push, private=args.private))
    return 0
