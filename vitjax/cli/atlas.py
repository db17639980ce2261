"""`vitjax atlas`: paints, grades and compares units in a store, and makes the page to explore them."""

import argparse

from vitjax.cli.arguments import (
    AUTO,
    changes,
    count,
    dictionary_arguments,
    load,
    model_arguments,
    open_photographs,
    path,
    seeds,
    set_argument,
    shard,
)
from vitjax.cli.atlases import activations
from vitjax.cli.hosts import execution, execution_arguments
from vitjax.errors import AGAIN, InputError

ABOUT = """
Paints every unit named, grades the pictures against photographs, paints those that fail again, compares the units and
makes a page to explore them all. It may be stopped in any way: the same command goes on where it was. Several hosts
share one store, each with its part of the work (--shard, or by itself under jax.distributed). With --of activations
it is of what a layer's patches can be, in place of what its units look for.
"""
EXIT = """
exit codes: 0 finished, or this host's part is; 1 --verify found something; 2 a mistake in the input; 75 stopped by
SIGTERM, with the batches under way finished, or other hosts' samples of activations are missing: run the same command
again; 130 interrupted.

examples:
  vitjax atlas                                                    a sample of the embedded model, in minutes
  vitjax atlas --model ./vit --data photos/ --out atlas           every neuron of your own checkpoint
  vitjax atlas --model ./vit --units 'blocks.*.mlp.hidden:*' --sample 384 --data photos.zip
  vitjax atlas --model ./vit --of activations --tap blocks.8.resid_post --data photos/ --per-image 10
  vitjax atlas --out atlas --verify                               reads everything again, against its checksums
  vitjax atlas export atlas --to page                             the page alone, to be put on any static host
"""
SAMPLE = 36  # pictures made where nothing is said


def add(commands) -> None:
    """Adds the command and `export` below it."""
    from vitjax.cli.atlases import export
    from vitjax.optimize.recipes import RECIPES

    command = commands.add_parser(
        "atlas",
        help="paint a whole network, and make a page to explore it",
        description=ABOUT,
        epilog=EXIT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=_run)
    model_arguments(command, dtype=AUTO)
    dictionary_arguments(command)
    command.add_argument(
        "--of", default=activations.UNITS, choices=activations.KINDS, help="what it has a picture for (default: units)"
    )
    group = command.add_argument_group("pictures")
    group.add_argument("--units", nargs="+", metavar="SET", help="unit sets, as for visualize (default: all neurons)")
    group.add_argument("--sample", type=count, metavar="N", help="draw N of the units at random, evenly over the taps")
    group.add_argument(
        "--recipe", default="default", choices=list(RECIPES), help="how they are made (default: default)"
    )
    set_argument(group)
    group.add_argument(
        "--seeds", type=seeds, default=(0,), metavar="N,...", help="a picture for each seed (default: 0)"
    )
    group.add_argument("--slots", type=count, metavar="N", help="pictures optimised together on a device; part of what"
                       " decides their last bits (default: as memory allows)")  # fmt: skip
    execution_arguments(group)
    group.add_argument("--no-retry", action="store_true", help="do not paint dead, faint and weak units again")
    activations.add(command)
    group = command.add_argument_group("photographs, for grades and exemplars")
    group.add_argument("--data", help="a folder, a zip, parquet or hf://datasets/OWNER/NAME")
    group.add_argument("--split", help="part of a parquet data set, e.g. validation")
    group.add_argument("--labels", type=path, metavar="FILE", help="images and classes: .csv, .tsv, .txt or .json")
    group.add_argument("--limit", type=count, metavar="N", help="take N of the images, evenly spaced")
    group.add_argument("--k", type=count, default=9, metavar="N", help="photographs kept for each unit (default: 9)")
    group.add_argument("--encoder", metavar="MODEL", help="a second model, by whose embeddings units are scored:"
                       " monosemanticity, clarity, redundancy, polysemanticity (default: no scores)")  # fmt: skip
    group = command.add_argument_group("store")
    group.add_argument("--out", default="atlas", help="a folder, gs://BUCKET/PATH or s3://BUCKET/PATH (default: atlas)")
    group.add_argument("--shard", type=shard, metavar="I/N", help="do the I-th of N parts of the work")
    group.add_argument("--beside", action="store_true", help="if --out holds another atlas, begin one beside it")
    group.add_argument("--no-page", action="store_true", help="do not write the page into --out/page at the end")
    group.add_argument(
        "--verify", action="store_true", help="only read everything in --out, store or page, against its checksums"
    )
    group.add_argument(
        "--repair",
        action="store_true",
        help="with --verify: mend the manifest, forget what is damaged, to be made anew",
    )
    group = command.add_argument_group("planning")
    group.add_argument(
        "--plan",
        action="store_true",
        help="paint and write nothing: say how many batches there are, their memory and operations, the time that a"
        " chip takes, and the size on disk; --model may be the name of an architecture of timm's",
    )
    group.add_argument(
        "--compile-for", metavar="CHIP", help="with --plan: a chip that is not here, as for `vitjax bench`"
    )
    export.add(command)


