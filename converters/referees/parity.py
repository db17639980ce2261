"""Compares a model with what its source library computes from the same images, activation by activation."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from vitjax.models.convnets.base import ConvNet
from vitjax.models.core.network import Network

TOLERANCE = 1e-5  # of two float32 computations that differ in the order of their sums
EXACT = 1e-6  # in float64, of weights whose tokens and positions were added in float32
GRADIENT = "d output / d image"
COMPILER = {"xla_backend_optimization_level": 0}  # each program runs once: halves the time until it does
LOOPS = {"xla_backend_optimization_level": 1}  # for many convolutions in float64, loops of XLA's own: they run long


@dataclass(frozen=True)
class Reference:
    """What the source library computes from `images` [batch, height, width, 3] with values in [0, 1].

    `taps` holds every activation under the model's own names, batch axis first. `units` [batch] picks one number of
    each image's flattened output, and `gradient`, shaped as the images, is that of their sum. All arrays are float32
    or all are float64.
    """

    images: np.ndarray
    taps: Mapping[str, np.ndarray]
    units: np.ndarray
    gradient: np.ndarray


def relative_errors(model: Network, reference: Reference) -> dict[str, float]:
    """Compares the model with the reference, in the reference's precision.

    Returns:
        {tap: max|ours - theirs| / max|theirs|} for every tap, and the same of the gradient as "d output / d image".

    Raises:
        ValueError: a tap or a shape that only one side has.
    """
    names = tuple(model.taps())
    if lonely := set(names) ^ set(reference.taps):
        raise ValueError(f"only one side has {', '.join(sorted(lonely))}")
    return _run(model, reference, names)


def output_errors(model: Network, reference: Reference) -> dict[str, float]:
    """Compares output and gradient alone, from a run that reads nothing else.

    It takes the faster forms of attention and of the blocks, which the taps inside them would rule out.
    """
    return _run(model, reference, (model.output,))


def rounding(reference: Reference, exact: Reference) -> dict[str, float]:
    """Measures the source library's own error: the same figures, of `reference`, float32, against `exact`, float64."""
    errors = {name: _error(reference.taps[name], value) for name, value in exact.taps.items()}
    return errors | {GRADIENT: _error(reference.gradient, exact.gradient)}


def _run(model: Network, reference: Reference, reads: tuple[str, ...]) -> dict[str, float]:
    exact = reference.images.dtype == np.float64
    with jax.enable_x64(exact), jax.default_matmul_precision("highest"):
        images, units = reference.images, reference.units[:, None]
        model = jax.tree.map(lambda leaf: np.asarray(leaf, images.dtype), model)  # JAX's would compile for each shape

        def run(images, model):
            taps = model(images, reads=reads)
            output = taps[model.output].reshape(len(images), -1)
            return jnp.take_along_axis(output, units, axis=1).sum(), taps

        compiler = LOOPS if exact and isinstance(model, ConvNet) else COMPILER
        gradient, taps = jax.jit(jax.grad(run, has_aux=True), compiler_options=compiler)(images, model)
    errors = {name: _error(np.asarray(taps[name]), reference.taps[name]) for name in reads}
    return errors | {GRADIENT: _error(np.asarray(gradient), reference.gradient)}


def _error(ours: np.ndarray, theirs: np.ndarray) -> float:
    if ours.shape != theirs.shape:
        raise ValueError(f"shape {ours.shape} against the reference's {theirs.shape}")
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
