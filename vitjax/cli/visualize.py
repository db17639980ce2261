"""`vitjax visualize`: makes a folder of pictures, one for every unit named."""

import argparse
from pathlib import Path

from vitjax.cli.arguments import (
    AUTO,
    changes,
    count,
    dictionary_arguments,
    free_folder,
    load,
    model_arguments,
    path,
    seed,
    set_argument,
)
from vitjax.cli.hosts import execution, execution_arguments
from vitjax.errors import InputError

UNITS = """
units are written TAP:INDEX. In TAP, * stands for any block and 2-5 for some; INDEX is a number, a span, a list or *:
  blocks.6.mlp.hidden:1203         one neuron: hidden unit 1203 of the MLP in block 6
  blocks.*.mlp.hidden:0-7          eight neurons of every block
  blocks.3.attn.z:2.0-31           32 channels of head 2
  stages.2.blocks.5.mlp.hidden:7   of a model of stages, block 5 of stage 2; stages.*.blocks.*.… all of them
  logits:207                       a class, or by its name: 'logits:golden retriever'
goals are added, subtracted and multiplied by numbers, with spaces around the signs; each may read another tap:
  'blocks.3.mlp.hidden:5 - 0.5 * blocks.7.attn.z:2.12'   one unit without half of another
  '- blocks.3.mlp.hidden:0-7'      the least of each of eight units
  'after(blocks.3.mlp.hidden:5) + logits:207'            after(…): after the activation function, whatever the recipe
  'cosine(2, blocks.6.resid_post:7)'                     times the square of the cosine with the axis, at least 0.1
directions that `vitjax analyze directions` found are units of their file: directions/directions.npz:0-7.
of a photograph a picture shows what the model knows of it: --like photo.jpg --tap 'blocks.*.resid_post'.
a sentence is written --text "a photo of a dog", with a CLIP or SigLIP as --model.
`vitjax taps` lists the taps of a model.
"""
LENGTH = 5  # pictures of a row
KINDS = {"inversion": "l2", "caricature": "dot"}  # of --like


