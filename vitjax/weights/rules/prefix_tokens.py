"""The class, distillation and register tokens of a source in, the model's `prefix` and `position` arrays out.

Sources keep each kind of token and one table of positions, whose first rows may belong to the tokens before the
patches. The model keeps the sums, so a table of rules fills `tokens.*` and `fold` makes the model's arrays of them.
"""

from collections.abc import Mapping

import numpy as np

from vitjax.models.core.config import ViTConfig


def unfolded(shapes: Mapping[str, tuple[int, ...]], config: ViTConfig, covered: int) -> dict[str, tuple[int, ...]]:
    """The model's shapes with `prefix` and `position` replaced by the tokens as a source keeps them.

    Args:
        shapes: {dotted name: shape} of the model.
        config: for the image size of the source.
        covered: how many tokens before the patches have a row in the source's position table.
    """
    kinds = {"class": int(config.class_token), "distill": int(config.distilled), "registers": config.registers}
    return {name: shape for name, shape in shapes.items() if name not in ("prefix", "position")} | {
        **{f"tokens.{kind}": (count, config.width) for kind, count in kinds.items() if count},
        "tokens.position": (covered + config.patches, config.width),
    }


def fold(arrays: Mapping[str, np.ndarray], config: ViTConfig) -> dict[str, np.ndarray]:
    """Adds the positions of the tokens before the patches to them.

    Args:
        arrays: with the names and shapes of `unfolded`.
        config: for the image size of the source.

    Returns:
        The model's arrays, with `prefix` [token, channel] and `position` [patch, channel].
    """
    model = {name: array for name, array in arrays.items() if not name.startswith("tokens.")}
    positions = arrays["tokens.position"]
    kinds = [arrays[name] for kind in ("class", "distill", "registers") if (name := f"tokens.{kind}") in arrays]
    prefix = np.concatenate([*kinds, np.empty((0, config.width), positions.dtype)])
    covered = len(positions) - config.patches
    prefix[:covered] += positions[:covered]
    return {**model, "prefix": prefix, "position": positions[covered:]}
