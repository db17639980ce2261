"""Trains the same dictionary here and by overcomplete on the same activations, taking turns; beside it a plain PCA.

    python -m benchmarks.dictionaries --model FOLDER --tap blocks.8.resid_post --data IMAGES [--out FILE.json]
    python -m benchmarks.dictionaries --model FOLDER --data NEW --trained RUN/dictionary [--images 64] [--out FILE.json]

The first takes `pip install overcomplete`. All contenders are TopK, of the same width, k, batch, rate and schedule, on
the same tokens in the same order, standardised as vitjax does; in each turn each takes a few steps. Theirs is their
`train_sae` without monitoring, with their plain loss and with their AuxK; ours is the compiled update of `vitjax
dictionary train`, with AuxK. Errors are on tokens of images that none has seen: normalised, with k latents a token;
dead are those that are 0 on all of them. A PCA keeps the k first of its components. With --trained nothing is trained:
a dictionary and PCAs with as many components as it has latents a token are read on the second half of the images, whose
first half the PCAs are of. Processor seconds count, which other work on the machine lengthens least.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import jax
import matplotlib
import numpy as np
import torch

from converters.referees.timm_vit import import_timm
from vitjax.analysis.dictionaries.dictionary_measures import overall, sums
from vitjax.bench.rates import machine
from vitjax.data.files.open import open_images
from vitjax.data.pipeline import Batches
from vitjax.train.dictionaries.coder import BETAS, begun, finished, updated
from vitjax.train.dictionaries.tokens import read
from vitjax.train.settings import PRODUCTS, DictionarySettings
from vitjax.weights.dictionaries.read import read_dictionary
from vitjax.weights.load import load

TOGETHER = 32  # images
HELD_OUT = 10  # one in so many tokens
Run = Callable[[np.ndarray], None]
Read = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # of tokens, to what is made of them and their latents


def activations(model_name: str, tap: str, data: str, count: int) -> np.ndarray:
    """So many tokens at the tap, float32 [token, channel], those of an image one after another."""
    model, parts, held = load(model_name), [], 0
    run = jax.jit(partial(read, tap=tap, where="patches"))
    images = open_images(data)
    for batch in Batches(images, model.config, TOGETHER):
        found = np.asarray(run(model, batch.images), np.float32).reshape(TOGETHER, -1, model.taps()[tap].shape[-1])
        parts.append(np.concatenate(found[batch.place >= 0]))
        held += len(parts[-1])
        if held >= count:
            break
    return np.concatenate(parts)[:count]


def ours(x: np.ndarray, settings: DictionarySettings, steps: int, dtype: str) -> tuple[Run, Read]:
    """Our training: runs some batches; reads tokens."""
    held = [jax.jit(begun, static_argnums=(1, 2, 3))(x[: 4 * settings.width], settings, steps, settings.batch)]
    step = jax.jit(partial(updated, settings=settings, steps=steps, dtype=dtype), donate_argnums=0)

    def run(batches: np.ndarray) -> None:
        for batch in batches:
            held[0], told = step(held[0], batch)
        jax.block_until_ready(told)

    def reads(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        dictionary = finished(held[0], settings, "tap")
        latents = dictionary.activate(dictionary.encode(x))
        return np.asarray(dictionary.decode(latents, x)), np.asarray(latents)

    return run, reads


def theirs(x: np.ndarray, settings: DictionarySettings, steps: int, criterion: Callable) -> tuple[Run, Read]:
    """Their training: runs some batches; reads tokens."""
    from overcomplete.sae import TopKSAE, train_sae

    torch.manual_seed(settings.seed)
    coder = TopKSAE(x.shape[1], settings.width, top_k=settings.k)
    adam = torch.optim.Adam(coder.parameters(), lr=settings.peak, betas=(BETAS["b1"], BETAS["b2"]))
    warm, cold = max(1, settings.warmup * steps), max(1, settings.decay * steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: min(1.0, step / warm, max(0, steps - step) / cold))

    def run(batches: np.ndarray) -> None:
        batches = [torch.from_numpy(batch) for batch in batches]
        train_sae(coder, batches, criterion, adam, schedule, nb_epochs=1, clip_grad=settings.clip, monitoring=0)

    def reads(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            _, latents, again = coder(torch.from_numpy(x))
        return again.numpy(), latents.numpy()

    return run, reads


def their_losses() -> tuple[Callable, Callable]:
    """Their plain loss, and the one with AuxK."""
    import_timm()  # which overcomplete imports
    matplotlib.cm.get_cmap = matplotlib.colormaps.get_cmap  # gone from where overcomplete 0.3 takes it
    from overcomplete.sae.losses import mse_l1, top_k_auxiliary_loss

    return partial(mse_l1, penalty=0.0), top_k_auxiliary_loss


def pca(x: np.ndarray, new: np.ndarray, k: int, even: bool = False) -> dict:
    """A row: the errors of the k first components of x, on new tokens; `even`: of all brought to one length before."""
    length = lambda x: np.linalg.norm(x, axis=1, keepdims=True) if even else np.ones((len(x), 1))
    x, lengths = x / length(x), length(new)
    mean = x.mean(axis=0)
    axes = np.linalg.eigh(np.cov(x - mean, rowvar=False))[1][:, -k:]
    components = (new / lengths - mean) @ axes
    found = overall(sums(new, (components @ axes.T + mean) * lengths, components))
    name = f"PCA, {k} components{' of tokens of one length' if even else ''}"
    return {"name": name, "nmse": found["nmse"], "nmse_token": found["nmse_token"], "l0": k}


def read_beside_pca(args: argparse.Namespace) -> list[dict]:
    """The rows of a dictionary that is trained already and of a PCA, on the second half of some images."""
    one = read_dictionary(args.trained)
    x = activations(args.model, one.form.tap, args.data, args.images * 196)
    first, new = np.split(x, [len(x) // 2])
    latents = np.asarray(one.activate(one.encode(new)))
    found = overall(sums(new, np.asarray(one.decode(latents, new)), latents))
    k = round(found["l0"])
    return [
        {"name": "dictionary", **found},
        pca(first, new, k),
        pca(first, new, k, even=True),
        {"name": "tokens", "new": len(new), "latents": one.width},
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tap", default="blocks.8.resid_post")
    parser.add_argument("--data", required=True)
    parser.add_argument("--width", type=int, default=3072)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--rate", type=float, default=DictionarySettings.rate)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=48)
    parser.add_argument("--turn", type=int, default=4, help="steps of a turn")
    parser.add_argument("--trained", help="a dictionary that is read beside a PCA; nothing is trained")
    parser.add_argument("--images", type=int, default=64, help="that it is read on")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.trained:
        rows = read_beside_pca(args)
        print(*rows, sep="\n")
        if args.out:
            args.out.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
        return
    learned, held_out = args.steps * args.batch, args.steps * args.batch // HELD_OUT
    x = activations(args.model, args.tap, args.data, learned + held_out)
    x, new = x[:learned], x[learned:]
    x = x[np.random.default_rng(0).permutation(len(x))]
    mean, scale = x.mean(axis=0), x.std()
    x, new = (x - mean) / scale, (new - mean) / scale
    named = {"width": args.width, "k": args.k, "kind": "topk", "batch": args.batch, "rate": args.rate}
    settings = DictionarySettings(**named, tokens=learned, norm="affine")
    plain, auxiliary = their_losses()
    contenders = {
        "vitjax": ours(x, settings, args.steps, "float32"),
        "vitjax, bfloat16 products": ours(x, settings, args.steps, PRODUCTS),
        "overcomplete": theirs(x, settings, args.steps, plain),
        "overcomplete, AuxK": theirs(x, settings, args.steps, auxiliary),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    batches = x.reshape(args.steps, args.batch, -1)
    for first in range(0, args.steps, args.turn):
        for name, (run, _) in contenders.items():
            clock = time.process_time()
            run(batches[first : first + args.turn])
            if first:  # the first turn compiles
                seconds[name].append((time.process_time() - clock) / args.turn)
        print(first + args.turn, {name: round(min(took), 3) for name, took in seconds.items() if took}, flush=True)
    rows = [pca(x, new, args.k)]
    for name, (_, reads) in contenders.items():
        again, latents = reads(new)
        found = overall(sums(new, again, latents))
        rows.append({"name": name, **{key: found[key] for key in ("nmse", "l0", "dead")}})
        rows[-1] |= {"seconds_per_step": min(seconds[name]), "tokens_per_second": args.batch / min(seconds[name])}
        rows[-1] |= {"median_seconds_per_step": statistics.median(seconds[name])}
    for row in rows:
        print({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()})
    if args.out:
        about = {"tap": args.tap, "tokens": learned, "held_out": len(new), "steps": args.steps, **named}
        versions = {"torch": torch.__version__, "overcomplete": version("overcomplete")}
        args.out.write_text(json.dumps({"machine": machine() | versions, **about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
