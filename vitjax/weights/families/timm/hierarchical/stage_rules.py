"""Rules that the tables of hierarchical families share: the parts of a Transformer block by timm's names."""

from vitjax.weights.rules.layouts import Rule, linear, merge, norm


def block_rules(theirs: str, ours: str, attention: str = "attn", *, called: str = "attn") -> list[Rule]:
    """Lists the rules of pre- or post-norm blocks with one map for q, k and v.

    Args:
        theirs: what a block's names begin with, e.g. "layers.0.blocks.{i}".
        ours: the stack, e.g. "stages.0.blocks".
        attention: where the attention itself is in a block of ours, e.g. "attn.attn" within windows.
        called: the attention in a block of theirs.
    """
    return [
        *norm(f"{theirs}.norm1", f"{ours}.norm1"),
        *linear(f"{theirs}.{called}.qkv", f"{ours}.{attention}.qkv"),
        *merge(f"{theirs}.{called}.proj", f"{ours}.{attention}.proj"),
        *norm(f"{theirs}.norm2", f"{ours}.norm2"),
        *mlp_rules(f"{theirs}.mlp", f"{ours}.mlp"),
    ]


def mlp_rules(theirs: str, ours: str) -> list[Rule]:
    """Lists the rules of an MLP."""
    return [*linear(f"{theirs}.fc1", f"{ours}.fc1"), *linear(f"{theirs}.fc2", f"{ours}.fc2")]
