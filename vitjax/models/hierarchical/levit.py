"""LeViT: convolutions, then attention without norms, which also makes the tokens fewer (Graham et al. 2021).

arXiv 2104.01136. Its batch norms are folded into the layers before them, or into the head after one: what they do at
inference is an affine map of each channel. Where a config names another norm than LayerNorm, which LeViT has none of,
that norm stands before attention and MLP of each block in their place, as in other Transformers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.errors import InputError
from vitjax.models.core.config import BlockConfig
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.stages import Hierarchical, Stage
from vitjax.models.core.surroundings import promoting
from vitjax.models.core.tap_site import Places
from vitjax.models.core.taps import Taps
from vitjax.models.hierarchical.pyramid import Grid, PyramidConfig
from vitjax.models.kernels.dense import dense
from vitjax.models.parts.attention import HEADS, attend
from vitjax.models.parts.block import TOKENS, Block, stacked
from vitjax.models.parts.merging import AttendedMerging
from vitjax.models.parts.mlp import ACTIVATIONS
from vitjax.models.parts.positions import UnsignedBias

LACKING = {"norm": "its norms are part of the layers beside them; read resid_post or pooled"}  # see `Network.lacking`


@dataclass(frozen=True)
class LevitBlocks(BlockConfig):
    """Blocks whose heads have `head_width` channels of q and k, however wide the tokens, and twice as many of v."""

    head_width: int = 16

    def _split_into(self, heads: int) -> None:
        """The width need not split into the heads."""

    @property
    def norm_heads(self) -> int:
        """Heads of a norm that has statistics for each: as many of attention's as the width splits into."""
        return max(heads for heads in range(1, self.heads + 1) if self.width % heads == 0)


