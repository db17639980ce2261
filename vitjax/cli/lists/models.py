"""`vitjax models`: lists the checkpoints known by name that fit some words."""

import argparse

from vitjax.errors import InputError, nearest

MORE = """
neurons are the hidden units of all MLPs, blocks.*.mlp.hidden or stages.*.blocks.*.mlp.hidden, of a convolutional
network the channels that its blocks give, stages.*.blocks.*.out; every model also has the other taps that
`vitjax taps --model NAME` lists. Any other hub id or file of an architecture or model_type that is known loads as well.

examples:
  vitjax models dinov2 reg4                          names that hold both words
  vitjax visualize --model timm/vit_base_patch16_224.dino
"""


def add(commands) -> None:
    """Adds the command."""
    command = commands.add_parser(
        "models",
        help="list checkpoints that are known by name",
        description="Lists checkpoints on the hub with family, size, input and licence; downloads nothing.",
        epilog=MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "words", nargs="*", metavar="WORD", help="show those whose name, family or licence has them all"
    )
    command.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from vitjax.weights.catalog import known

    rows = known(args.words)
    if not rows:
        families = sorted({row.family for row in known()})
        hint = nearest(args.words[0], [name.lower() for name in families]) or f"; families: {', '.join(families)}"
        raise InputError(f"no checkpoint is known for {' '.join(args.words)!r}{hint}")
    width = max(len(row.name) for row in rows)
    print(f"{'name':{width}}  {'family':18} {'parameters':>10}  {'input':9} {'blocks':>6} {'neurons':>8}  licence")
    for row in rows:
        print(
            f"{row.name:{width}}  {row.family:18} {row.parameters / 1e6:8.1f} M  {row.image_size:9} {row.blocks:6}"
            f" {row.neurons:8,}  {row.licence or 'not stated'}"
        )
    return 0
