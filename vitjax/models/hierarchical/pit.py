"""PiT: a Vision Transformer with pooling between its stages, plain or distilled (Heo et al. 2021, arXiv 2103.16302)."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.errors import InputError
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.stages import Stage
from vitjax.models.core.surroundings import promoting
from vitjax.models.core.tap_site import Places
from vitjax.models.core.taps import Taps
from vitjax.models.hierarchical.pyramid import Grid, Pyramid, PyramidConfig
from vitjax.models.parts.block import TOKENS, Block, stacked
from vitjax.models.parts.merging import StridedPooling
from vitjax.models.parts.norm import check_single, norm
from vitjax.models.parts.patches import PatchEmbedding


@dataclass(frozen=True)
class PitConfig(PyramidConfig):
    """A PiT: the patches of its first stage overlap, one begins every `stride` pixels (down, across).

    `grid` are the patches that do not overlap, on which maps are drawn. They are the places of the second stage, each
    centred on its patch. The first stage has twice as many less one, of which none is drawn further than a quarter of a
    patch from the centre of its pixels; a place of the third stands for two by two patches, a quarter of these to the
    lower right of that centre. A `distilled` model has a second token beside the class token, with a head of its own,
    whose logits are averaged.
    """

    patch_size: tuple[int, int] = (16, 16)
    stride: tuple[int, int] = (8, 8)
    widths: tuple[int, ...] = (64, 128, 256)
    depths: tuple[int, ...] = (2, 6, 4)
    heads: tuple[int, ...] = (2, 4, 8)
    mlp_widths: tuple[int, ...] = (256, 512, 1024)
    norm_eps: float = 1e-6
    distilled: bool = False

    def __post_init__(self):
        super().__post_init__()
        if any(2 * stride != patch for stride, patch in zip(self.stride, self.patch_size, strict=True)):
            raise InputError(f"stride is {self.stride}: PiT's is half a patch, and that is {self.patch_size}")
        for before, after in zip(self.widths, self.widths[1:], strict=False):
            if after % before:
                raise InputError(
                    f"widths are {self.widths}: pooling makes each channel one or several, {before} no {after}"
                )

    @property
    def prefix(self) -> int:
        """Tokens before the patches of every stage: class token, distillation token."""
        return 1 + self.distilled

    @property
    def class_token(self) -> bool:
        """Whether the first of these is a class token."""
        return True

    @property
    def grids(self) -> tuple[Grid, ...]:
        """(rows, columns) of the places of each stage."""
        found = [tuple(2 * side - 1 for side in self.grid)]
        for _ in self.widths[1:]:
            found.append(tuple(-(-side // 2) for side in found[-1]))
        return tuple(found)

    def places(self, stage: int) -> Places:
        """What the tokens of a stage stand on."""
        return Places(self.grids[stage], self.prefix, self.class_token)


class PitStage(Stage):
    """Plain blocks, after pooling what the stage before gives."""

    def __init__(self, config: PitConfig, stage: int, rngs: nnx.Rngs):
        blocks = config.blocks(stage)
        if stage:
            self.pool = StridedPooling(config.widths[stage - 1], blocks.width, config.places(stage - 1), rngs)
        self.blocks = stacked(lambda rngs: Block(blocks, rngs), blocks.depth, rngs)
        self.places, self.depth, self.pools = config.places(stage), blocks.depth, stage > 0

    def stack(self) -> Stack:
        """The blocks."""
        return Stack(self, Segment(("blocks",), self.depth))

    def enter(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The fewer, wider tokens."""
        return taps("embed", self.pool(x), TOKENS) if self.pools else x


class Pit(Pyramid):
    """A PiT whose every activation can be read and edited by name.

    It classifies by the class token, after a norm of that and, if it is distilled, the distillation token alone.
    """

    facts = frozenset({"tokens", "attention", "class token", "global attention", "positions"})

    def __init__(self, config: PitConfig, rngs: nnx.Rngs):
        check_single(config.norm, "among which a class token stands in all blocks of a PiT: use norm='layer'")
        normal, first, last = jax.nn.initializers.normal(0.02), config.blocks(0), config.blocks(len(config.widths) - 1)
        self.patch = PatchEmbedding(config.patch_size, config.channels, first.width, rngs, stride=config.stride)
        self.prefix = nnx.Param(normal(rngs.params(), (config.prefix, first.width)))
        self.position = nnx.Param(normal(rngs.params(), (config.grids[0][0] * config.grids[0][1], first.width)))
        self.stages = nnx.List([PitStage(config, stage, rngs) for stage in range(len(config.widths))])
        self.norm = norm(last, rngs)
        if config.classes:
            self.head = nnx.Linear(last.width, config.classes, rngs=rngs)
            if config.distilled:
                self.head_distilled = nnx.Linear(last.width, config.classes, rngs=rngs)
        self.config = config

    @property
    def grid_arrays(self) -> Mapping[str, tuple[str, Grid]]:
        """See `Network.grid_arrays`."""
        return {"position": ("fixed positions", self.config.grids[0])}

    def arrange(self, patches: jax.Array) -> jax.Array:
        """Adds positions to embedded patches and puts the prefix tokens before them: [batch, token, channel]."""
        prefix = jnp.broadcast_to(self.prefix[...], (len(patches), *self.prefix.shape))
        return jnp.concatenate([prefix, patches + self.position[...]], axis=1)

    @promoting()
    def embed(self, images: jax.Array) -> jax.Array:
        """Cuts normalised images into patches and gives tokens with positions: [batch, token, channel]."""
        return self.arrange(super().embed(images))

    def embed_views(self, base: jax.Array, gain: jax.Array, shift: jax.Array) -> jax.Array:
        """See `Network.embed_views`: views that differ in colour alone are cut and multiplied once."""
        return self.arrange(super().embed_views(base, gain, shift))

    def keep(self, embedded: jax.Array, places: jax.Array) -> jax.Array:
        """See `Network.keep`."""
        raise InputError("some of the patches cannot be left out of a PiT: its pooling reads a whole grid; use seen=1")

    def begin(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The tokens as the first block reads them."""
        return taps.at(self.config.places(0))("embed", x, TOKENS)

    def end(self, x: jax.Array, taps: Taps) -> None:
        """Norm of the tokens before the grid, and the head that each of them has."""
        x = taps("norm", self.norm(x[:, : self.config.prefix]), "output channel")
        x = taps("pooled", *((x, "output channel") if self.config.distilled else (x[:, 0], "channel")))
        if self.config.classes:
            taps("logits", self._head(x), "class")

    def _head(self, pooled: jax.Array) -> jax.Array:
        if self.config.distilled:
            return (self.head(pooled[:, 0]) + self.head_distilled(pooled[:, 1])) / 2
        return self.head(pooled)
