"""The optimizer of a training: Muon for the matrices of the blocks, AdamW for all else."""

import jax
import optax
from optax.contrib import MuonDimensionNumbers, muon

from experiments.demo.settings import Training

# Which axes of a block's kernels are summed and which are not; the first is the block's number. q, k, v are apart.
MATRICES = {".qkv.": ((1,), (3, 4)), ".proj.": ((1, 2), (3,)), ".fc": ((1,), (2,))}


def optimizer(config: Training) -> optax.GradientTransformation:
    """Muon (Jordan et al. 2024) and AdamW; the rate rises in a line, and falls in one to zero.

    A cosine would leave next to nothing of it for the steps that see all tokens, at the end.
    """

    def matrices(tree: dict) -> dict:
        def axes(path: tuple, _) -> MuonDimensionNumbers | None:
            name = jax.tree_util.keystr(path)
            found = [
                axes for part, axes in MATRICES.items() if part in name and ".blocks." in name and "kernel" in name
            ]
            return MuonDimensionNumbers(*found[0]) if found else None

        return jax.tree_util.tree_map_with_path(axes, tree)

    warmup, rate = int(config.warmup * config.steps), config.learning_rate
    rise, fall = optax.linear_schedule(0, rate, warmup), optax.linear_schedule(rate, 0, config.steps - warmup)
    schedule = optax.join_schedules([rise, fall], [warmup])
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
