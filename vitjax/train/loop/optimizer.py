"""Makes the optimizer of a training: AdamW with warm-up and half a cosine, with rates of layers and of parameters."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vitjax.models.core.network import Network
from vitjax.train import groups
from vitjax.train.groups import Group
from vitjax.train.settings import Settings
from vitjax.train.task import Learned


def optimizer(settings: Settings, learned: Learned, images: int) -> optax.GradientTransformation:
    """Gives AdamW as the settings say.

    Args:
        settings: of the training.
        learned: what is learned, or its shapes.
        images: how many there are, which says how many steps an epoch has.

    Raises:
        InputError: a group of parameters that there are none of.
    """
    grouped, leaves = grouping(learned, settings.groups), jax.tree.structure(learned)
    decays, rates = ([getattr(group, name) for group in grouped] for name in ("decay", "rate"))
    parts = [optax.clip_by_global_norm(settings.clip)] if settings.clip else []
    parts.append(optax.scale_by_adam(settings.beta1, settings.beta2))
    for decay in sorted({*decays} - {0.0}):
        mask = jax.tree.unflatten(leaves, [one == decay for one in decays])
        parts.append(optax.add_decayed_weights(decay * settings.weight_decay, mask))
    parts.append(optax.scale_by_learning_rate(schedule(settings, images)))
    if settings.layer_decay < 1:
        parts.append(_scaled(layer_scales(learned, settings.layer_decay)))
    if {*rates} != {1.0}:
        parts.append(_scaled(jax.tree.unflatten(leaves, rates)))
    made = optax.chain(*parts)
    if settings.accumulate > 1:
        made = optax.MultiSteps(made, settings.accumulate).gradient_transformation()
    return made


def schedule(settings: Settings, images: int) -> Callable[[jax.Array | int], jax.Array]:
    """Gives the rate of a step: a line from 0, then half a cosine."""
    rising, steps = settings.warmup_steps(images), settings.steps(images)
    falling = max(steps, rising + 1)  # after the last step where all of them rise
    return optax.warmup_cosine_decay_schedule(0.0, settings.peak, rising, falling, settings.least_rate)


def grouping(learned: Learned, asked: str = "") -> list[Group]:
    """Gives the factors of rate and decay of each parameter, in the order of the leaves; see `vitjax.train.groups`.

    Args:
        learned: what is learned, or its shapes.
        asked: groups beside those of the table, see `Settings`.
    """
    leaves = {".".join(_parts(path)): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(learned)[0]}
    stacks = (rows for rows in learned.model.rows.values())
    stacked = tuple(f"model.{name}." for rows in stacks for name, row in rows if row is not None)
    groups.sought([*leaves], more := groups.groups(asked))
    return [groups.group(name, leaf.ndim - name.startswith(stacked), more) for name, leaf in leaves.items()]


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
    parts = jax.tree_util.keystr(path, simple=True, separator=".").split(".")
    return parts[:-1] if parts[-1] == "value" else parts
