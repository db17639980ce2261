"""Makes a model's `prefix` and `position` arrays of the class, distillation and register tokens of a source, and back.

Sources keep each kind of token and one table of positions, whose first rows may belong to the tokens before the
patches. The model keeps the sums, so a table of rules fills `tokens.*` and `fold` makes the model's arrays of them.
"""

from collections.abc import Mapping

import numpy as np

from vitjax.models.core.config import ViTConfig

KINDS = ("class", "distill", "registers")  # in the order in which they stand before the patches


def unfolded(shapes: Mapping[str, tuple[int, ...]], config: ViTConfig, covered: int) -> dict[str, tuple[int, ...]]:
    """Replaces `prefix` and `position` among the model's shapes by the tokens as a source keeps them.

    Args:
        shapes: {dotted name: shape} of the model.
        config: for the image size of the source.
        covered: how many tokens before the patches have a row in the source's position table.
    """
    return {name: shape for name, shape in shapes.items() if name not in ("prefix", "position")} | {
        **{f"tokens.{kind}": (count, config.width) for kind, count in _counts(config).items() if count},
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
    kinds = [arrays[name] for kind in KINDS if (name := f"tokens.{kind}") in arrays]
    prefix = np.concatenate([*kinds, np.empty((0, config.width), positions.dtype)])
    covered = len(positions) - config.patches
    prefix[:covered] += positions[:covered]
    return {**model, "prefix": prefix, "position": positions[covered:]}


def unfold(arrays: Mapping[str, np.ndarray], config: ViTConfig) -> dict[str, np.ndarray]:
    """Splits the model's `prefix` into the tokens as a source keeps them, with positions of zero, as sums were kept."""
    kept = {name: array for name, array in arrays.items() if name not in ("prefix", "position")}
    ends = np.cumsum(list(_counts(config).values()))
    tokens = zip(KINDS, np.split(arrays["prefix"], ends[:-1]), strict=True)
    position = np.concatenate([np.zeros_like(arrays["prefix"]), arrays["position"]])
    return {**kept, **{f"tokens.{kind}": token for kind, token in tokens if len(token)}, "tokens.position": position}


def _counts(config: ViTConfig) -> dict[str, int]:
    return dict(zip(KINDS, (int(config.class_token), int(config.distilled), config.registers), strict=True))
