"""`vitjax taps`: lists what can be looked at in a model."""

import argparse

from vitjax.cli.arguments import dictionary_arguments, load, model_arguments

MORE = """
each line is a tap, or that of several blocks, with the shape of its value on one image and what its axes are.
A unit of a tap is written TAP:INDEX, with an INDEX for each axis that is no place: blocks.3.mlp.hidden:5,
blocks.3.attn.z:0.12 (head 0, channel 12); a line as it stands is a set: 'blocks.0-5.mlp.hidden:5'.
"""


def add(commands) -> None:
    """Adds the command."""
    command = commands.add_parser(
        "taps",
        help="list what can be looked at in a model, with shapes",
        description="Lists the taps of a model, those of like blocks in one line; latents of a dictionary stand after"
        " the tap that they are of.",
        epilog=MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model_arguments(command, names=False)
    dictionary_arguments(command)
    command.add_argument("--all", action="store_true", help="a line for each tap of each block")
    command.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    model = load(args)
    from vitjax.models.core.tap_site import grouped, table

    taps = model.taps()
    shown = taps if args.all else grouped(taps)
    for line in table(shown):
        print(line)
    if not args.all:
        print(f"\n{len(taps)} taps; --all has a line for each. Pictures are made of {model.neurons} unless you say.")
    return 0
