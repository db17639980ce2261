"""The command line: arguments to configuration to a run. Nothing heavy is imported before the arguments are right."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vitjax.errors import InputError

EXAMPLES = """
examples:
  vitjax visualize                                              pictures of the embedded model, in about two minutes
  vitjax visualize --model ./vit blocks.6.mlp.hidden:0-15       sixteen neurons of your own checkpoint
  vitjax visualize --model timm/vit_base_patch16_224.augreg_in21k_ft_in1k 'blocks.*.mlp.hidden:*' --sample 64
  vitjax taps --model ./vit                                     what can be looked at, with shapes
  vitjax bench --model ./vit                                    how fast it runs here
"""

UNITS = """
units are written TAP:INDEX. In TAP, * stands for any block and 2-5 for some; INDEX is a number, a span, a list or *:
  blocks.6.mlp.hidden:1203         one neuron: hidden unit 1203 of the MLP in block 6
  blocks.*.mlp.hidden:0-7          eight neurons of every block
  blocks.3.attn.z:2.0-31           32 channels of head 2
  logits:207                       a class
`vitjax taps` lists the taps of a model.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0 done, 2 a mistake in the input, 130 interrupted."""
    args = parser().parse_args(arguments)
    try:
        return args.run(args)
    except InputError as error:
        print(f"vitjax: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vitjax: interrupted", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The argument parser of all commands."""
    whole = argparse.ArgumentParser(
        prog="vitjax",
        description="See what Vision Transformers learn: a picture for every unit of a network.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    from vitjax import __version__

    whole.add_argument("--version", action="version", version=f"vitjax {__version__}")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    _visualize(commands)
    _taps(commands)
    _bench(commands)
    return whole


def _model_arguments(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("model")
    group.add_argument(
        "--model",
        default="demo",
        help="demo (embedded, the default), a .safetensors file, a folder with model.safetensors and config.json, "
        "or a hub id such as timm/vit_base_patch16_224.augreg_in21k_ft_in1k",
    )
    group.add_argument("--revision", help="commit, tag or branch of a hub id; what was used is recorded")
    group.add_argument(
        "--image-size", type=_size, metavar="N or HxW", help="pixels, if other than the checkpoint's own"
    )
    group.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of weights and activations")


def _load(args: argparse.Namespace):
    from vitjax.weights.source import parse

    parse(args.model, args.revision)  # answers a wrong name before JAX is imported
    from vitjax.weights.load import load

    return load(args.model, image_size=args.image_size, dtype=args.dtype, revision=args.revision)


def _visualize(commands) -> None:
    from vitjax.optimize.recipes import RECIPES

    command = commands.add_parser(
        "visualize",
        help="make a picture for every unit named",
        description="Optimises a picture for every unit named; writes a PNG each, pictures.json and a contact sheet.",
        epilog=UNITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("units", nargs="*", help="unit sets, see below; default a sample of all blocks' neurons")
    _model_arguments(command)
    group = command.add_argument_group("pictures")
    group.add_argument("--out", type=Path, help="folder for the pictures (default: pictures, or the next free name)")
    group.add_argument("--sample", type=_count, metavar="N", help="draw N of the units at random, evenly over the taps")
    group.add_argument(
        "--recipe", default="default", choices=list(RECIPES), help="how pictures are made (default: default)"
    )
    group.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field of the recipe")
    group.add_argument("--seed", type=_seed, default=0, help="the same seed gives the same pictures (default: 0)")
    group.add_argument("--batch", type=_count, metavar="N", help="pictures optimised together on each device")
    group.add_argument("--remat", action="store_true", help="recompute activations to save memory")
    group.add_argument("--overwrite", action="store_true", help="add to a folder that already holds pictures")
    command.set_defaults(run=_run_visualize)


def _run_visualize(args: argparse.Namespace) -> int:
    from vitjax.models.vocabulary import split_unit
    from vitjax.optimize.recipes import choose

    recipe = choose(args.recipe, **_changes(args.set))
    for unit in args.units:
        split_unit(unit)
    out = _folder(args.out, args.overwrite)
    model = _load(args)
    from vitjax.optimize.report import run_visualize

    return run_visualize(
        model,
        args.units,
        recipe,
        out=out,
        sample_count=args.sample,
        seed=args.seed,
        batch=args.batch,
        remat=args.remat,
    )


def _taps(commands) -> None:
    command = commands.add_parser("taps", help="list what can be looked at in a model, with shapes")
    _model_arguments(command)
    command.set_defaults(run=_run_taps)


def _run_taps(args: argparse.Namespace) -> int:
    from vitjax.models.vocabulary import axes

    for tap, shape in _load(args).taps().items():
        print(f"{tap:28}", " x ".join(f"{size} {axis}" for size, axis in zip(shape, axes(tap), strict=True)))
    return 0


def _bench(commands) -> None:
    command = commands.add_parser(
        "bench",
        help="measure how fast pictures are made here",
        description="Times the compiled loop at several taps: steps/s, pictures/hour, TFLOP/s, compile time, memory.",
    )
    _model_arguments(command)
    group = command.add_argument_group("benchmark")
    group.add_argument("--recipe", default="ghiasi", help="recipe that is timed (default: ghiasi)")
    group.add_argument(
        "--blocks", type=_numbers, metavar="I,J,...", help="blocks whose neurons are timed (first, middle, last)"
    )
    group.add_argument(
        "--batch", type=_numbers, default=[1, 4], metavar="N,...", help="pictures optimised together (1,4)"
    )
    group.add_argument("--steps", type=_count, default=10, help="steps timed for each row (default: 10)")
    group.add_argument("--remat", action="store_true", help="recompute activations to save memory")
    group.add_argument("--out", type=Path, help="write the measurements to this JSON file")
    command.set_defaults(run=_run_bench)


def _run_bench(args: argparse.Namespace) -> int:
    from vitjax.optimize.recipes import choose

    recipe = choose(args.recipe)
    model = _load(args)
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


def _size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if not all(side.isdigit() and int(side) for side in sides) or len(sides) > 2:
        raise argparse.ArgumentTypeError(f"{text!r} is no image size: write 224 or 196x260 (height x width)")
    return int(sides[0]), int(sides[-1])


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdigit() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed: a whole number from 0 to {2**32 - 1}")
    return int(text)


def _numbers(text: str) -> list[int]:
    if not all(part.isdigit() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers like 0,6,11")
    return [int(part) for part in text.split(",")]


def _changes(pairs: Sequence[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise InputError(f"--set takes FIELD=VALUE, not {pair!r}; for example --set steps=200")
    return dict(pair.split("=", 1) for pair in pairs)


def _folder(wanted: Path | None, overwrite: bool) -> Path:
    from vitjax.optimize.pictures import RECORD

    if wanted is None:
        names = (Path("pictures" if i == 1 else f"pictures-{i}") for i in range(1, sys.maxsize))
        wanted = next(path for path in names if not path.exists())
    elif (wanted / RECORD).exists() and not overwrite:
        raise InputError(f"{wanted} already holds pictures; choose another --out, or --overwrite to add to them")
    return wanted


if __name__ == "__main__":
    sys.exit(main())