@dataclass(frozen=True)
class LevitConfig(PyramidConfig):
    """A LeViT: `patch_size` is what its convolutions make one token of, each halving rows and columns.

    `key_width` are the channels of q and k of every head. A `distilled` model has two heads, whose logits are averaged.
    """

    patch_size: tuple[int, int] = (16, 16)
    widths: tuple[int, ...] = (128, 256, 384)
    depths: tuple[int, ...] = (2, 3, 4)
    heads: tuple[int, ...] = (4, 6, 8)
    mlp_widths: tuple[int, ...] = (256, 512, 768)
    key_width: int = 16
    activation: str = "hard_swish"
    distilled: bool = True

    def __post_init__(self):
        if self.patch_size not in ((8, 8), (16, 16)):
            raise InputError(f"patch_size is {self.patch_size}: LeViT's convolutions make tokens of 8 or 16 pixels")
        if self.widths[0] % (self.patch_size[0] // 2):
            raise InputError(f"width {self.widths[0]} cannot be halved for each of the convolutions before the last")
        super().__post_init__()

    @property
    def stem(self) -> tuple[int, ...]:
        """Channels of what each convolution gives."""
        count = self.patch_size[0].bit_length() - 1
        return tuple(self.widths[0] >> (count - 1 - i) for i in range(count))

    def blocks(self, stage: int) -> LevitBlocks:
        """What the blocks of a stage are made of."""
        return LevitBlocks(
            self.widths[stage],
            self.depths[stage],
            self.heads[stage],
            self.mlp_widths[stage],
            activation=self.activation,
            norm=self.norm,
            norm_eps=self.norm_eps,
            normed="not" if self.norm == "layer" else "before",
            head_width=self.key_width,
        )


class LevitAttention(nnx.Module):
    """Attention with a bias of unsigned distances and an activation function before its output projection.

    `mixed` is what the probabilities make of v, `z` what the projection reads: `mixed` after the activation function.
    Of the layer that gives q, k and v, each head has its own [q, k, v].

    Args:
        config: of the blocks.
        grid: (rows, columns) of the tokens.
        rngs: of the initialisation.
    """

    def __init__(self, config: LevitBlocks, grid: Grid, rngs: nnx.Rngs):
        heads, size = config.heads, config.head_width
        self.qkv = dense(config.width, (heads, 4 * size), rngs)
        self.proj = dense((heads, 2 * size), config.width, rngs)
        self.bias = UnsignedBias(grid, heads)
        self.size, self.activation = size, config.activation

    def __call__(self, x: jax.Array, taps: Taps, execution: Execution = PLAIN) -> jax.Array:
        parts = jnp.split(self.qkv(x), [self.size, 2 * self.size], axis=-1)
        q, k, v = (taps(name, part, HEADS) for name, part in zip("qkv", parts, strict=True))
        mixed = taps("mixed", attend(q, k, v, taps, execution, lambda: self.bias(x.shape[1])), HEADS)
        return self.proj(taps("z", ACTIVATIONS[self.activation](mixed), HEADS))


class LevitStage(Stage):
    """Blocks of one grid, after attention to fewer tokens than the stage before has."""

    def __init__(self, config: LevitConfig, stage: int, rngs: nnx.Rngs):
        blocks, grid = config.blocks(stage), config.grids[stage]
        if stage:
            before, mlp = config.blocks(stage - 1), replace(blocks, mlp_width=2 * blocks.width)
            heads = before.width // config.key_width
            self.down = AttendedMerging(before, mlp, heads, config.key_width, config.grids[stage - 1], rngs)
        block = lambda rngs: Block(blocks, rngs, lambda rngs: LevitAttention(blocks, grid, rngs), grid=grid)
        self.blocks = stacked(block, blocks.depth, rngs)
        self.places, self.depth, self.merges = Places(grid), blocks.depth, stage > 0

    def stack(self) -> Stack:
        """The blocks."""
        return Stack(self, Segment(("blocks",), self.depth))

    def enter(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The fewer tokens."""
        return taps("embed", self.down(x, taps.scope("down")), TOKENS) if self.merges else x


class Levit(Hierarchical):
    """A LeViT whose every activation can be read and edited by name."""

    neurons, layers = "stages.*.blocks.*.mlp.hidden", "stages.*.blocks.*.resid_post"
    facts = frozenset({"tokens", "attention"})
    lacking = LACKING

    def __init__(self, config: LevitConfig, rngs: nnx.Rngs):
        steps = zip((config.channels, *config.stem), config.stem, strict=False)
        self.stem = nnx.List([nnx.Conv(*step, (3, 3), strides=2, padding=1, rngs=rngs) for step in steps])
        self.stages = nnx.List([LevitStage(config, stage, rngs) for stage in range(len(config.widths))])
        if config.classes:
            self.head = nnx.Linear(config.widths[-1], config.classes, rngs=rngs)
            if config.distilled:
                self.head_distilled = nnx.Linear(config.widths[-1], config.classes, rngs=rngs)
        self.config = config

    @property
    def grid_arrays(self) -> Mapping[str, tuple[str, Grid]]:
        """See `Network.grid_arrays`: every attention has a table of distances on the grid of its keys."""
        grids = self.config.grids
        held = {f"stages.{stage}.blocks.attn.bias.distances": ("fixed", grid) for stage, grid in enumerate(grids)}
        down = {
            f"stages.{stage + 1}.down.attn.bias.distances": ("fixed", grid) for stage, grid in enumerate(grids[:-1])
        }
        return held | down

    @promoting()
    def embed(self, images: jax.Array) -> jax.Array:
        """The convolutions of normalised images, with an activation function between them: [batch, token, channel]."""
        first, *others = self.stem
        x = first(images.astype(first.kernel.dtype))
        for conv in others:
            x = conv(ACTIVATIONS[self.config.activation](x))
        return x.reshape(len(x), prod(x.shape[1:3]), -1)

    def begin(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The tokens as the first block reads them."""
        return taps.at(Places(self.config.grids[0]))("embed", x, TOKENS)

    def end(self, x: jax.Array, taps: Taps) -> None:
        """The mean over the places, and the heads."""
        x = taps("pooled", x.mean(axis=1), "channel")
        if self.config.classes:
            logits = self.head(x)
            taps("logits", (logits + self.head_distilled(x)) / 2 if self.config.distilled else logits, "class")
