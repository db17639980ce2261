"""What BigBird's and Reformer's attention take at 2,000 tokens beside plain attention: memory, and steps of training.

    python -m benchmarks.sequences [--length 2000] [--batch 2] [--depth 2 8] [--steps 2] [--out FILE.json]

The encoders of `experiments.dtn.listops`, of its width and heads, in float32 on this machine. Memory is what the
compiler sets aside beside weights and tokens, for a forward pass and for the gradient of the loss, by depth. Then
models of the least depth take a few steps of AdamW on the expressions that it trains on, the same batches for all.
Processor seconds are of so few steps that only their size means anything.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from experiments.dtn.listops import MODELS, PARTS, Sequences
from experiments.dtn.listops_data import CLASSES, WORDS, ListOps
from vitjax.bench.rates import machine
from vitjax.models.sequences import encoder
from vitjax.models.sequences.encoder import SequenceModel

WIDTH, HEADS, RATE = 64, 4, 1e-3


def config_of(model: str, depth: int, args: argparse.Namespace) -> Any:
    """The model's config."""
    part = {PARTS[model]: args.part} if model in PARTS else {}
    sizes = {"width": WIDTH, "depth": depth, "heads": HEADS, "mlp_width": 2 * WIDTH, "norm": args.norm}
    return MODELS[model](**sizes, **part, context=args.length, vocabulary=len(WORDS), classes=CLASSES)


def loss(model: SequenceModel, batch: dict[str, jax.Array]) -> jax.Array:
    """What is learned from."""
    return Sequences(model.config).loss(nnx.Dict(model=model), batch, None)[0]


def step(model: SequenceModel, moments: Any, batch: dict[str, jax.Array]) -> tuple[SequenceModel, Any, jax.Array]:
    """A step of AdamW; gives the loss before it as well."""
    value, gradient = jax.value_and_grad(loss)(model, batch)
    updates, moments = optax.adamw(RATE).update(gradient, moments, model)
    return optax.apply_updates(model, updates), moments, value


def memory(model: SequenceModel, batch: dict[str, jax.Array]) -> dict[str, float]:
    """Megabytes beside weights and tokens."""
    found = {}
    for name, function in {"forward": loss, "gradient": jax.grad(loss)}.items():
        compiled = jax.jit(function).lower(model, batch).compile()
        found[f"{name}_megabytes"] = compiled.memory_analysis().temp_size_in_bytes / 1e6
    return found


def trained(model: SequenceModel, batches: list[dict[str, jax.Array]]) -> dict[str, list[float]]:
    """Losses and processor seconds of some steps."""
    moments = optax.adamw(RATE).init(model)
    run, losses, seconds = jax.jit(step).lower(model, moments, batches[0]).compile(), [], []
    for batch in batches:
        clock = time.process_time()
        model, moments, value = jax.block_until_ready(run(model, moments, batch))
        seconds.append(round(time.process_time() - clock, 2))
        losses.append(float(value))
    return {"losses": losses, "processor_seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=2000, help="tokens")
    parser.add_argument("--part", type=int, default=50, help="tokens of a block of BigBird, a chunk of Reformer")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--depth", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--norm", default="layer")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    data, rows = ListOps("train", args.length), []
    examples = [data(number) for number in range(args.batch * args.steps)]
    batches = [
        {
            name: jnp.asarray(np.stack([one[name] for one in examples[start : start + args.batch]]))
            for name in examples[0]
        }
        for start in range(0, len(examples), args.batch)
    ]
    for name in MODELS:
        for depth in args.depth:
            model = encoder.random(config_of(name, depth, args))
            row = {"model": name, "depth": depth} | memory(model, batches[0])
            row |= trained(model, batches) if depth == min(args.depth) else {}
            print(row, flush=True)
            rows.append(row)
            if args.out:
                about = {"length": args.length, "batch": args.batch, "norm": args.norm, "machine": machine()}
                args.out.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
