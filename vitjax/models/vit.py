"""The plain Vision Transformer (ViT, DeiT, CLIP, SigLIP, DINO, MAE, BEiT, EVA-02): images in, taps out."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.models.core.config import ViTConfig
from vitjax.models.core.execution import Execution
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import promoting
from vitjax.models.core.taps import Taps, through
from vitjax.models.parts.layers import AttentionPool, Block, layer_norm, nth, stack
from vitjax.models.parts.positions import turns

# What the backward pass keeps of a block; it computes the cheap rest again, at less time than writing it down takes.
KEPT = ("attn.q", "attn.k", "attn.v", "resid_mid", "mlp.pre")


class ViT(Network):
    """A Vision Transformer whose every activation can be read and edited by name.

    `blocks` is one `Block` whose parameters carry a leading depth axis. Architecture: Dosovitskiy et al. 2021
    (arXiv 2010.11929).
    """

    neurons, layers = "blocks.*.mlp.hidden", "blocks.*.resid_post"

    def __init__(self, config: ViTConfig, rngs: nnx.Rngs):
        height, width = config.patch_size
        normal = jax.nn.initializers.normal(0.02)
        self.patch = nnx.Linear(height * width * config.channels, config.width, use_bias=config.patch_bias, rngs=rngs)
        self.prefix = nnx.Param(normal(rngs.params(), (config.prefix, config.width)))
        self.position = nnx.Param(normal(rngs.params(), (config.patches, config.width)))
        if config.pre_norm:
            self.pre_norm = layer_norm(config, rngs)
        self.blocks = stack(config, rngs)
        if config.final_norm != "none":
            self.norm = layer_norm(config, rngs)
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

    @property
    def output(self) -> str:
        """The last tap: "logits", "embedding" for CLIP's projection, or "pooled" for a model with neither."""
        return "logits" if self.config.classes else "embedding" if self.config.projection else "pooled"

    def block(self, i: int | jax.Array) -> Block:
        """The i-th block alone."""
        return nth(self.blocks, i)

    def cut(self, images: jax.Array) -> jax.Array:
        """Cuts images into patches, row by row: [batch, patch, height, width, color]."""
        rows, columns = self.config.grid
        height, width = self.config.patch_size
        pieces = images.reshape(-1, rows, height, columns, width, self.config.channels).swapaxes(2, 3)
        return pieces.reshape(-1, rows * columns, *pieces.shape[3:])

    def arrange(self, patches: jax.Array) -> jax.Array:
        """Adds positions to embedded patches and puts the prefix tokens before them: [batch, token, channel]."""
        patches = patches + self.position[...]
        prefix = jnp.broadcast_to(self.prefix[...], (len(patches), *self.prefix.shape))
        return jnp.concatenate([prefix, patches], axis=1)

    @promoting()
    def embed(self, images: jax.Array) -> jax.Array:
        """Cuts normalised images into patches and gives tokens with positions: [batch, token, channel]."""
        pieces = self.cut(images.astype(self.position.dtype))
        return self.arrange(self.patch(pieces.reshape(*pieces.shape[:2], -1)))

    def _run(self, x: jax.Array, taps: Taps, execution: Execution) -> None:
        x = taps("embed", self.pre_norm(x) if self.config.pre_norm else x)
        x = through(partial(self._block, execution=execution), x, taps, self.config.depth)
        if taps.past(self.config.depth):
            x = taps("norm", self.norm(x) if self.config.final_norm == "tokens" else x)
            x = taps("pooled", self._pool(x))
            if self.config.projection:
                taps("embedding", self.projection(x))
            if self.config.classes:
                taps("logits", self._head(x))

    def _block(self, i: int | jax.Array, x: jax.Array, taps: Taps, execution: Execution) -> jax.Array:
        block, by = self.block(i), turns(self.config)
        if taps.prefix:
            return block(x, taps, by, execution)
        kept = jax.checkpoint_policies.save_only_these_names(*(() if execution.remat else KEPT))
        run = lambda block, x: block(x, Taps(), by, execution)
        return jax.checkpoint(run, policy=kept, prevent_cse=False)(block, x)

    def _pool(self, x: jax.Array) -> jax.Array:
        if self.config.distilled:
            return x[:, :2]
        patches = x if self.config.pool_prefix else x[:, self.config.prefix :]
        pools: dict[str, Callable[[], jax.Array]] = {
            "token": lambda: x[:, 0],
            "mean": lambda: patches.mean(axis=1),
            "attention": lambda: self.pool(patches),
            "token+mean": lambda: jnp.concatenate([x[:, 0], patches.mean(axis=1)], axis=-1),
        }
        pooled = pools[self.config.pool]()
        pooled = self.norm(pooled) if self.config.final_norm == "pooled" else pooled
        return jnp.tanh(self.pre_logits(pooled)) if self.config.pre_logits else pooled

    def _head(self, pooled: jax.Array) -> jax.Array:
        if self.config.distilled:  # DeiT averages the two classifiers at inference
            return (self.head(pooled[:, 0]) + self.head_distilled(pooled[:, 1])) / 2
        return self.head(pooled)