def add(commands) -> None:
    """Adds the command."""
    from vitjax.optimize.recipes import RECIPES

    command = commands.add_parser(
        "visualize",
        help="make a picture for every unit named",
        description="Optimises a picture for every unit named; writes a PNG each, pictures.json and a contact sheet.",
        epilog=UNITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("units", nargs="*", help="unit sets, see below; default a sample of all blocks' neurons")
    command.add_argument(
        "--text",
        nargs="+",
        action="append",
        default=[],
        metavar="PROMPT",
        help="make a picture for what a sentence says, of several prompts for their mean; may be given again",
    )
    model_arguments(command, dtype=AUTO)
    dictionary_arguments(command)
    goals = command.add_argument_group("goals")
    table = goals.add_mutually_exclusive_group()
    table.add_argument("--to", metavar="SET", help="make rows of pictures that lead from the units to these")
    table.add_argument("--with", dest="beside", metavar="SET", help="make a table of the units' sums with these")
    table.add_argument("--negative", action="store_true", help="make a picture of the negative of each, too")
    goals.add_argument("--length", type=count, metavar="N", help="with --to: pictures of a row (default: 5)")
    goals.add_argument("--shared", action="store_true", help="with --to: pictures of a row share a part of every step")
    goals.add_argument(
        "--per-spread",
        metavar="DATA",
        help="divide the weight of each term of a sum by the standard deviation of its activation over photographs: a"
        " folder, a zip, a parquet file or a data set of the hub",
    )
    _photograph_arguments(command)
    group = command.add_argument_group("pictures")
    group.add_argument("--out", type=path, help="folder for the pictures (default: pictures, or the next free name)")
    group.add_argument("--sample", type=count, metavar="N", help="draw N of the units at random, evenly over the taps")
    group.add_argument(
        "--recipe", default="default", choices=list(RECIPES), help="how pictures are made (default: default)"
    )
    set_argument(group)
    group.add_argument("--variants", type=count, metavar="N", help="pictures of each unit, held apart (default: 1)")
    group.add_argument("--seed", type=seed, default=0, help="the same seed gives the same pictures (default: 0)")
    group.add_argument("--batch", type=count, metavar="N", help="pictures optimised together on each device")
    execution_arguments(group)
    group.add_argument("--overwrite", action="store_true", help="add to a folder that already holds pictures")
    command.set_defaults(run=_run)


def _photograph_arguments(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("photographs and the way to a picture")
    group.add_argument(
        "--start",
        metavar="PHOTO",
        help="begin with a photograph in place of noise, or, given a folder or zip, each picture with one of as many",
    )
    group.add_argument(
        "--near",
        type=float,
        metavar="STRENGTH",
        help="with --start and --tap: accentuate the photograph: stay near it in what the model computes at the tap, so"
        " many times as strongly as the unit pulls at first (1 is a good start)",
    )
    group.add_argument(
        "--like",
        metavar="PHOTO",
        help="make pictures that are like a photograph, or each of a folder or zip, to the model at --tap",
    )
    group.add_argument(
        "--kind",
        choices=tuple(KINDS),
        help="with --like: show what the model knows there of the photograph (default), or exaggerate it",
    )
    group.add_argument("--power", type=float, metavar="P", help="of a caricature: of the cosine (default: 1)")
    group.add_argument(
        "--tap", action="append", metavar="TAP", help="for --like, one or several: blocks.*.resid_post; for --near, one"
    )
    group.add_argument("--frames", type=count, metavar="N", help="write N frames of each picture's way as a WebP, too")
    group.add_argument(
        "--spacing", choices=("even", "log"), help="with --frames: even in steps (default), or most of them early"
    )
    group.add_argument(
        "--alpha", action="store_true", help="write each picture again, as alpha channel where its activation is from"
    )


def _run(args: argparse.Namespace) -> int:
    from vitjax.data.files.open import open_images
    from vitjax.optimize.beside.watch import Watch
    from vitjax.optimize.recipes import choose
    from vitjax.units.expression import check_spelling

    recipe = choose(args.recipe, **changes(args.set))
    recipe = choose(recipe, variants=args.variants or recipe.variants)
    for unit in [*args.units, *filter(None, (args.to, args.beside))]:
        check_spelling(unit)
    if (args.to or args.beside) and not (args.units or args.text):
        raise InputError(f"--{'to' if args.to else 'with'} goes with units: name some before it, blocks.3.mlp.hidden:7")
    if not args.to and (given := [name for name in ("length", "shared") if getattr(args, name)]):
        raise InputError(f"--{given[0]} goes with --to")
    if args.shared:
        recipe = choose(recipe, row=args.length or LENGTH)
    if args.spacing and not args.frames:
        raise InputError("--spacing goes with --frames")
    _check_photographs(args)
    watch = Watch(args.frames or 0, args.spacing or "even", args.alpha)
    images = args.per_spread and open_images(args.per_spread)
    out = _folder(args.out, args.overwrite)
    model = load(args, _dtype(args.dtype, out))
    like = _like(args, model)
    from vitjax.optimize.report import run_visualize

    return run_visualize(
        model,
        [*args.units, *_sentences(args, model.output), *(like.goals if like else [])],
        recipe,
        out=out,
        sample_count=args.sample,
        seed=args.seed,
        batch=args.batch,
        execution=execution(args),
        tabled=(lambda model, goals: like) if like and not args.units and not args.text else _table(args),
        weighed=images and _weighed(args, images),
        starts=args.start,
        near=None if args.near is None else (args.tap[0], args.near),
        watch=watch,
    )


def _check_photographs(args: argparse.Namespace) -> None:
    """Says which arguments of photographs do not go together."""
    near, table = args.near is not None, args.to or args.beside or args.negative
    if near and not args.start:
        raise InputError("--near goes with --start, the photograph that pictures stay near")
    if near and (not args.tap or len(args.tap) > 1 or args.like or table):
        raise InputError("--near needs one --tap, e.g. blocks.3.resid_post, and no --like, --to, --with, --negative")
    if args.like and not args.tap:
        raise InputError("--like needs a --tap, such as blocks.3.resid_post, or 'blocks.*.resid_post' for all blocks")
    if args.like and (table or args.sample):
        raise InputError("--like makes a table of its own: leave out --to, --with, --negative and --sample")
    if not args.like and (given := [name for name in ("kind", "power") if getattr(args, name) is not None]):
        raise InputError(f"--{given[0]} goes with --like")
    if args.tap and not (args.like or near):
        raise InputError("--tap goes with --like or --near; a unit is written TAP:INDEX")
    if args.power is not None and args.kind != "caricature":
        raise InputError("--power goes with --kind caricature")


def _like(args: argparse.Namespace, model):
    """The goals that `--like` asks for, in a table of photographs and taps."""
    if not args.like:
        return None
    from vitjax.optimize.photographs.likeness import likenesses
    from vitjax.optimize.photographs.starts import photographs

    kind = KINDS[args.kind or "inversion"]
    power = (1.0 if args.power is None else args.power) if kind == "dot" else 0.0
    return likenesses(model, photographs(model, args.like), args.tap, kind, power)


def _table(args: argparse.Namespace):
    """What makes a table of goals, if one is asked for: a function of the model and the units named."""
    from vitjax.optimize.visualize import resolve
    from vitjax.units.tables import interactions, interpolation, signs

    if args.to:
        count = args.length or LENGTH
        return lambda model, goals: interpolation(goals, resolve(model, args.to), count, whole=args.shared)
    if args.beside:
        return lambda model, goals: interactions(goals, resolve(model, args.beside))
    return (lambda model, goals: signs(goals)) if args.negative else None


def _weighed(args: argparse.Namespace, images):
    """What weighs the terms of sums by photographs: a function of the model, goals and the recipe."""
    from vitjax.analysis.photographs.weights import per_spread
    from vitjax.data.dataset import Dataset

    return lambda model, goals, recipe: per_spread(model, goals, Dataset(images, model.config), recipe)


def _sentences(args: argparse.Namespace, tap: str) -> list:
    """Makes the directions that `--text` asks for, at the end of the model's image tower."""
    if not args.text:
        return []
    from vitjax.optimize.sentences import sentence
    from vitjax.weights.load_text import load_text

    encoder = load_text(args.model, revision=args.revision)
    return [sentence(encoder, prompts, tap=tap) for prompts in args.text]


def _dtype(wanted: str, out: Path) -> str:
    """`auto` goes on with the dtype of the pictures that the folder holds, if it holds any."""
    from vitjax.optimize.results.record import RECORD, dtype_of, read_record

    return dtype_of(read_record(out)) if wanted == AUTO and (out / RECORD).exists() else wanted


def _folder(wanted: Path | None, overwrite: bool) -> Path:
    from vitjax.optimize.results.record import RECORD

    if wanted is None:
        return free_folder("pictures")
    if (wanted / RECORD).exists() and not overwrite:
        raise InputError(f"{wanted} already holds pictures; choose another --out, or --overwrite to add to them")
    return wanted
