"""How far a model is from a reference where something is done otherwise than there."""

import jax
import numpy as np

from converters.referees.parity import Reference
from vitjax.models.core.network import Network


def output_error(model: Network, reference: Reference) -> float:
    """The largest difference of the output, over the largest number in it, in float64."""
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), model)
        run = jax.jit(lambda model, images: model(images, model.output)[model.output])
        ours, theirs = np.asarray(run(wide, reference.images)), reference.taps[model.output]
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
