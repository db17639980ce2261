"""Trains small dictionaries of one tap by each norm of tokens, and says what becomes of usual tokens and of huge ones.

    python -m benchmarks.dictionary_norms --model FOLDER --data IMAGES [--images 400] [--out FILE.json]

A few tokens of a Vision Transformer have a huge norm (`vitjax analyze norms`). Errors are on images that none has seen:
normalised over all tokens, over those of usual norm (less than twice the median), and relative to their own squares of
the others; dead are latents that are 0 on all of them. A PCA with k components stands beside. All see the same tokens,
several times, in the same order. `--tokens FILE.npy` keeps the activations, or takes those that it has.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vitjax.bench.rates import machine
from vitjax.data.files.open import open_images
from vitjax.data.pipeline import Batches
from vitjax.train.dictionaries.coder import begun, finished, updated
from vitjax.train.dictionaries.tokens import read
from vitjax.train.settings import DictionarySettings
from vitjax.weights.load import load

TOGETHER = 32  # images
HUGE = 2.0  # times the median norm
NORMS = ("rms_norm", "affine")


def activations(model_name: str, tap: str, data: str, count: int) -> np.ndarray:
    """The patches of so many images at the tap, float16 [image, patch, channel]."""
    model, parts = load(model_name), []
    run = jax.jit(partial(read, tap=tap, where="patches"))
    images = open_images(data)
    for batch in Batches(images.some(min(count, len(images))), model.config, TOGETHER):
        found = np.asarray(run(model, batch.images), np.float32)
        parts.append(found.reshape(TOGETHER, -1, found.shape[-1])[batch.place >= 0].astype(np.float16))
    return np.concatenate(parts)


def trained(x: np.ndarray, new: np.ndarray, order: np.ndarray, settings: DictionarySettings) -> dict[str, float]:
    """What a dictionary that learned from batches of x makes of new tokens."""
    clock, steps = time.process_time(), len(order)
    coder = jax.jit(begun, static_argnums=(1, 2, 3))(x[order[:8].ravel()], settings, steps, settings.batch)
    step = jax.jit(partial(updated, settings=settings, steps=steps, dtype="float32"), donate_argnums=0)
    for batch in order:
        coder, _ = step(coder, x[batch])
    idle = float((np.asarray(coder.idle) > settings.dead * settings.tokens).mean())
    one = finished(coder, settings, "tap")
    latents = np.asarray(one.activate(one.encode(jnp.asarray(new))))
    again = np.asarray(one.decode(jnp.asarray(latents), jnp.asarray(new)))
    active = latents != 0
    about = {**errors(new, again), "l0": float(active.sum(axis=1).mean()), "dead": float((~active.any(axis=0)).mean())}
    return about | {"idle": idle, "processor_seconds": time.process_time() - clock}


def errors(x: np.ndarray, again: np.ndarray) -> dict[str, float]:
    """The errors over all tokens, over usual ones, and of huge ones."""
    norms, off = np.linalg.norm(x, axis=1), ((x - again) ** 2).sum(axis=1)
    usual = norms < HUGE * np.median(norms)
    spread = lambda some: ((some - some.mean(axis=0)) ** 2).sum()
    found = {"nmse": off.sum() / spread(x), "nmse_usual": off[usual].sum() / spread(x[usual])}
    found |= {"error_huge": off[~usual].sum() / (norms[~usual] ** 2).sum()}
    return {name: float(value) for name, value in found.items()}


def lengths(x: np.ndarray) -> dict[str, float]:
    """The share of huge tokens, their share of the variance, and median norms of usual and huge ones."""
    norms, off = np.linalg.norm(x, axis=1), ((x - x.mean(axis=0)) ** 2).sum(axis=1)
    huge = norms >= HUGE * np.median(norms)
    found = {"huge": huge.mean(), "variance_of_huge": off[huge].sum() / off.sum()}
    found |= {"norm_of_usual": np.median(norms[~huge]), "norm_of_huge": np.median(norms[huge])}
    return {name: float(value) for name, value in found.items()}


def pca(x: np.ndarray, new: np.ndarray, k: int) -> np.ndarray:
    """New tokens by the first k components of x."""
    mean = x.mean(axis=0)
    axes = np.linalg.eigh(np.cov(x - mean, rowvar=False))[1][:, -k:]
    return (new - mean) @ axes @ axes.T + mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tap", default="blocks.8.resid_post")
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=400, help="evenly spaced, whose activations are kept")
    parser.add_argument("--learned", type=int, default=300, help="of these, the first")
    parser.add_argument("--new", type=int, default=40, help="those after them")
    parser.add_argument("--tokens", type=Path, help="file of activations")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--k", type=int, default=16)
    parser.add_argument("--batch", type=int, default=384)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--rate", type=float, default=1.6e-4)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.tokens and args.tokens.exists():
        held = np.load(args.tokens)
    else:
        held = activations(args.model, args.tap, args.data, args.images)
        if args.tokens:
            np.save(args.tokens, held)
    flat = lambda some: some.astype(np.float32).reshape(-1, held.shape[-1])
    x, new, seen = flat(held[: args.learned]), flat(held[args.learned :][: args.new]), args.steps * args.batch
    rng = np.random.default_rng(0)
    order = np.concatenate([rng.permutation(len(x)) for _ in range(-(-seen // len(x)))])[:seen]
    rows = [{"name": f"PCA, {args.k} components", **errors(new, pca(x, new, args.k)), "l0": args.k}]
    about = {"tap": args.tap, "tokens": seen, "different": len(x), "new": len(new), "width": args.width, "k": args.k}
    about |= {"batch": args.batch, **lengths(new)}
    for norm in NORMS:
        settings = DictionarySettings(
            width=args.width, k=args.k, batch=args.batch, tokens=seen, rate=args.rate, norm=norm
        )
        rows.append({"name": norm, **trained(x, new, order.reshape(args.steps, args.batch), settings)})
        print(rows[-1], flush=True)
        if args.out:
            args.out.write_text(json.dumps({"machine": machine(), **about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
