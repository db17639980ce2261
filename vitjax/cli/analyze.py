"""`vitjax analyze NAME`: runs an analysis of a model on images and writes a table, a record and figures."""

import argparse
import textwrap
import time
from importlib import import_module

from vitjax.analysis.study.catalog import ANALYSES
from vitjax.analysis.study.entry import FORMATS, Analysis
from vitjax.cli import arguments
from vitjax.cli.arguments import (
    count,
    dictionary_arguments,
    free_folder,
    load,
    model_arguments,
    open_photographs,
    path,
    shard,
)
from vitjax.cli.parser import Parser
from vitjax.errors import InputError

KINDS = {
    "count": count,
    "fraction": float,
    "fractions": arguments.fractions,
    "model": str,
    "number": arguments.number,
    "numbers": arguments.numbers,
    "path": path,
    "seed": arguments.seed,
    "text": str,
}
DATA = """
data is one of
  a folder (with all its folders) or a .zip of images, or one image file
  a .parquet file, a folder of them, or hf://datasets/OWNER/NAME, with --split
images are all kinds that Pillow decodes (HEIC with vitjax[heif]), but masks beside images (NAME_mask.png)
classes come from --labels, a table's label column, Tiny ImageNet's val_annotations.txt, one folder per class, or names
such as 0042_n01682714_lizard.jpg. Names of classes are looked up among the model's own (see --class-names); of a model
without any they are counted in their alphabetical order, which is said.
"""


class Command(Parser):
    """The command of an analysis, which looks the defaults up when it is asked for help."""

    def format_help(self) -> str:
        """The help, with the defaults of the analysis' options."""
        if (name := self.get_default("analysis")) is None:  # a command that stands among those of analyses
            return super().format_help()
        analysis = ANALYSES[name]
        known, dests = analysis.defaults(), {option.name for option in analysis.options}
        for action in self._actions:
            default = known.get(action.dest) if action.dest in dests else None
            if default and isinstance(default, str | float | int):
                action.help = f"{action.help.partition(_DEFAULT)[0]}{_DEFAULT}{default})"
        return super().format_help()


_DEFAULT = " (default: "


def add(commands) -> None:
    """Adds the command and one below it for each analysis."""
    command = commands.add_parser(
        "analyze",
        help="measure units and models on images",
        description="Measures what units respond to, how good pictures are and what a model relies on.",
    )
    names = command.add_subparsers(metavar="NAME", required=True, parser_class=Command)
    for name in ANALYSES:
        add_one(names, name)


def add_one(names, name: str, called: str | None = None) -> None:
    """Adds the command of one analysis, `called` otherwise than it perhaps.

    Args:
        names: of the commands that it stands among, whose parsers are of `Command`.
        name: of the analysis.
        called: default `name`.
    """
    analysis = ANALYSES[name]
    one = names.add_parser(
        called or name,
        help=analysis.summary,
        description=textwrap.fill(analysis.text, 100),
        epilog=DATA,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model_arguments(one)
    dictionary_arguments(one)
    _data(one)
    _options(one, analysis)
    one.set_defaults(run=_run, analysis=name)


def _data(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("data and results")
    group.add_argument("--data", required=True, help="images: a folder, a zip, parquet or hf://datasets/OWNER/NAME")
    group.add_argument("--split", help="part of a parquet data set, e.g. validation")
    group.add_argument("--labels", type=path, metavar="FILE", help="images and classes: .csv, .tsv, .txt or .json")
    group.add_argument("--limit", type=count, metavar="N", help="take N of the images, evenly spaced")
    group.add_argument(
        "--batch", type=count, help="images that go to the devices together (default: 32 or somewhat fewer)"
    )
    group.add_argument("--out", type=path, help="folder for the results (default: NAME, or the next free name)")
    group.add_argument("--figures", choices=FORMATS, default="png", help="how figures are written (default: png)")
    group.add_argument("--overwrite", action="store_true", help="replace results of the same name in --out")


def _options(command: argparse.ArgumentParser, analysis: Analysis) -> None:
    if analysis.resumable:
        command.add_argument("--shard", type=shard, metavar="I/N", help="take the I-th of N parts, e.g. 0/2 and 1/2")
    group = command.add_argument_group("analysis") if analysis.options else command
    for option in analysis.options:
        if option.kind == "words":
            how = {"nargs": "+"}
        elif option.kind == "flag":
            how = {"action": "store_const", "const": True}
        else:
            how = {"type": KINDS[option.kind], "metavar": option.kind.upper()}
        group.add_argument(option.flag, required=option.required, help=option.help, **how)


def _run(args: argparse.Namespace) -> int:
    analysis, out = ANALYSES[args.analysis], args.out or free_folder(args.analysis)
    if (record := out / f"{args.analysis}.json").exists() and not (args.overwrite or analysis.resumable):
        raise InputError(f"{record} is there already; choose another --out, or --overwrite to replace it")
    clock = time.perf_counter()
    images = open_photographs(args)  # a mistake in it is said before JAX is imported
    given = {option: getattr(args, option.name) for option in analysis.options}
    model = load(args)
    import jax

    from vitjax.analysis.study.checks import check_facts
    from vitjax.data.dataset import Dataset, even
    from vitjax.progress import images as watch
    from vitjax.progress import spelled
    from vitjax.weights.load import load as load_model

    check_facts(args.analysis, model)
    options = {
        option.name: load_model(value) if option.kind == "model" else value
        for option, value in given.items()
        if value is not None
    }
    part = (0, 1)
    if analysis.resumable:
        part, options["folder"] = args.shard or _host(), out
    devices = 1 if analysis.resumable else jax.local_device_count()  # hosts of all sizes share what is resumed
    batch = args.batch or even(-(-len(images) // part[1]), devices)
    data = Dataset(
        images, model.config, batch, listed=args.labels, shard=part, progress=watch(args.analysis),
        class_names=model.class_names,
    )  # fmt: skip
    findings = getattr(import_module(f"vitjax.analysis.{analysis.module}"), analysis.function)(model, data, **options)
    if findings is None:
        print(f"part {part[0]} of {part[1]} is done; the results come into {out} when the last part is")
        return 0
    files = findings.save(out, args.figures)
    for file in files:
        print(file)
    data.tell_unreadable(f", all named in {args.analysis}.json")
    if findings.summary:
        print(findings.summary)
    shown = next((file for file in files if file.suffix == f".{args.figures}"), files[0])
    print(f"{spelled(time.perf_counter() - clock)}; open {shown}")
    return 0


def _host() -> tuple[int, int]:
    import jax

    return jax.process_index(), jax.process_count()
