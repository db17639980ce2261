"""`vitjax dictionary train`, `score`: dictionaries of features of a model's tap, trained and measured on images."""

import argparse
from dataclasses import fields

from vitjax.cli import analyze, hosts
from vitjax.cli.arguments import load, model_arguments, open_photographs
from vitjax.cli.train import EXIT, add_data, called, chosen, flag
from vitjax.train.settings import DictionarySettings, Running

ELSEWHERE = ("shard_parameters",)  # fields of `Running` that say nothing here


def add(commands) -> None:
    """Adds the command and those below it."""
    command = commands.add_parser(
        "dictionary",
        help="train and score dictionaries of features (sparse autoencoders)",
        description="Dictionaries of features: many latents, few of them active, that take a tap's values apart.",
    )
    names = command.add_subparsers(metavar="NAME", required=True, parser_class=analyze.Command)
    _add_train(names)
    analyze.add_one(names, "dictionary-score", "score")


def _add_train(names) -> None:
    command = names.add_parser(
        "train",
        help="train a dictionary of a tap's values on images",
        description="Trains a sparse autoencoder of a tap. Images run through the model while it learns,\n"
        "and their tokens are drawn in another order from a buffer on the devices. In the end --out has a folder\n"
        "`dictionary`, which every command takes: --dictionary RUN/dictionary.",
        epilog=EXIT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model_arguments(command, dtype="", names=False)
    command.add_argument("--tap", required=True, help="whose values, e.g. blocks.9.resid_post; see `vitjax taps`")
    add_data(command, "images; classes are not looked at")
    group = command.add_argument_group("training")
    for part in fields(DictionarySettings):
        flag(group, part, part.default)
    group = command.add_argument_group("running")
    for part in fields(Running):
        if part.name not in ELSEWHERE:
            flag(group, part, part.default)
    hosts.add(command)
    command.set_defaults(run=_train, **{name: Running.__dataclass_fields__[name].default for name in ELSEWHERE})


def _train(args: argparse.Namespace) -> int:
    settings, running = chosen(DictionarySettings, args), chosen(Running, args)
    hosts.check(args)
    images = open_photographs(args)
    hosts.join(args)
    hosts.keep_compiled()
    model = load(args, "float32")
    from vitjax.train.dictionaries.dictionary_training import DictionaryTraining, train_dictionary

    source = called(args.model)
    return train_dictionary(DictionaryTraining(model, args.tap, settings, images, source), args.out, running)
