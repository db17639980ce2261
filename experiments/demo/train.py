"""Trains a small model from scratch on Tiny ImageNet: the embedded `demo`, or a Swin.

    python -m experiments.demo.train --data FOLDER [--model swin] [--teacher MODEL] [--epochs 9] [--out runs/demo]

`pack.py` then puts a ViT into `vitjax/demo`. FOLDER holds Tiny ImageNet as zips or extracted (`train*`, `val*`,
`classes.tsv`). A run that was stopped goes on where its last Orbax checkpoint stands. With a teacher (any model
`vitjax.load` takes), a second head that is thrown away afterwards learns the teacher's distribution over its own
classes; half of a ViT's patch tokens are dropped in the first part of the training (Li et al. 2023, arXiv 2212.00794),
which halves its cost.
"""

import argparse
import dataclasses
import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from flax import nnx
from jax import lax

from experiments.demo import tiny_imagenet
from vitjax.models.core.config import Preprocess, ViTConfig
from vitjax.models.core.network import Network
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.models.registry import Config, random


@dataclass(frozen=True)
class Training:
    """What a run is made of; the defaults are the committed run's of `demo`, those of others are in `DEFAULTS`."""

    model: str = "vit"  # a key of `MODELS`
    width: int = 160  # of the first stage, as are its heads
    depth: int = 6  # of the deepest stage
    heads: int = 5
    patch: int = 8
    epochs: float = 9
    batch: int = 128
    learning_rate: float = 2e-3
    warmup: float = 0.05  # share of the steps
    weight_decay: float = 0.05
    smoothing: float = 0.1
    crop: float = 0.5  # smallest share of the area that a random crop keeps
    keep: float = 0.5  # share of the patch tokens kept in the first part
    full: float = 0.2  # share of the steps, at the end, that see all tokens
    distill: float = 1.0  # weight of the teacher's loss
    teacher_size: int = 160
    seed: int = 0
    chunk: int = 50  # steps between two looks at the loss

    @property
    def config(self) -> Config:
        """Of the model."""
        both = {
            "image_size": (tiny_imagenet.SIDE, tiny_imagenet.SIDE),
            "patch_size": (self.patch, self.patch),
            "classes": 200,
            "preprocess": Preprocess(crop=1.0),
        }
        return MODELS[self.model](self, both)

    @property
    def kept(self) -> int:
        """Patches that a picture keeps in the first part."""
        return int(self.config.patches * self.keep)


def vit(training: Training, both: dict) -> ViTConfig:
    """One stage."""
    sizes = {"width": training.width, "depth": training.depth, "heads": training.heads}
    return ViTConfig(mlp_width=4 * training.width, **sizes, **both)


def swin(training: Training, both: dict) -> SwinConfig:
    """Three stages, the middle one the deepest, in windows of 4."""
    widths, heads = ([times * of for times in (1, 2, 4)] for of in (training.width, training.heads))
    mlp_widths, depths = [4 * width for width in widths], (2, training.depth, 2)
    return SwinConfig(
        widths=tuple(widths),
        depths=depths,
        heads=tuple(heads),
        mlp_widths=tuple(mlp_widths),
        windows=(4, 4, 4),
        **both,
    )


MODELS = {"vit": vit, "swin": swin}
DEFAULTS = {"swin": {"width": 48, "depth": 4, "heads": 3, "patch": 4, "keep": 1.0, "full": 0.0}}


def augment(key: jax.Array, image: jax.Array, crop: float) -> jax.Array:
    """One random resized crop (share `crop`..1 of the area, aspect 3/4..4/3) and flip of a float image [h, w, 3]."""
    area, aspect, corner, flip = jax.random.split(key, 4)
    side = jnp.sqrt(jax.random.uniform(area, minval=crop))
    ratio = jnp.exp(jax.random.uniform(aspect, minval=-1.0, maxval=1.0) * jnp.log(4 / 3) / 2)
    size = jnp.clip(side * jnp.stack([ratio, 1 / ratio]), 0, 1)
    start = jax.random.uniform(corner, (2,)) * (1 - size) * image.shape[0]
    image = jnp.where(jax.random.bernoulli(flip), image[:, ::-1], image)
    return jax.image.scale_and_translate(image, image.shape, (0, 1), 1 / size, -start / size, "linear", antialias=False)


