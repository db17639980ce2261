"""T2T-ViT: tokens are made of tokens twice, before a plain Vision Transformer (Yuan et al. 2021, arXiv 2101.11986)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.errors import InputError, nearest
from vitjax.models.core.config import BlockConfig
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.network import Network
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.stages import Stage
from vitjax.models.core.surroundings import promoting
from vitjax.models.core.tap_site import Places
from vitjax.models.core.taps import Taps
from vitjax.models.hierarchical.pyramid import Grid, Pyramid, PyramidConfig
from vitjax.models.kernels.dense import dense, unpacked
from vitjax.models.parts.attention import HEADS, attend
from vitjax.models.parts.block import TOKENS, Block, stacked
from vitjax.models.parts.depthwise import apart
from vitjax.models.parts.factorised import kernel_attend
from vitjax.models.parts.norm import check_single, norm
from vitjax.models.parts.patches import unfold
from vitjax.models.parts.positions import sinusoids

LAYERS = ("performer", "transformer")
# Of each stage: rows and columns that a token is made of, how many from one to the next, and how many of zeros around.
UNFOLDED = ((7, 4, 2), (3, 2, 1), (3, 2, 1))
LACKING = dict.fromkeys(  # see `Network.lacking`
    (f"stages.{stage}.blocks.0.attn.{tap}" for stage in (0, 1) for tap in ("scores", "probs")),
    "the attention of this model's first two stages is a kernel's and compares no two tokens; see stages.2",
)


@dataclass(frozen=True)
class T2tConfig(PyramidConfig):
    """A T2T-ViT: two stages of a token layer each, then a stage that is a Vision Transformer.

    `token_layers` are of one head, and either a "transformer", or a "performer": attention by a kernel of so many
    random `features`. A token of the last stage is drawn as the patch of `patch_size` pixels whose upper left corner
    its pixels lie around. Images are square: the source knows no others. In the last stage patches go alone through the
    first `joins` blocks, then the class token joins (DTN); 0 for from the start.
    """

    patch_size: tuple[int, int] = (16, 16)
    widths: tuple[int, ...] = (64, 64, 384)
    depths: tuple[int, ...] = (1, 1, 14)
    heads: tuple[int, ...] = (1, 1, 6)
    mlp_widths: tuple[int, ...] = (64, 64, 1152)
    token_layers: str = "performer"
    features: int = 32
    joins: int = 0

    class_token: ClassVar[bool] = True  # in the last stage

    def __post_init__(self):
        super().__post_init__()
        if self.token_layers not in LAYERS:
            raise InputError(f"unknown token_layers {self.token_layers!r}{nearest(self.token_layers, LAYERS)}")
        if (
            self.patch_size != (16, 16)
            or self.depths[:2] != (1, 1)
            or self.heads[:2] != (1, 1)
            or len(self.depths) != 3
        ):
            raise InputError(
                "a T2T-ViT makes patches of 16x16 pixels in two stages of one layer of one head, then one more"
            )
        if not 0 <= self.joins < self.depths[2]:
            raise InputError(f"joins is {self.joins}: as many of {self.depths[2]} blocks come before the class token")
        if self.image_size[0] != self.image_size[1]:
            raise InputError(f"images of a T2T-ViT are square, not {self.image_size[0]}x{self.image_size[1]}")

    @property
    def grids(self) -> tuple[Grid, ...]:
        """(rows, columns) of the places of each stage."""
        return tuple(tuple(times * side for side in self.grid) for times in (4, 2, 1))

    @property
    def reads(self) -> tuple[int, int, int]:
        """Channels of the tokens that are unfolded for each stage."""
        return tuple(
            size**2 * width for (size, _, _), width in zip(UNFOLDED, (self.channels, *self.widths[:2]), strict=True)
        )

    def blocks(self, stage: int) -> BlockConfig:
        """What the blocks of a stage are made of."""
        return BlockConfig(
            self.widths[stage],
            self.depths[stage],
            self.heads[stage],
            self.mlp_widths[stage],
            qkv_bias=stage < 2 and self.token_layers == "performer",
            norm=self.norm,
            norm_eps=self.norm_eps,
        )


class TokenAttention(nnx.Module):
    """Attention of a token layer, which makes narrow tokens of wide ones: what it gives, and its v, to be added to.

    Args:
        config: of the layer.
        reads: channels of its tokens.
        features: of the kernel in place of the softmax; 0 for none.
        rngs: of the initialisation.
    """

    def __init__(self, config: BlockConfig, reads: int, features: int, rngs: nnx.Rngs):
        heads, size = config.heads, config.head_width
        self.qkv = dense(reads, (3, heads, size), rngs, config.qkv_bias)
        self.proj = dense((heads, size), config.width, rngs)
        if features:
            self.directions = nnx.Param(jax.random.normal(rngs.params(), (features, size)))
        self.scale, self.kernel = reads**-0.5, bool(features)

    def __call__(self, x: jax.Array, taps: Taps, execution: Execution = PLAIN) -> tuple[jax.Array, jax.Array]:
        q, k, v = (taps(name, part, HEADS) for name, part in zip("qkv", unpacked(self.qkv(x)), strict=True))
        if self.kernel:
            z = kernel_attend(q, k, v, self.directions[...])
        else:
            z = attend(q, k, v, taps, execution, scale=self.scale)
        return self.proj(taps("z", z, HEADS)), v.reshape(*x.shape[:2], -1)


class TokenStage(Stage):
    """A token layer, of tokens that are unfolded from the map before it."""

    def __init__(self, config: T2tConfig, stage: int, rngs: nnx.Rngs):
        blocks, reads = config.blocks(stage), config.reads[stage]
        features = config.features if config.token_layers == "performer" else 0
        attention = lambda rngs: TokenAttention(blocks, reads, features, rngs)
        self.blocks = nnx.List([Block(blocks, rngs, attention, reads=reads)])
        self.places, self.stage, self.before = Places(config.grids[stage]), stage, Places(config.grids[stage - 1])

    def stack(self) -> Stack:
        """The layer."""
        return Stack(self, Segment(("blocks",), 1, stacked=False))

    def enter(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The unfolded tokens."""
        return taps("embed", unfolded(x, self.before, self.stage), TOKENS) if self.stage else x


