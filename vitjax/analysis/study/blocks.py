"""Finds taps by block, whatever they are called: the residual stream after each, and other taps of the same block.

And says of which blocks the tokens are the same: not of all in models of stages, or where a class token joins later.
"""

from vitjax.models.core.network import Network
from vitjax.models.core.tap_site import Site
from vitjax.models.core.vocabulary import split_tap
from vitjax.units.units import matching


def after_blocks(model: Network) -> list[str]:
    """Lists the taps after each block, through all stages: the residual stream of a Vision Transformer."""
    return matching(model.layers, model.taps())


def stream(model: Network) -> Site:
    """Says where the tokens of the residual stream stand, after the last block."""
    return model.taps()[after_blocks(model)[-1]]


def last_stage(model: Network) -> list[str]:
    """Lists the taps after the blocks whose patches are those of the last one: all blocks of a plain ViT."""
    sites = model.taps()
    return [tap for tap in after_blocks(model) if sites[tap].grid == stream(model).grid]


def same_tokens(model: Network) -> bool:
    """Whether the same tokens run through all blocks."""
    sites = model.taps()
    return len({(sites[tap].grid, sites[tap].prefix) for tap in after_blocks(model)}) == 1


def beside(tap: str, name: str) -> str:
    """Names another tap of the same block: of `blocks.3.mlp.hidden`, "attn.probs" is `blocks.3.attn.probs`."""
    return tap.removesuffix(split_tap(tap).name) + name


def class_attends(model: Network) -> bool:
    """Whether a class token attends to every patch of the model's config in the last block."""
    if not getattr(model.config, "class_token", False):
        return False
    probs = beside(after_blocks(model)[-1], "attn.probs")
    return stream(model).grid == model.config.grid and probs in model.taps()