def drop_tokens(key: jax.Array, keep: int, x: jax.Array) -> jax.Array:
    """Keeps the class token and `keep` random patch tokens of every image: [batch, token, channel]."""
    order = jnp.argsort(jax.random.uniform(key, (x.shape[0], x.shape[1] - 1)), axis=1)[:, :keep] + 1
    return jnp.concatenate([x[:, :1], jnp.take_along_axis(x, order[..., None], axis=1)], axis=1)


def loss_of(
    learned: dict, key: jax.Array, images: jax.Array, labels: jax.Array, soft: jax.Array, config: Training, keep: int
):
    """Cross-entropy with label smoothing, plus the teacher's: images uint8, `soft` log-probabilities [batch, class]."""
    crop, drop = jax.random.split(key)
    pixels = jax.vmap(partial(augment, crop=config.crop))(jax.random.split(crop, len(images)), images / 255.0)
    edits = {"embed": partial(drop_tokens, drop, keep)} if keep < config.config.patches else None
    seen = learned["model"](pixels, ["pooled", "logits"], edits)
    target = optax.smooth_labels(jax.nn.one_hot(labels, config.config.classes), config.smoothing)
    loss = optax.softmax_cross_entropy(seen["logits"], target).mean()
    if "teacher" in learned:
        guess = jax.nn.log_softmax(learned["teacher"](seen["pooled"]))
        loss += config.distill * optax.kl_divergence(guess, jnp.exp(soft)).mean()
    return loss


def optimizer(config: Training, steps: int) -> optax.GradientTransformation:
    """AdamW under a cosine schedule with warm-up; matrices decay, vectors do not."""
    schedule = optax.warmup_cosine_decay_schedule(0, config.learning_rate, int(config.warmup * steps), steps)
    decays = lambda tree: jax.tree_util.tree_map_with_path(lambda path, _: "kernel" in jax.tree_util.keystr(path), tree)
    return optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.98, weight_decay=config.weight_decay, mask=decays)
    )


@partial(jax.jit, static_argnames=("config", "steps", "keep"), donate_argnums=0)
def train_chunk(state, images, labels, soft, order, *, config: Training, steps: int, keep: int):
    """Runs one optimisation step per row of `order` (indices into the data, [step, batch]); gives the mean loss."""
    transform = optimizer(config, steps)

    def step(state, rows):
        key = jax.random.fold_in(jax.random.key(config.seed), state["step"])
        targets = soft[rows].astype(jnp.float32)
        loss, grads = jax.value_and_grad(loss_of)(
            state["learned"], key, images[rows], labels[rows], targets, config, keep
        )
        updates, slow = transform.update(grads, state["optimizer"], state["learned"])
        learned = optax.apply_updates(state["learned"], updates)
        return {"learned": learned, "optimizer": slow, "step": state["step"] + 1}, loss

    state, losses = lax.scan(step, state, order)
    return state, losses.mean()


def start(config: Training, steps: int, teacher_classes: int) -> dict:
    """The state before the first step: the model, the teacher's head if there is one, the optimizer's moments."""
    learned: dict = {"model": random(config.config, config.seed)}
    if teacher_classes:
        width = learned["model"].taps()["pooled"].shape[0]
        learned["teacher"] = nnx.Linear(width, teacher_classes, rngs=nnx.Rngs(config.seed))
    return {"learned": learned, "optimizer": optimizer(config, steps).init(learned), "step": jnp.zeros((), jnp.int32)}


def accuracy(model: Network, images: np.ndarray, labels: np.ndarray, batch: int = 500) -> tuple[float, float]:
    """Top-1 and top-5 accuracy in per cent on uint8 images."""
    top = jax.jit(lambda model, x: lax.top_k(model(x / 255.0, "logits")["logits"], 5)[1])
    hits = np.concatenate(
        [
            np.asarray(top(model, images[i : i + batch])) == labels[i : i + batch, None]
            for i in range(0, len(images), batch)
        ]
    )
    return 100 * hits[:, 0].mean(), 100 * hits.any(axis=1).mean()