class Backbone(Stage):
    """A Vision Transformer of tokens that are unfolded and projected; its positions are sinusoids at first."""

    def __init__(self, config: T2tConfig, rngs: nnx.Rngs):
        blocks, normal = config.blocks(2), jax.nn.initializers.normal(0.02)
        positions = jnp.asarray(sinusoids(1 + config.patches, blocks.width))
        self.project = nnx.Linear(config.reads[2], blocks.width, rngs=rngs)
        self.prefix = nnx.Param(normal(rngs.params(), (1, blocks.width)))
        self.prefix_position, self.position = map(nnx.Param, jnp.split(positions, [1]))
        if config.joins:
            self.early = stacked(lambda rngs: Block(blocks, rngs, grid=config.grid), config.joins, rngs)
        else:
            how = f"let it join later (joins={max(1, blocks.depth - 2)})"
            check_single(config.norm, f"and the class token stands among them in all blocks: {how}")
        self.blocks = stacked(lambda rngs: Block(blocks, rngs), blocks.depth - config.joins, rngs)
        self.last_places = Places(config.grid, 1, True)
        self.places = Places(config.grid) if config.joins else self.last_places
        self.joins, self.depth, self.before = config.joins, blocks.depth, Places(config.grids[1])

    def stack(self) -> Stack:
        """The blocks."""
        if not self.joins:
            return Stack(self, Segment(("blocks",), self.depth))
        last = Segment(("blocks",), self.depth - self.joins, enter="join")
        return Stack(self, Segment(("early",), self.joins), last)

    def led(self, x: jax.Array) -> jax.Array:
        """Tokens after the class token with its position."""
        first = self.prefix[...] + self.prefix_position[...]
        return jnp.concatenate([jnp.broadcast_to(first, (len(x), *first.shape)), x], axis=1)

    def join(self, x: jax.Array, taps: Taps) -> tuple[jax.Array, Taps]:
        """Puts the class token before the patches, and says where tokens stand from there on."""
        return self.led(x), taps.at(self.last_places)

    def enter(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The projected tokens with positions, after the class token unless that joins later."""
        x = self.project(unfolded(x, self.before, 2)) + self.position[...]
        return taps("embed", x if self.joins else self.led(x), TOKENS)


class T2t(Pyramid):
    """A T2T-ViT whose every activation can be read and edited by name; it classifies by the class token."""

    facts = frozenset({"tokens", "attention", "class token", "global attention"})

    def __init__(self, config: T2tConfig, rngs: nnx.Rngs):
        last = config.blocks(2)
        self.stages = nnx.List([TokenStage(config, 0, rngs), TokenStage(config, 1, rngs), Backbone(config, rngs)])
        self.norm = norm(last, rngs)
        if config.classes:
            self.head = nnx.Linear(last.width, config.classes, rngs=rngs)
        self.config = config

    @property
    def lacking(self) -> Mapping[str, str]:
        """See `Network.lacking`."""
        return LACKING if self.config.token_layers == "performer" else {}

    @property
    def grid_arrays(self) -> Mapping[str, tuple[str, Grid]]:
        """See `Network.grid_arrays`; the class token's position stands apart."""
        return {"stages.2.position": ("positions", self.config.grid)}

    @promoting()
    def embed(self, images: jax.Array) -> jax.Array:
        """Unfolds normalised images: [batch, token, pixel]."""
        return unfold(images.astype(self.dtype), *UNFOLDED[0])

    embed_views = Network.embed_views

    def begin(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The tokens as the first layer reads them."""
        return taps.at(Places(self.config.grids[0]))("embed", x, TOKENS)

    def end(self, x: jax.Array, taps: Taps) -> None:
        """Norm, class token and head."""
        x = taps.at(Places(self.config.grid, 1, True))("norm", self.norm(x), TOKENS)
        x = taps("pooled", x[:, 0], "channel")
        if self.config.classes:
            taps("logits", self.head(x), "class")


def unfolded(x: jax.Array, places: Places, stage: int) -> jax.Array:
    """The tokens [batch, token, channel] that stand on a map, unfolded for the stage after it."""
    return unfold(apart(x, places)[1], *UNFOLDED[stage])