def _run(args: argparse.Namespace) -> int:
    if args.plan and args.verify:
        raise InputError("--plan and --verify are two questions: ask one at a time")
    if args.repair and not args.verify:
        raise InputError("--repair goes with --verify")
    if args.verify:
        from vitjax.atlas.records.verify import report

        return report(args.out, repair=args.repair)
    if args.compile_for is not None and not args.plan:
        raise InputError("--compile-for goes with --plan")
    from vitjax.models.core.vocabulary import split_unit
    from vitjax.optimize.recipes import choose

    recipe = choose(args.recipe, **changes(args.set))
    for unit in args.units or ():
        split_unit(unit)
    if args.data is None and (given := [o for o in ("split", "labels", "limit", "encoder") if getattr(args, o)]):
        raise InputError(f"--{given[0].replace('_', '-')} says something of photographs: name them with --data")
    activations.check(args)
    images = None
    if args.data is not None:
        images = open_photographs(args)
    return _plan(args, recipe, images) if args.plan else _paint(args, recipe, images)


def _plan(args: argparse.Namespace, recipe, images) -> int:
    from vitjax.cli.arguments import outlined
    from vitjax.cli.hosts import use_cores

    if args.compile_for is not None:
        from vitjax.bench.compiled.chips import chip
        from vitjax.bench.compiled.environment import prepare

        there = chip(args.compile_for)
        prepare()
        from vitjax.bench.compiled.target import check

        check(there)
    else:
        use_cores()
    shown = outlined(args)
    import jax

    from vitjax.atlas.job.job import chosen, this_host
    from vitjax.atlas.plan.device import Here
    from vitjax.atlas.plan.plan import plan, told
    from vitjax.bench.rates import matmul_rate
    from vitjax.models.registry import abstract
    from vitjax.weights.dtypes import named

    before = []
    if args.of == activations.ACTIVATIONS:
        cells, units, before = activations.planned(args, abstract(shown.config), images)
    else:
        units = chosen(shown, args.units, _sample(args))
    if args.compile_for is not None:
        from vitjax.bench.compiled.forecast import Forecast

        dtype = there.suited if args.dtype == AUTO else args.dtype
        model, device = abstract(shown.config, dtype), Forecast(there, shown.config, recipe, dtype, execution(args))
    else:
        dtype = named(args.dtype, jax.local_devices()[0])
        model = abstract(shown.config, dtype)
        device = Here(model, recipe, matmul_rate(dtype) * jax.local_device_count(), execution(args))
    made = plan(
        cells if before else model,
        units,
        recipe,
        device,
        seeds=args.seeds,
        slots=args.slots or 0,
        shard=args.shard or this_host(),
        photographs=min(len(images), args.k * len(units)) if images else 0,
    )
    print("\n".join([*before, told(made, device)]))
    return 0


def _sample(args: argparse.Namespace) -> int | None:
    return args.sample or (None if args.units or args.model != "demo" else SAMPLE)


def _paint(args: argparse.Namespace, recipe, images) -> int:
    from vitjax.cli.hosts import keep_compiled, use_cores

    use_cores()
    keep_compiled()
    model = load(args, "float32")  # which measures; what paints is made of it
    from vitjax.analysis.scores.encoders import encoder_of
    from vitjax.atlas.job.job import Job, chosen, this_host
    from vitjax.atlas.job.run import run
    from vitjax.atlas.records.manifest import manifest
    from vitjax.data.dataset import Dataset
    from vitjax.weights.load import load as load_model

    data = images and Dataset(images, model.config, listed=args.labels, class_names=model.class_names)
    shard, out, beside = args.shard or this_host(), args.out, args.beside
    if args.of == activations.ACTIVATIONS:
        if (found := activations.found(args, model, data, shard)) is None:
            return AGAIN
        model, units, out, beside = *found, False
    else:
        units = chosen(model, args.units, _sample(args))
    about = manifest(
        model, units, recipe, args.seeds, args.slots or 0, data, args.k, "" if args.dtype == AUTO else args.dtype
    )
    encoder = args.encoder and encoder_of(model, load_model(args.encoder))
    job = Job(model, units, about, data, shard, retry=not args.no_retry, execution=execution(args), encoder=encoder)
    return run(job, out, beside=beside, page=not args.no_page)
