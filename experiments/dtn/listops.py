"""Trains a small Transformer on Long ListOps: with plain attention, BigBird's or Reformer's, under any norm.

    python -m experiments.dtn.listops --model bigbird --norm layer --length 500 --out runs/listops-bigbird

The expressions are those of `listops_data.py`, of a quarter of `--length` to `--length` tokens (2000: Long Range
Arena's). A run that was stopped goes on where its last checkpoint stands: it is `vitjax.train`'s, with its own task and
examples. At the end stands the accuracy on expressions that it has not seen.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from safetensors.numpy import load_file, save_file

from experiments.dtn.listops_data import CLASSES, WORDS, ListOps
from vitjax.errors import InputError
from vitjax.models.sequences import encoder
from vitjax.models.sequences.encoder import SequenceModel
from vitjax.models.sequences.sequence_config import BigBirdConfig, ReformerConfig, SequenceConfig
from vitjax.train import training as door
from vitjax.train.feed.made import Made
from vitjax.train.run import run
from vitjax.train.settings import Running, Settings
from vitjax.train.task import Batch, Learned
from vitjax.weights import parameters
from vitjax.weights.cache import described, rebuilt

MODELS = {"plain": SequenceConfig, "bigbird": BigBirdConfig, "reformer": ReformerConfig}
PARTS = {"bigbird": "block", "reformer": "chunk"}  # what the tokens of a sequence are cut into
TOGETHER = 50  # sequences that are measured at a time
WEIGHTS, CONFIG = "model.safetensors", "config.json"


@dataclass(frozen=True)
class Sequences:
    """A `vitjax.train.task.Task`: cross-entropy of the classes of sequences.

    Attributes:
        config: of the model.
    """

    config: SequenceConfig

    def start(self, rngs: nnx.Rngs) -> Learned:
        """The model, at random."""
        return Learned(SequenceModel(self.config, rngs))

    def loss(self, learned: Learned, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The mean cross-entropy, and the share of sequences whose class is the likeliest."""
        logits = learned.model(batch["ids"])["logits"].astype(jnp.float32)
        right = (logits.argmax(axis=-1) == batch["labels"]).mean(dtype=jnp.float32)
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["labels"]).mean(), {"right": right}

    def samples(self, learned: Learned, batch: Batch, key: jax.Array) -> None:
        """Nothing to see."""


def accuracy(data: ListOps, count: int) -> Callable[[SequenceModel], Mapping[str, float]]:
    """Gives a function that measures a model's top-1 on the first `count` expressions, with its standard error."""
    examples = [data(number) for number in range(count)]
    ids, labels = (np.stack([one[name] for one in examples]) for name in ("ids", "labels"))

    def measure(model: SequenceModel) -> dict[str, float]:
        rows = [np.arange(start, start + TOGETHER) % count for start in range(0, count, TOGETHER)]
        chosen = np.concatenate([np.asarray(_chosen(model, ids[some])) for some in rows])[:count]
        top1 = float((chosen == labels).mean())
        return {"sequences": count, "top1": top1, "top1_error": (top1 * (1 - top1) / count) ** 0.5}

    return measure


@jax.jit
def _chosen(model: SequenceModel, ids: jax.Array) -> jax.Array:
    return model(ids)["logits"].argmax(axis=-1)


def save(model: SequenceModel, folder: Path) -> None:
    """Writes a model: `model.safetensors` and `config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(parameters.values(model), folder / WEIGHTS)
    kind = next(name for name, kind in MODELS.items() if kind is type(model.config))
    (folder / CONFIG).write_text(json.dumps({"model": kind, **described(model.config)}, indent=1) + "\n")


def load(folder: Path) -> SequenceModel:
    """Reads what `save` wrote."""
    values = json.loads((folder / CONFIG).read_text())
    model, arrays = encoder.random(rebuilt(MODELS[values.pop("model")], values)), load_file(folder / WEIGHTS)
    graph, state = nnx.split(model)
    named = lambda path: jnp.asarray(arrays[".".join(map(str, path))])
    filled = [(path, variable.replace(named(path))) for path, variable in nnx.to_flat_state(state)]
    return nnx.merge(graph, nnx.from_flat_state(filled))


def prepared(args: argparse.Namespace) -> door.Training:
    """What `vitjax.train` is to run."""
    sizes = {name: getattr(args, name) for name in ("width", "depth", "heads", "norm")}
    sizes |= {PARTS[args.model]: args.part} if args.model in PARTS else {}
    config = MODELS[args.model](
        **sizes, mlp_width=2 * args.width, context=args.length, vocabulary=len(WORDS), classes=CLASSES
    )
    data = ListOps("train", args.length, seed=args.seed)
    about = {field.name: getattr(data, field.name) for field in fields(data)}
    epoch = args.examples / args.batch  # steps
    settings = Settings(
        batch=args.batch,
        epochs=args.steps / epoch,
        warmup=min(args.warmup, args.steps) / epoch,
        rate=args.rate * 256 / args.batch,
        beta2=0.98,
        weight_decay=args.weight_decay,
        clip=1.0,
        dtype=args.dtype,
        seed=args.seed,
    )
    measure = accuracy(ListOps("valid", args.length), args.valid)
    made = Made(data, args.examples, about)
    return door.Training("listops", Sequences(config), config, settings, made, measure=measure, export=save)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="plain")
    parser.add_argument("--norm", default="layer", help="of the blocks, e.g. layer, dtn")
    parser.add_argument("--length", type=int, default=2000, help="tokens that sequences are filled up to")
    parser.add_argument("--part", type=int, default=50, help="tokens of a block of BigBird, a chunk of Reformer")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--warmup", type=int, default=500, help="steps in which the rate rises")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1e-3, help="the highest of all steps")
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--examples", type=int, default=96_000, help="expressions that are learned from")
    parser.add_argument("--valid", type=int, default=2000, help="expressions that accuracy is measured on")
    parser.add_argument("--dtype", default="auto", help="as of vitjax train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=int, default=200, help="steps between two checkpoints")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    args = parser.parse_args(words)
    running = Running(save=args.save, log=20, look=5 * args.save, tensorboard=False)
    try:
        return run(prepared(args), args.out, running)
    except InputError as error:
        print(f"listops: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