def teacher_targets(name: str, images: np.ndarray, size: int, cache: Path, batch: int = 100) -> np.ndarray:
    """The teacher's log-probabilities (float16) for every training image, computed once and kept in `cache`."""
    path = cache / f"teacher_{size}.npy"
    if not path.exists():
        import vitjax

        teacher = vitjax.load(name, image_size=size)
        resize = lambda x: jnp.clip(jax.image.resize(x / 255.0, (len(x), size, size, 3), "bicubic"), 0, 1)
        infer = jax.jit(lambda model, x: jax.nn.log_softmax(model(resize(x), "logits")["logits"]))
        soft = [np.asarray(infer(teacher, images[i : i + batch]), np.float16) for i in range(0, len(images), batch)]
        np.save(path, np.concatenate(soft))
    return np.load(path)


def epochs_order(config: Training, count: int, steps: int) -> np.ndarray:
    """Which images each step sees, [step, batch]: a fresh permutation every epoch, the same for every run."""
    rng = np.random.default_rng(config.seed)
    epochs = [rng.permutation(count) for _ in range(-(-steps * config.batch // count))]
    return np.concatenate(epochs)[: steps * config.batch].reshape(steps, config.batch).astype(np.int32)


def train(config: Training, data: Path, teacher: str | None, out: Path) -> Network:
    """Runs or resumes a training; keeps `curve.jsonl`, `training.json` and the checkpoints in `out`."""
    cache = out / "data"
    images, labels = tiny_imagenet.load(data, "train", cache)
    seen, truth = tiny_imagenet.load(data, "val", cache)
    soft = (
        teacher_targets(teacher, images, config.teacher_size, cache)
        if teacher
        else np.zeros((len(images), 0), np.float16)
    )
    steps = int(config.epochs * len(images) / config.batch)
    order, switch = epochs_order(config, len(images), steps), int(steps * (1 - config.full))
    state = start(config, steps, soft.shape[1])
    more = {"steps": steps, "teacher": teacher and Path(teacher).name, "teacher_classes": soft.shape[1]}
    (out / "training.json").write_text(json.dumps(dataclasses.asdict(config) | more, indent=1))
    with ocp.CheckpointManager(
        (out / "checkpoints").absolute(), options=ocp.CheckpointManagerOptions(max_to_keep=2)
    ) as kept:
        structure, leaves = jax.tree.structure(state), jax.tree.leaves(state)
        if kept.latest_step() is not None:
            leaves = kept.restore(kept.latest_step(), args=ocp.args.StandardRestore(leaves))
            state = jax.tree.unflatten(structure, leaves)
            print(f"resumed at step {int(state['step'])}", flush=True)
        arrays = jax.device_put((images, labels, soft))
        done, clock = int(state["step"]), time.perf_counter()
        while done < steps:
            stop = min([s for s in (done + config.chunk, switch, steps) if s > done])
            keep = config.kept if done < switch else config.config.patches
            state, loss = train_chunk(state, *arrays, order[done:stop], config=config, steps=steps, keep=keep)
            row = {"step": stop, "loss": round(float(loss), 4), "seconds": round(time.perf_counter() - clock, 1)}
            if (stop // config.chunk) % 10 == 0 or stop in (switch, steps):
                row["top1"], row["top5"] = (
                    round(float(a), 2) for a in accuracy(state["learned"]["model"], seen, truth)
                )
                kept.save(stop, args=ocp.args.StandardSave(jax.tree.leaves(state)))
            with (out / "curve.jsonl").open("a") as log:
                log.write(json.dumps(row) + "\n")
            print(" ".join(f"{key} {value}" for key, value in row.items()), f"of {steps}", flush=True)
            done = stop
    return state["learned"]["model"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with Tiny ImageNet")
    parser.add_argument("--teacher", help="model to distil from: a folder, a file or a hub id")
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
