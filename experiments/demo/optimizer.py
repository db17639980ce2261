"""The optimizer of a training: Muon for the matrices of the blocks, AdamW for all else."""

import jax
import optax
from optax.contrib import MuonDimensionNumbers, muon

from experiments.demo.settings import Training

# Which axes of a block's kernels are summed and which are not; the first is the block's number. q, k, v are apart.
MATRICES = {".qkv.": ((1,), (3, 4)), ".proj.": ((1, 2), (3,)), ".fc": ((1,), (2,))}


def optimizer(config: Training) -> optax.GradientTransformation:
    """Muon (Jordan et al. 2024) and AdamW; the rate rises, stays, and falls in a line to zero (arXiv 2405.18392).

    A cosine would leave next to nothing of it for the steps that see all tokens, at the end. What is learned before it
    falls does not depend on how many steps there are: until then a run can be resumed with another number of them.
    """

    def matrices(tree: dict) -> dict:
        def axes(path: tuple, _) -> MuonDimensionNumbers | None:
            name = jax.tree_util.keystr(path)
            found = [
                axes for part, axes in MATRICES.items() if part in name and ".blocks." in name and "kernel" in name
            ]
            return MuonDimensionNumbers(*found[0]) if found else None

        return jax.tree_util.tree_map_with_path(axes, tree)

    rate, fall = config.learning_rate, int(config.fall * config.steps)
    parts = [optax.linear_schedule(0, rate, config.warmup), optax.constant_schedule(rate)]
    parts, ends = [*parts, optax.linear_schedule(rate, 0, fall)], [config.warmup, config.steps - fall]
    schedule = optax.join_schedules(parts, ends)
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        muon(
            schedule,
            weight_decay=config.weight_decay,
            adam_b2=0.98,
            consistent_rms=0.2,
            muon_weight_dimension_numbers=matrices,
        ),
    )
