"""`vitjax bench`: measures how fast pictures are made here."""

import argparse
from functools import partial

from vitjax.cli.arguments import (
    DTYPES,
    count,
    load,
    model_arguments,
    numbers,
    outlined,
    path,
)
from vitjax.cli.hosts import use_cores

REMATS = {"no": [False], "yes": [True], "both": [False, True]}


def add(commands) -> None:
    """Adds the command."""
    command = commands.add_parser(
        "bench",
        help="measure how fast pictures are made here",
        description="Times the compiled loop at every combination of the settings given: steps/s, pictures/hour,"
        " TFLOP/s and their share of a plain matrix product's, compile time, memory.",
    )
    model_arguments(command, dtype="", names=False)
    group = command.add_argument_group("benchmark")
    group.add_argument("--recipe", default="ghiasi", help="recipe that is timed (default: ghiasi)")
    group.add_argument(
        "--blocks",
        type=numbers,
        metavar="I,J,...",
        help="blocks whose neurons are timed, counted through all stages (first, middle, last)",
    )
    group.add_argument(
        "--batch", type=numbers, default=[1, 4], metavar="N,...", help="pictures together on a device (1,4)"
    )
    group.add_argument("--views", type=numbers, metavar="N,...", help="views of a picture (the recipe's)")
    group.add_argument("--dtype", nargs="+", choices=DTYPES, default=["float32"], help="(float32)")
    group.add_argument("--remat", choices=("no", "yes", "both"), default="no", help="recompute activations (no)")
    group.add_argument(
        "--attention",
        nargs="+",
        choices=("auto", "products", "xla", "cudnn", "pallas"),
        default=["auto"],
        help="its kernel: scores written down, XLA's, cuDNN's, or ours for TPUs (auto: the best for devices and heads)",
    )
    group.add_argument(
        "--no-scan",
        action="store_true",
        help="unroll all blocks: faster where products cannot write into a scan's arrays,"
        " and as much longer to compile as there are blocks",
    )
    group.add_argument(
        "--devices", type=numbers, default=[1], metavar="N,...", help="devices that work side by side (1)"
    )
    group.add_argument("--steps", type=count, default=10, help="steps timed for each row (default: 10)")
    group.add_argument("--out", type=path, metavar="FILE.json", help="write the measurements, and a figure beside them")
    group.add_argument(
        "--compile-for",
        metavar="CHIP",
        help="measure nothing: compile the loop for a chip that is not here, v4, v5e, v5p, v6e, a100, h100 or h200, a"
        " topology of TPUs such as v5e:2x4, or a file with XLA's GpuTargetConfigProto as text, and say what its"
        " compiler tells of memory and time; needs vitjax[tpu-compiler] or vitjax[cuda-compiler], no weights: --model"
        " may be the name of an architecture of timm's, e.g. vit_base_patch16_224",
    )
    group.add_argument("--compare", type=path, metavar="OLD.json", help="say how steps/s changed since an older run")
    command.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from vitjax.optimize.recipes import choose
    from vitjax.weights.find.source import parse

    recipe = choose(args.recipe)
    if args.compile_for is not None:
        return _compile_for(args, recipe)
    parse(args.model, args.revision)
    use_cores()
    from vitjax.bench.run import run

    return run(
        partial(load, args),
        recipe,
        **_asked(args, recipe),
        devices=args.devices,
        steps=args.steps,
        compare=args.compare,
    )


def _asked(args: argparse.Namespace, recipe) -> dict:
    """What is asked of a machine and of a compiler alike."""
    return {
        "source": args.model,
        "blocks": args.blocks,
        "batches": args.batch,
        "views": args.views or [recipe.views],
        "dtypes": args.dtype,
        "remats": REMATS[args.remat],
        "attentions": args.attention,
        "scan": not args.no_scan,
        "out": args.out,
    }


def _compile_for(args: argparse.Namespace, recipe) -> int:
    from vitjax.bench.compiled.chips import chip
    from vitjax.bench.compiled.environment import prepare

    found = chip(args.compile_for)
    prepare()
    from vitjax.bench.compiled.report import run
    from vitjax.bench.compiled.target import check

    check(found)
    return run(found, outlined(args).config, recipe, **_asked(args, recipe))
