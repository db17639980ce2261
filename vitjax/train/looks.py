"""Looks at what is learned while it is: pictures into the run's folder, accuracy into its curve."""

from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vitjax.models.core.surroundings import key
from vitjax.optimize.results.sheets import contact_sheet
from vitjax.train.loop.mesh import everywhere
from vitjax.train.loop.step import State, shown
from vitjax.train.task import Learned
from vitjax.train.training import Training

SHOWN = 8  # images whose pictures are shown
SAMPLES = "samples"


def here(learned: Learned, devices: Mesh) -> Learned:
    """What is learned, all of it on this host's first device."""
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), everywhere(learned, devices))


def look(
    training: Training, state: State, batch: Mapping[str, np.ndarray], devices: Mesh, folder: Path, last: bool
) -> Mapping[str, float]:
    """Writes pictures of what is learned, if the task has any, and measures it; only the first host does.

    Args:
        training: whose task says what there is to see.
        state: as it is after a step.
        batch: this host's part of the batch of that step.
        devices: where the state lies.
        folder: of the run.
        last: whether it was the last step, after which the result is measured anyway.

    Returns:
        What was measured.
    """
    learned = here(state.result, devices)
    if jax.process_index():
        return {}
    some = {name: jnp.asarray(part[:SHOWN]) for name, part in batch.items()}
    pictures = training.task.samples(learned, shown(learned, some), key(training.settings.seed))
    if pictures is not None:
        (folder / SAMPLES).mkdir(exist_ok=True)
        sheet = contact_sheet(pictures, [""] * len(pictures), SHOWN)
        sheet.save(folder / SAMPLES / f"{int(state.step):07}.webp", quality=80)
    if last or training.measure is None:
        return {}
    learned.model.class_names = training.class_names
    return training.measure(learned.model)
