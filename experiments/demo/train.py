"""Trains a small model from scratch on Tiny ImageNet: the embedded `demo`, or a Swin.

    python -m experiments.demo.train --data FOLDER [--model swin] [--teacher MODEL] [--steps N] [--out runs/demo]

`pack.py` then puts a ViT into `vitjax/demo`. FOLDER holds Tiny ImageNet as zips or extracted (`train*`, `val*`,
`classes.tsv`). A run that was stopped goes on where its last Orbax checkpoint stands. With a teacher (any ViT that
`vitjax.load` takes), layers that are thrown away afterwards learn its tokens and classes (`distill.py`); no weight is
the teacher's. Most patch tokens are dropped in the first part of the training (Li et al. 2023, arXiv 2212.00794), which
cuts its cost as much.
"""

import argparse
import dataclasses
import json
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from jax import lax

import vitjax
from experiments.demo import augment, distill, tiny_imagenet
from experiments.demo.optimizer import optimizer
from experiments.demo.settings import DEFAULTS, MODELS, Training
from vitjax.models.core.network import Network
from vitjax.models.kernels.products import in_bfloat16
from vitjax.models.registry import random


def unchanged(x: jax.Array) -> jax.Array:
    """An edit that has a block compiled by itself, which takes 6 % less time than a scan over all."""
    return x


def loss_of(learned: dict, key: jax.Array, batch: dict, taught: dict, config: Training, keep: int) -> jax.Array:
    """Cross-entropy with label smoothing, plus what the teacher adds.

    Args:
        learned: the model, and with a teacher the layers that learn its answers.
        key: of all that is random.
        batch: "images" uint8 [batch, h, w, 3], "labels", and "tokens" of the teacher.
        taught: "scale" and "head" of the teacher, see `distill.Pupil`; empty without one.
        config: of the training.
        keep: how many patch tokens the model sees.
    """
    mirror, move, change, drop = jax.random.split(key, 4)
    count, patches = len(batch["images"]), config.config.patches
    turned = jax.random.bernoulli(mirror, shape=(count,))
    images = augment.mirrored(batch["images"] / 255.0, turned)
    images = jax.vmap(partial(augment.shift, most=config.shift))(jax.random.split(move, count), images)
    images = jax.vmap(partial(augment.recolour, share=config.colours))(jax.random.split(change, count), images)
    places = augment.some_of(drop, count, patches, keep)
    edits = dict.fromkeys((tap for tap in learned["model"].taps() if tap.endswith(".resid_pre")), unchanged)
    if keep < patches:
        edits["embed"] = partial(augment.pick, places=places)
    seen = learned["model"](images, ["logits", *(learned["pupil"].reads if taught else ())], edits)
    target = optax.smooth_labels(jax.nn.one_hot(batch["labels"], config.config.classes), config.smoothing)
    loss = optax.softmax_cross_entropy(seen["logits"], target).mean()
    if taught:
        theirs = batch["tokens"]
        if config.taught:
            theirs = augment.pick(theirs, augment.unmirrored(places, turned, config.taught[1]))
        loss += config.distill * learned["pupil"](seen, theirs.astype(jnp.float32), **taught)
    return loss


@partial(jax.jit, static_argnames=("config", "keep"), donate_argnums=0)
def train_chunk(state: dict, batches: dict, taught: dict, *, config: Training, keep: int) -> tuple[dict, jax.Array]:
    """Runs one optimisation step for each of the batches, [step, batch, ...]; gives the state and the mean loss."""
    transform = optimizer(config)

    def step(state: dict, batch: dict) -> tuple[dict, jax.Array]:
        key = jax.random.fold_in(jax.random.key(config.seed), state["step"])
        loss, grads = jax.value_and_grad(loss_of)(state["learned"], key, batch, taught, config, keep)
        updates, slow = transform.update(grads, state["optimizer"], state["learned"])
        learned = optax.apply_updates(state["learned"], updates)
        decay = jnp.minimum(config.average, (1 + state["step"]) / (10 + state["step"]))
        average = optax.incremental_update(learned["model"], state["average"], 1 - decay)
        return {"learned": learned, "average": average, "optimizer": slow, "step": state["step"] + 1}, loss

    state, losses = lax.scan(step, state, batches)
    return state, losses.mean()


def start(config: Training, teacher: tuple[int, int] | None) -> dict:
    """The state before the first step: what is learned, the model's mean over steps, the optimizer's moments.

    Args:
        config: of the training.
        teacher: its channels and classes, if there is one.
    """
    learned: dict = {"model": in_bfloat16(random(config.config, config.seed))}
    if teacher:
        width = learned["model"].taps()["pooled"].shape[0]
        learned["pupil"] = distill.Pupil(width, *teacher, config.taught, config.seed)
    average = jax.tree.map(jnp.copy, learned["model"])
    step = jnp.zeros((), jnp.int32)
    return {"learned": learned, "average": average, "optimizer": optimizer(config).init(learned), "step": step}


