"""Makes the optimizer of a training: AdamW with warm-up and half a cosine, with rates that fall layer by layer."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vitjax.models.core.network import Network
from vitjax.train.settings import Settings
from vitjax.train.task import Learned

# Words of names whose parameters are not drawn to zero: what they hold is no matrix, whatever its axes.
UNDECAYED = frozenset({"bias", "distances", "position", "prefix", "scale", "scale1", "scale2", "token"})


def optimizer(settings: Settings, learned: Learned, images: int) -> optax.GradientTransformation:
    """Gives AdamW as the settings say.

    Args:
        settings: of the training.
        learned: what is learned, or its shapes.
        images: how many there are, which says how many steps an epoch has.
    """
    parts = [optax.clip_by_global_norm(settings.clip)] if settings.clip else []
    parts += [
        optax.scale_by_adam(settings.beta1, settings.beta2),
        optax.add_decayed_weights(settings.weight_decay, decayed),
        optax.scale_by_learning_rate(schedule(settings, images)),
    ]
    if settings.layer_decay < 1:
        parts.append(_scaled(layer_scales(learned, settings.layer_decay)))
    made = optax.chain(*parts)
    if settings.accumulate > 1:
        made = optax.MultiSteps(made, settings.accumulate).gradient_transformation()
    return made


def schedule(settings: Settings, images: int) -> Callable[[jax.Array | int], jax.Array]:
    """Gives the rate of a step: a line from 0, then half a cosine."""
    return optax.warmup_cosine_decay_schedule(
        0.0, settings.peak, settings.warmup_steps(images), settings.steps(images), settings.least_rate
    )


def decayed(learned: Any) -> Any:
    """Says of each parameter whether it has weight decay: matrices and kernels have.

    Those of stacked blocks carry one more axis than what they are; so names tell biases, norms, positions and tokens.
    """

    def matrix(path: tuple, leaf: Any) -> bool:
        words = {word for part in _parts(path) for word in part.split("_")}
        return leaf.ndim > 1 and not words & UNDECAYED

    return jax.tree_util.tree_map_with_path(matrix, learned)


def layer_scales(learned: Learned, decay: float) -> Any:
    """Gives the share of the rate of each parameter: 1 for the head, less by `decay` for each layer before it.

    Blocks are counted through all stages. What stands before the first block is one layer; what comes after the last,
    and all that is not the model's, has the whole rate; what leads into a stage goes with its first block. A stack's
    arrays have a share for each row.
    """
    model: Network = learned.model
    rows, firsts, count = {}, {}, 0
    for stack, blocks in model.rows.items():
        firsts[stack.removesuffix("blocks").rstrip(".")] = count + 1
        for name, row in blocks:
            count += 1
            rows.setdefault(name, {})[row] = count

    def share(path: tuple, leaf: Any) -> np.ndarray | float:
        first, *names = _parts(path)
        if first != "model":
            return 1.0
        dotted = ".".join(names)
        held = next((name for name in rows if dotted.startswith(f"{name}.")), None)
        if held is not None:
            depth = np.array([number for _, number in sorted(rows[held].items(), key=lambda one: one[0] or 0)])
            if None in rows[held]:
                return decay ** float(count + 1 - depth[0])
            return (decay ** (count + 1.0 - depth)).reshape(-1, *[1] * (leaf.ndim - 1)).astype(np.float32)
        stage = next((firsts[name] for name in firsts if name and dotted.startswith(f"{name}.")), None)
        if stage is not None:
            return decay ** float(count + 1 - stage)
        return decay ** float(count + 1) if names[0] in BEFORE else 1.0

    return jax.tree_util.tree_map_with_path(share, learned)


BEFORE = frozenset({"patch", "patch_norm", "prefix", "position", "pre_norm", "stem", "embedding"})  # the first block


def _scaled(shares: Any) -> optax.GradientTransformation:
    scale = lambda update, share: update * jnp.asarray(share, update.dtype)
    return optax.stateless(lambda updates, params: jax.tree.map(scale, updates, shares))


def _parts(path: tuple) -> list[str]:
    return jax.tree_util.keystr(path, simple=True, separator=".").split(".")
