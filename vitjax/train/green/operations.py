"""Counts the multiply-adds of masked image modelling: products of matrices and convolutions, as they are computed."""

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.models.core.surroundings import key, standard
from vitjax.models.flops import operations
from vitjax.train.task import Task


@standard()
def multiply_adds(task: Task, image_size: tuple[int, int]) -> float:
    """Those of the forward pass of one image, encoder, decoder and all.

    Args:
        task: masked image modelling, of any kind.
        image_size: (height, width) that its model takes.
    """
    learned = jax.eval_shape(lambda: task.start(nnx.Rngs(key(0))))
    batch = {"images": jax.ShapeDtypeStruct((1, *image_size, 3), jnp.float32)}
    return operations(lambda learned, batch: task.loss(learned, batch, key(0))[0], learned, batch) / 2