def accuracy(model: Network, images: np.ndarray, labels: np.ndarray, batch: int = 250) -> tuple[float, float]:
    """Top-1 and top-5 accuracy in per cent on uint8 images."""
    top = jax.jit(lambda model, x: lax.top_k(model(x / 255.0, "logits")["logits"], 5)[1])
    hits = np.concatenate(
        [
            np.asarray(top(model, images[i : i + batch])) == labels[i : i + batch, None]
            for i in range(0, len(images), batch)
        ]
    )
    return 100 * hits[:, 0].mean(), 100 * hits.any(axis=1).mean()


def epochs_order(config: Training, count: int) -> np.ndarray:
    """Which images each step sees, [step, batch]: a fresh permutation every epoch, the same for every run."""
    rng = np.random.default_rng(config.seed)
    epochs = [rng.permutation(count) for _ in range(-(-config.steps * config.batch // count))]
    return np.concatenate(epochs)[: config.steps * config.batch].reshape(config.steps, config.batch)


def train(config: Training, data: Path, teacher: str | None, out: Path) -> Network:
    """Runs or resumes a training; keeps `curve.jsonl`, `training.json` and the checkpoints in `out`."""
    cache = out / "data"
    images, labels = tiny_imagenet.load(data, "train", cache)
    seen, truth = tiny_imagenet.load(data, "val", cache)
    arrays, taught, sizes = {"images": images, "labels": labels}, {}, None
    if teacher:
        model = in_bfloat16(vitjax.load(teacher, image_size=config.teacher_size))
        kept_at, sizes = cache / f"teacher_{config.teacher_size}.npy", (model.config.width, model.config.classes)
        arrays["tokens"] = distill.tokens(model, images, config.taught, kept_at)
        taught = {"scale": distill.spread(arrays["tokens"]), "head": model.head}
    order, switch = epochs_order(config, len(images)), int(config.steps * (1 - config.full))
    state = start(config, sizes)
    more = {"teacher": teacher and Path(teacher).name, "teacher_sizes": sizes}
    (out / "training.json").write_text(json.dumps(dataclasses.asdict(config) | more, indent=1))
    with ocp.CheckpointManager(
        (out / "checkpoints").absolute(), options=ocp.CheckpointManagerOptions(max_to_keep=2)
    ) as kept:
        structure, leaves = jax.tree.structure(state), jax.tree.leaves(state)
        if kept.latest_step() is not None:
            leaves = kept.restore(kept.latest_step(), args=ocp.args.StandardRestore(leaves))
            state = jax.tree.unflatten(structure, leaves)
            print(f"resumed at step {int(state['step'])}", flush=True)
        done, curve = int(state["step"]), out / "curve.jsonl"
        rows = [row for row in map(json.loads, curve.read_text().splitlines()) if row["step"] <= done] if done else []
        curve.write_text("".join(json.dumps(row) + "\n" for row in rows))
        clock = time.perf_counter() - (rows[-1]["seconds"] if rows else 0)
        while done < config.steps:
            stop = min([s for s in (done + config.chunk, switch, config.steps) if s > done])
            keep = config.kept if done < switch else config.config.patches
            batches = {name: array[order[done:stop]] for name, array in arrays.items()}
            state, loss = train_chunk(state, batches, taught, config=config, keep=keep)
            row = {"step": stop, "loss": round(float(loss), 4), "seconds": round(time.perf_counter() - clock, 1)}
            if (stop // config.chunk) % 10 == 0 or stop in (switch, config.steps):
                some = slice(None if stop == config.steps else config.looked_at)
                row["top1"], row["top5"] = (
                    round(float(a), 2) for a in accuracy(state["average"], seen[some], truth[some])
                )
                kept.save(stop, args=ocp.args.StandardSave(jax.tree.leaves(state)))
            with curve.open("a") as log:
                log.write(json.dumps(row) + "\n")
            print(" ".join(f"{key} {value}" for key, value in row.items()), f"of {config.steps}", flush=True)
            done = stop
    return state["average"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with Tiny ImageNet")
    parser.add_argument("--teacher", help="ViT to distil from: a folder, a file or a hub id")
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="where checkpoints and curves go")
    parser.add_argument("--model", choices=MODELS, default="vit", help="kind of model")
    for field in dataclasses.fields(Training)[1:]:
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=field.default)
    parser.set_defaults(**DEFAULTS.get(parser.parse_known_args()[0].model, {}))
    args = vars(parser.parse_args())
    data, teacher, out = args.pop("data"), args.pop("teacher"), args.pop("out")
    out.mkdir(parents=True, exist_ok=True)
    train(Training(**args), data, teacher, out)


if __name__ == "__main__":
    main()
