"""Has statistics of batches move while a model learns, beside what the optimizer does to parameters."""

from typing import Any

import jax
import optax

from vitjax.models.norms.batch import MOVING, RATE


def with_moving(transform: optax.GradientTransformation, learned: Any) -> optax.GradientTransformation:
    """Gives the optimizer, of all but what moves: that takes steps of its own, see `vitjax.models.norms.batch`.

    Args:
        transform: the optimizer.
        learned: what is learned, or its shapes; where nothing in it moves, the optimizer is given back as it is.
    """
    kinds = jax.tree_util.tree_map_with_path(lambda path, _: "moving" if moves(path) else "learned", learned)
    if "moving" not in jax.tree.leaves(kinds):
        return transform
    # A function, for optax would call what can be called, as a model can.
    return optax.partition({"learned": transform, "moving": optax.sgd(RATE)}, lambda _: kinds)


def of_parameters(gradient: Any) -> Any:
    """The gradient with zeros for what moves, whose is not the loss's."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: 0 * leaf if moves(path) else leaf, gradient)


def moves(path: tuple) -> bool:
    """Whether an array of this path is a statistic that moves."""
    return any(part.startswith(MOVING) for part in jax.tree_util.keystr(path, simple=True, separator=".").split("."))
