"""Turns a command line into a run of what it asks for; imports nothing heavy before the arguments are right."""

import argparse
import logging
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress

from vitjax.cli import analyze, atlas, bench, convert, dictionary, serve, train, visualize
from vitjax.cli.lists import completion, models, recipes, taps
from vitjax.cli.parser import Parser
from vitjax.errors import INTERRUPTED, InputError

EXAMPLES = """
examples:
  vitjax visualize                                              pictures of the embedded model, in little over a minute
  vitjax visualize --model ./vit blocks.6.mlp.hidden:0-15       sixteen neurons of your own checkpoint
  vitjax visualize --model timm/vit_base_patch16_224.augreg_in21k_ft_in1k 'blocks.*.mlp.hidden:*' --sample 64
  vitjax atlas --model ./vit --data photos/                     a whole network, and a page to explore it
  vitjax analyze exemplars --model ./vit --data photos.zip      the photos that every neuron responds to
  vitjax models dinov2                                          checkpoints that are known by name
  vitjax convert --model model.pth --out vit/                   a checkpoint as Orbax arrays, with a model card
  vitjax pretrain --model swin.json --data photos/ --out run    a model of your own, from images without classes
  vitjax train --model vit.json --data classes/ --out trained   classes, from scratch
  vitjax finetune --model run --data classes/ --out tuned       classes, from what is pretrained
  vitjax dictionary train --model ./vit --tap blocks.9.resid_post --data photos/ --out run    features of a tap
  vitjax taps --model ./vit                                     what can be looked at, with shapes
  vitjax recipes fast best                                      two ways to make pictures, side by side
  vitjax bench --model ./vit                                    how fast it runs here
"""
# A goal such as -blocks.3.mlp.hidden:5 or -after(logits:7) is no option, which has two dashes here, or is -h.
_NEGATIVE = re.compile(r"^-(?=[^-\s][^\s:]*:)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0 done, 2 a mistake in the input, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):  # names of files need not be letters that a terminal has
        with suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")
    given = sys.argv[1:] if arguments is None else arguments
    args = parser().parse_args([_NEGATIVE.sub("- ", word) for word in given])
    log, said = logging.getLogger("vitjax"), logging.StreamHandler()
    said.setFormatter(logging.Formatter("vitjax: %(message)s"))
    log.addHandler(said)
    log.setLevel(logging.INFO)
    log.propagate = False  # another library may have given the root a handler, which would say it again
    try:
        return args.run(args)
    except InputError as error:
        print(f"vitjax: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vitjax: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    finally:
        log.removeHandler(said)
        log.propagate = True


def parser() -> Parser:
    """Makes the argument parser of all commands."""
    whole = Parser(
        prog="vitjax",
        description="See what Vision Transformers learn: a picture for every unit, and what natural images say of it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    from vitjax import __version__

    whole.add_argument("--version", action="version", version=f"vitjax {__version__}")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    visualize.add(commands)
    atlas.add(commands)
    serve.add(commands)
    analyze.add(commands)
    train.add_pretrain(commands)
    train.add_train(commands)
    train.add_finetune(commands)
    train.add_probe(commands)
    dictionary.add(commands)
    models.add(commands)
    convert.add(commands)
    taps.add(commands)
    recipes.add(commands)
    bench.add(commands)
    completion.add(commands)
    return whole
