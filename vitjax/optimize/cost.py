"""A recipe and a tap in, the operations of the loop's products out: what is computed, not what could be."""

from vitjax.models.core.config import ViTConfig
from vitjax.models.core.vocabulary import before_activation
from vitjax.models.flops import convnet_flops, forward_flops, gradient_flops
from vitjax.models.registry import Config
from vitjax.optimize.columns import source_of
from vitjax.optimize.embedding import count_seen
from vitjax.optimize.recipes import Recipe


def step_flops(config: Config, tap: str, recipe: Recipe) -> float:
    """Operations of one step of one picture for a unit of `tap`; operations that remat does again do not count."""
    read = before_activation(tap) if recipe.before_activation else tap
    if not isinstance(config, ViTConfig):
        return recipe.views * convnet_flops(config, read)
    source, tokens = source_of(config, read, units=True), config.prefix + count_seen(recipe, config)
    pieces = [pieces(config, source, tokens) for pieces in (forward_flops, gradient_flops)]
    patch = sum(piece.pop("patch") for piece in pieces)
    return recipe.views * sum(sum(piece.values()) for piece in pieces) + patch * (1 if recipe.shared else recipe.views)


def picture_flops(config: Config, tap: str, recipe: Recipe) -> float:
    """Operations of one finished picture."""
    return recipe.steps * step_flops(config, tap, recipe)
