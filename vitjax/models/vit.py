"""The plain Vision Transformer: ViT, DeiT, CLIP, SigLIP, DINO, MAE, BEiT, EVA-02."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.models.core.config import ViTConfig
from vitjax.models.core.execution import Execution
from vitjax.models.core.network import FACTS, Kept
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.stages import Hierarchical, Staged
from vitjax.models.core.surroundings import promoting
from vitjax.models.core.tap_site import LastLayer, Places
from vitjax.models.core.taps import Taps
from vitjax.models.core.vocabulary import split_tap
from vitjax.models.parts.attention import Attention
from vitjax.models.parts.block import TOKENS, Block, last_layer, stacked
from vitjax.models.parts.norm import across_tokens, check_single, norm
from vitjax.models.parts.patches import PatchEmbedding
from vitjax.models.parts.pool import AttentionPool
from vitjax.models.parts.positions import RelativeBias, RotaryTurns


class ViT(Hierarchical, Staged):
    """A Vision Transformer whose every activation can be read and edited by name.

    It is one stage, whose names stand alone: `blocks` is one `Block` whose parameters carry a leading depth axis.
    Architecture: Dosovitskiy et al. 2021 (arXiv 2010.11929).
    """

    neurons, layers = "blocks.*.mlp.hidden", "blocks.*.resid_post"

    def __init__(self, config: ViTConfig, rngs: nnx.Rngs):
        if config.prefix and not config.alone:
            how = f"let them join later (joins={max(1, config.depth - 2)}), or leave them out"
            check_single(config.norm, f"and the class token or others stand among them in all blocks: {how}")
        normal = jax.nn.initializers.normal(0.02)
        self.patch = PatchEmbedding(config.patch_size, config.channels, config.width, rngs, config.patch_bias)
        self.prefix = nnx.Param(normal(rngs.params(), (config.prefix, config.width)))
        self.position = nnx.Param(normal(rngs.params(), (config.patches, config.width)))
        if config.pre_norm:
            self.pre_norm = norm(config, rngs)
        self.make_blocks(config, rngs)
        if config.final_norm != "none":
            self.norm = norm(config, rngs)
        if config.pool == "attention":
            self.pool = AttentionPool(config, rngs)
        if config.pre_logits:
            self.pre_logits = nnx.Linear(config.width, config.pre_logits, rngs=rngs)
        if config.projection:
            self.projection = nnx.Linear(config.pooled_width, config.projection, use_bias=False, rngs=rngs)
        if config.classes:
            self.head = nnx.Linear(config.pooled_width, config.classes, rngs=rngs)
            if config.distilled:
                self.head_distilled = nnx.Linear(config.width, config.classes, rngs=rngs)
        self.config = config

    def make_blocks(self, config: ViTConfig, rngs: nnx.Rngs) -> None:
        """Makes the arrays of the blocks."""
        if config.joins:
            self.early = stacked(lambda rngs: block(config, rngs, alone=True), config.joins, rngs)
        self.blocks = stacked(lambda rngs: block(config, rngs), config.depth - config.joins, rngs)

    @property
    def output(self) -> str:
        """The last tap: "logits", "embedding" for CLIP's projection, or "pooled" for a model with neither."""
        return "logits" if self.config.classes else "embedding" if self.config.projection else "pooled"

    @property
    def facts(self) -> frozenset[str]:
        """See `vitjax.models.core.network.FACTS`."""
        return FACTS if self.config.class_token else FACTS - {"class token"}

    @property
    def grid_arrays(self) -> dict[str, tuple[str, tuple[int, int]]]:
        """See `Network.grid_arrays`."""
        held = {"position": "positions"}
        if self.config.relative_bias:
            held["blocks.attn.bias.distances"] = "distances"
        return {name: (what, self.config.grid) for name, what in held.items()}

    @property
    def staged(self) -> Sequence[tuple[str, Staged]]:
        """The model itself."""
        return [("", self)]

    @property
    def places(self) -> Places:
        """The patches, after the prefix tokens unless these join later."""
        return Places(self.config.grid) if self.config.alone else self.last_places

    @property
    def last_places(self) -> Places:
        """Those that tokens stand on after the last block."""
        return Places(self.config.grid, self.config.prefix, self.config.class_token)

    def stack(self) -> Stack:
        """All blocks."""
        early, depth = self.config.joins, self.config.depth
        if not early:
            return Stack(self, Segment(("blocks",), depth), call=_run)
        segments = Segment(("early",), early), Segment(("blocks",), depth - early, enter="join")
        return Stack(self, *segments, call=_run)

    def block(self, i: int | jax.Array) -> Block:
        """The i-th block alone."""
        return self.stack().block(i)

    def cut(self, images: jax.Array) -> jax.Array:
        """Cuts images into patches, row by row: [batch, patch, height, width, color]."""
        return self.patch.cut(images)

    def arrange(self, patches: jax.Array, places: jax.Array | None = None) -> jax.Array:
        """Adds positions to embedded patches and puts the prefix tokens before them, unless these join later.

        Args:
            patches: [batch, patch, channel].
            places: where each stands, [patch]; default all of them, as they come.

        Returns:
            [batch, token, channel].
        """
        patches = patches + (self.position[...] if places is None else self.position[...][places])
        return patches if self.config.alone else self.led(patches)

    def led(self, patches: jax.Array) -> jax.Array:
        """Puts the prefix tokens before patches: [batch, token, channel]."""
        prefix = jnp.broadcast_to(self.prefix[...], (len(patches), *self.prefix.shape))
        return jnp.concatenate([prefix, patches], axis=1)

    def join(self, x: jax.Array | Kept, taps: Taps) -> tuple[jax.Array, Taps]:
        """Puts the prefix tokens before the patches, and says where tokens stand from there on."""
        return self.led(_tokens(x)), taps.at(self.last_places)

    @promoting()
    def embed(self, images: jax.Array) -> jax.Array:
        """Cuts normalised images into patches and gives tokens with positions: [batch, token, channel]."""
        return self.arrange(self.patch.tokens(images))

    def embed_views(self, base: jax.Array, gain: jax.Array, shift: jax.Array) -> jax.Array:
        """See `Network.embed_views`: views that differ in colour alone are cut and multiplied once."""
        mean, std = (jnp.asarray(value) for value in (self.config.preprocess.mean, self.config.preprocess.std))
        patches = self.patch.views(base, gain / std, (shift - mean) / std)
        return self.arrange(patches.astype(self.patch.kernel.dtype))

    def keep(self, embedded: jax.Array, places: jax.Array) -> jax.Array | Kept:
        """See `Network.keep`: the prefix tokens, and the patch tokens at `places`."""
        prefix = self.places.prefix
        patches = jnp.take_along_axis(embedded, prefix + places[..., None], axis=1)
        return self.standing(jnp.concatenate([embedded[:, :prefix], patches], axis=1), places)

    def standing(self, x: jax.Array, places: jax.Array) -> jax.Array | Kept:
        """Tokens with where they stand, for blocks that know them by it; see `Kept`."""
        return Kept(x, places) if across_tokens(self.config.norm) else x

    def last_layer(self, tap: str) -> LastLayer | None:
        """See `Network.last_layer`: q, k and v where nothing is done to them, and the MLP's first layer."""
        _, number, _ = split_tap(tap)
        if number is None:
            return None
        scope = f"blocks.{number}."
        return last_layer(self.block(number), scope, tap.removeprefix(scope))

    def begin(self, x: jax.Array | Kept, taps: Taps) -> jax.Array | Kept:
        """The tokens as the first block reads them."""
        tokens = _tokens(x)
        found = taps.at(self.places)("embed", self.pre_norm(tokens) if self.config.pre_norm else tokens, TOKENS)
        return x._replace(tokens=found) if isinstance(x, Kept) else found

    def end(self, x: jax.Array | Kept, taps: Taps) -> None:
        """Norm, pooling, projection and head."""
        x, taps = _tokens(x), taps.at(self.last_places)
        x = taps("norm", self.norm(x) if self.config.final_norm == "tokens" else x, TOKENS)
        x = taps("pooled", self._pool(x, taps), "output channel" if self.config.distilled else "channel")
        if self.config.projection:
            taps("embedding", self.projection(x), "channel")
        if self.config.classes:
            taps("logits", self._head(x), "class")

    def _pool(self, x: jax.Array, taps: Taps) -> jax.Array:
        if self.config.distilled:
            return x[:, :2]
        whole = self.config.pool_prefix
        patches = x if whole else x[:, self.config.prefix :]
        among = taps.scope("pool").at(self.last_places if whole else Places(self.config.grid))
        pools: dict[str, Callable[[], jax.Array]] = {
            "token": lambda: x[:, 0],
            "mean": lambda: patches.mean(axis=1),
            "attention": lambda: self.pool(patches, among),
            "token+mean": lambda: jnp.concatenate([x[:, 0], patches.mean(axis=1)], axis=-1),
        }
        pooled = pools[self.config.pool]()
        pooled = self.norm(pooled) if self.config.final_norm == "pooled" else pooled
        return jnp.tanh(self.pre_logits(pooled)) if self.config.pre_logits else pooled

    def _head(self, pooled: jax.Array) -> jax.Array:
        if self.config.distilled:  # DeiT averages the two classifiers at inference
            return (self.head(pooled[:, 0]) + self.head_distilled(pooled[:, 1])) / 2
        return self.head(pooled)


def block(config: ViTConfig, rngs: nnx.Rngs, alone: bool = False) -> Block:
    """Makes one block, of all tokens or of patches alone."""
    prefix = 0 if alone else config.prefix
    bias = lambda: RelativeBias(config.grid, config.heads, prefix) if config.relative_bias else None
    turns = config.rotary and RotaryTurns(config.rotary, config.grid, config.head_width, prefix)
    attention = lambda rngs: Attention(config, rngs, bias(), turns)
    return Block(config, rngs, attn=attention, grid=None if prefix else config.grid)


def _run(block: Block, x: jax.Array | Kept, taps: Taps, execution: Execution) -> jax.Array | Kept:
    if isinstance(x, Kept):
        return x._replace(tokens=block(x.tokens, taps, execution, places=x.places))
    return block(x, taps, execution)


def _tokens(x: jax.Array | Kept) -> jax.Array:
    return x.tokens if isinstance(x, Kept) else x
