"""`vitjax pretrain`, `train`, `finetune`, `probe`: train a model on images of one's own, and write the result."""

import argparse
import shutil
from dataclasses import asdict, fields, replace
from typing import Any

from vitjax.cli import hosts
from vitjax.cli.arguments import count, open_photographs, path, size
from vitjax.cli.labelling import add_classes, add_validation, classified, measure
from vitjax.errors import InputError
from vitjax.train.settings import (
    FINETUNE,
    FROM_SCRATCH,
    PRETRAIN,
    TRAIN,
    Masking,
    Regularization,
    Running,
    Settings,
)

EXIT = """
exit codes: 0 finished; 2 a mistake in the input, or a loss that is not finite; 75 stopped by SIGTERM, with a checkpoint
of the last step, run the same command again; 130 interrupted.
A run that was stopped in any way goes on by the same command where its last checkpoint stands.
"""
RANDOM = "a name of timm's such as swin_tiny_patch4_window7_224 or a .json of a kind and a config"
MODEL = (
    "a checkpoint of any kind (folder, file of weights, hub id), the folder of a finished run,"
    f" {RANDOM}, both with random weights"
)
PROBE, FEATURES = "probe.json", "features"


def add_train(commands) -> None:
    """Adds `train`."""
    command = _command(
        commands,
        "train",
        "train a model on classes from scratch",
        "Trains a model with random weights on images with classes. The defaults are DeiT's recipe (arXiv 2012.12877)\n"
        "without mixup and CutMix, as Dynamic Token Normalization was trained (2112.02624).",
        RANDOM,
    )
    _classifying(command, TRAIN, FROM_SCRATCH, scratch=True)


def add_finetune(commands) -> None:
    """Adds `finetune`."""
    command = _command(
        commands,
        "finetune",
        "train a pretrained model on classes",
        "Trains all of a model, under a new head, on images with classes. It is `vitjax train` with other defaults,\n"
        "which goes on from weights that are there.",
    )
    _classifying(command, FINETUNE, Regularization(), scratch=False)


def _classifying(command: argparse.ArgumentParser, defaults: Settings, how: Regularization, scratch: bool) -> None:
    add_data(command, "images with classes: a folder for each, a table with a label column, or --labels")
    group = command.add_argument_group("classes")
    add_classes(group)
    for part in fields(Regularization):
        flag(group, part, getattr(how, part.name))
    add_validation(group)
    _settings(command, defaults)
    command.set_defaults(run=_classify, scratch=scratch)


def _classify(args: argparse.Namespace) -> int:
    how = chosen(Regularization, args)
    settings, running, images = _begun(args)
    config, given, names, labels = classified(args, images)
    if args.scratch and given is not None:
        raise InputError(f"{args.model} has weights, which `vitjax train` begins without: `vitjax finetune` goes on")
    from vitjax.train.classification import Classification
    from vitjax.train.run import run
    from vitjax.train.training import Training

    about = {"from": called(args.model), "regularization": asdict(how)}
    what = {
        "arrays": {"labels": labels},
        "about": about,
        "given": given,
        "class_names": names,
        "measure": measure(args, config, names),
    }
    name = "train" if args.scratch else "finetune"
    return run(Training(name, Classification(config, how), config, settings, images, **what), args.out, running)


def add_pretrain(commands) -> None:
    """Adds `pretrain`."""
    command = _command(
        commands,
        "pretrain",
        "train a model on images without classes",
        "Trains a Swin, Twins or plain ViT to predict what of each image is hidden from it, seeing the rest alone\n"
        "(arXiv 2205.13515). It needs no classes; `vitjax finetune` and `vitjax probe` go on from it.",
    )
    add_data(command, "images; classes are not looked at")
    group = command.add_argument_group("masks")
    for part in fields(Masking):
        flag(group, part, part.default)
    _settings(command, PRETRAIN)
    command.set_defaults(run=_pretrain)


def _pretrain(args: argparse.Namespace) -> int:
    masking = chosen(Masking, args)
    settings, running, images = _begun(args)
    from vitjax.train.green.mim import GreenConfig, GreenMIM
    from vitjax.train.initial import initial, with_classes
    from vitjax.train.run import run
    from vitjax.train.training import Training

    config, given = initial(args.model, args.image_size, args.revision)
    config, given = replace(config, classes=0), given and with_classes(given, 0)
    task = GreenMIM(GreenConfig(config, seed=settings.seed, **asdict(masking)))
    about = {"from": called(args.model), "masking": asdict(masking)}
    return run(Training("pretrain", task, config, settings, images, about=about, given=given), args.out, running)


