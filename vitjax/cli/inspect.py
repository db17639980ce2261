"""`vitjax taps` and `vitjax bench`: what a model holds, and how fast it runs here."""

import argparse
from pathlib import Path

from vitjax.cli.arguments import count, load, model_arguments, numbers


def add_taps(commands) -> None:
    """Adds `vitjax taps`."""
    command = commands.add_parser("taps", help="list what can be looked at in a model, with shapes")
    model_arguments(command)
    command.set_defaults(run=_run_taps)


def _run_taps(args: argparse.Namespace) -> int:
    from vitjax.models.vocabulary import axes

    for tap, shape in load(args).taps().items():
        print(f"{tap:28}", " x ".join(f"{size} {axis}" for size, axis in zip(shape, axes(tap), strict=True)))
    return 0


def add_bench(commands) -> None:
    """Adds `vitjax bench`."""
    command = commands.add_parser(
        "bench",
        help="measure how fast pictures are made here",
        description="Times the compiled loop at several taps: steps/s, pictures/hour, TFLOP/s, compile time, memory.",
    )
    model_arguments(command)
    group = command.add_argument_group("benchmark")
    group.add_argument("--recipe", default="ghiasi", help="recipe that is timed (default: ghiasi)")
    group.add_argument(
        "--blocks", type=numbers, metavar="I,J,...", help="blocks whose neurons are timed (first, middle, last)"
    )
    group.add_argument(
        "--batch", type=numbers, default=[1, 4], metavar="N,...", help="pictures optimised together (1,4)"
    )
    group.add_argument("--steps", type=count, default=10, help="steps timed for each row (default: 10)")
    group.add_argument("--remat", action="store_true", help="recompute activations to save memory")
    group.add_argument("--out", type=Path, help="write the measurements to this JSON file")
    command.set_defaults(run=_run_bench)


def _run_bench(args: argparse.Namespace) -> int:
    from vitjax.optimize.recipes import choose

    recipe = choose(args.recipe)
    model = load(args)
    from vitjax import bench

    return bench.run(
        model,
        recipe,
        source=args.model,
        blocks=args.blocks,
        batches=args.batch,
        steps=args.steps,
        remat=args.remat,
        out=args.out,
    )