def add_probe(commands) -> None:
    """Adds `probe`."""
    command = _command(
        commands,
        "probe",
        "learn classes from a model's features, by a linear layer",
        "Says how much of the classes can be read off a model's features by a linear layer. The model stays as it is\n"
        "and sees each image once, uncropped; its pooled features, standardised by channel, are fitted by L-BFGS.",
    )
    command.epilog = "A probe that was stopped goes on by the same command with the features that it has."
    add_data(command, "images with classes: a folder for each, a table with a label column, or --labels")
    group = command.add_argument_group("classes")
    add_classes(group)
    add_validation(group)
    command.add_argument("--batch", type=count, default=100, help="images seen together (default: 100)")
    command.set_defaults(run=_probe)


def _probe(args: argparse.Namespace) -> int:
    if (args.out / PROBE).exists():
        raise InputError(f"{args.out / PROBE} is there already; choose another --out")
    images = open_photographs(args)
    hosts.keep_compiled()
    config, given, names, labels = classified(args, images)
    measured = measure(args, config, names)
    from vitjax.models.registry import random
    from vitjax.train.probe import probe

    features = args.out / FEATURES
    found = probe(given or random(config), images, labels, names or config.classes, args.batch, features)
    from vitjax.train.kept.result import written

    about = {"from": called(args.model), "learned_from": len(images), "classes": config.classes}
    about |= {"penalty": found.penalty, "held_out": {str(key): value for key, value in found.held_out.items()}}
    code = written(found.model, args.out, "vitjax probe", about, PROBE, measured)
    shutil.rmtree(features, ignore_errors=True)
    return code


def _command(commands, name: str, help: str, text: str, model: str = MODEL) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name, help=help, description=text, epilog=EXIT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    group = command.add_argument_group("model")
    group.add_argument("--model", required=True, help=model)
    group.add_argument("--revision", help="commit, tag or branch of a hub id")
    group.add_argument("--image-size", type=size, metavar="N or HxW", help="pixels, if other than the model's own")
    return command


def add_data(command: argparse.ArgumentParser, what: str) -> None:
    """Adds the flags that say which images there are, `what` in words, and where results go."""
    group = command.add_argument_group("images and results")
    group.add_argument("--data", required=True, help=f"{what}; a folder, a zip, parquet or hf://datasets/OWNER/NAME")
    group.add_argument("--split", help="part of a parquet data set, e.g. train")
    group.add_argument("--limit", type=count, metavar="N", help="take N of the images, evenly spaced")
    group.add_argument("--out", type=path, required=True, help="folder of the run: curve, checkpoints, and the model")


def _settings(command: argparse.ArgumentParser, defaults: Settings) -> None:
    """Adds a flag for each field of `Settings` and `Running`."""
    group = command.add_argument_group("training")
    for part in fields(Settings):
        flag(group, part, getattr(defaults, part.name))
    group = command.add_argument_group("running")
    for part in fields(Running):
        flag(group, part, part.default)
    hosts.add(command)
    command.set_defaults(defaults=defaults)


def flag(group, part: Any, default: Any) -> None:
    """Adds the flag of a field of settings."""
    name, help = f"--{part.name.replace('_', '-')}", part.metadata["help"].replace("%", "%%")
    if isinstance(default, bool):
        group.add_argument(name, action=argparse.BooleanOptionalAction, default=default, help=help)
    else:
        shown = f" (default: {default})" if default != "" else ""
        how = {"choices": part.metadata["choices"]} if "choices" in part.metadata else {"type": type(default)}
        how |= {} if "choices" in part.metadata else {"metavar": {int: "N", float: "X"}.get(type(default), "NAME")}
        group.add_argument(name, default=default, help=help + shown, **how)


def chosen(kind: type, args: argparse.Namespace) -> Any:
    """The settings of this kind that the flags say."""
    return kind(**{part.name: getattr(args, part.name) for part in fields(kind)})


def _begun(args: argparse.Namespace):
    """Checks what can be checked before JAX is imported, joins the hosts, and opens the images."""
    settings, running = chosen(Settings, args), chosen(Running, args)
    hosts.check(args)
    images = open_photographs(args)
    hosts.join(args)
    hosts.keep_compiled()
    return settings, running, images


def called(name: str) -> str:
    """What a model is called in a run's record: no path of this machine."""
    import os

    return os.path.basename(os.path.normpath(name)) if os.path.exists(name) else name
