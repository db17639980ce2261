"""MLP-Mixer and ResMLP: tokens are mixed by what is learned of each pair of places, without attention."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.errors import InputError
from vitjax.models.core.config import BlockConfig, Patches, check_patches
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.preprocess import Preprocess
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.stages import Hierarchical, Staged
from vitjax.models.core.surroundings import promoting
from vitjax.models.core.tap_site import LastLayer, Places
from vitjax.models.core.taps import Taps
from vitjax.models.core.vocabulary import split_tap
from vitjax.models.parts.block import TOKENS, Block, last_layer, stacked
from vitjax.models.parts.mlp import gelu
from vitjax.models.parts.norm import norm
from vitjax.models.parts.patches import PatchEmbedding

UNITS = "channel unit"  # a hidden unit is a pattern of places, which every channel has
ATTENTION = ("q", "k", "v", "scores", "probs", "z", "out")


@dataclass(frozen=True)
class MixerConfig(Patches):
    """An MLP-Mixer (Tolstikhin et al. 2021, arXiv 2105.01601) or ResMLP (Touvron et al. 2021, arXiv 2105.03404).

    Tokens are mixed by an MLP with `token_width` hidden units, or by one linear map if that is 0 (ResMLP). `norm` is a
    key of `vitjax.models.parts.norm.NORMS`.
    """

    image_size: tuple[int, int] = (224, 224)
    patch_size: tuple[int, int] = (16, 16)
    width: int = 768
    depth: int = 12
    token_width: int = 384
    mlp_width: int = 3072
    classes: int = 1000
    layer_scale: bool = False
    norm: str = "layer"
    norm_eps: float = 1e-6
    preprocess: Preprocess = field(default_factory=Preprocess)

    prefix: ClassVar[int] = 0  # tokens before the patches
    class_token: ClassVar[bool] = False

    def __post_init__(self):
        check_patches(self.image_size, self.patch_size)
        if not isinstance(self.token_width, int) or self.token_width < 0:
            raise InputError(f"token_width is {self.token_width!r}, it must be a whole number, 0 for one linear map")
        _ = self.blocks

    @property
    def blocks(self) -> BlockConfig:
        """What its blocks are made of; no heads are in them."""
        return BlockConfig(
            self.width,
            self.depth,
            heads=1,
            mlp_width=self.mlp_width,
            layer_scale=self.layer_scale,
            norm=self.norm,
            norm_eps=self.norm_eps,
        )


class TokenMlp(nnx.Module):
    """An MLP over the tokens, the same for each channel, [batch, token, channel] to the same (MLP-Mixer).

    A hidden unit reads all places at once, so `pre` and `hidden` have none: they are [channel, unit], and a unit of
    them is a pattern of places in one channel, CHANNEL.UNIT.
    """

    def __init__(self, tokens: int, width: int, rngs: nnx.Rngs):
        self.fc1, self.fc2 = nnx.Linear(tokens, width, rngs=rngs), nnx.Linear(width, tokens, rngs=rngs)
        self.tokens = tokens

    def __call__(self, x: jax.Array, taps: Taps, execution: Execution = PLAIN) -> jax.Array:
        pre = taps("pre", self.fc1(_by_channel(x, self.tokens)), UNITS)
        return self.fc2(taps("hidden", gelu(pre), UNITS, before="pre")).swapaxes(1, 2)


class TokenMap(nnx.Linear):
    """A linear map over the tokens, the same for each channel, [batch, token, channel] to the same (ResMLP)."""

    def __init__(self, tokens: int, rngs: nnx.Rngs):
        super().__init__(tokens, tokens, rngs=rngs)

    def __call__(self, x: jax.Array, taps: Taps, execution: Execution = PLAIN) -> jax.Array:
        return super().__call__(_by_channel(x, self.in_features)).swapaxes(1, 2)


class Mixer(Hierarchical, Staged):
    """An MLP-Mixer or ResMLP whose every activation can be read and edited by name.

    Its taps are a Vision Transformer's, but that `tokens.pre`, `tokens.hidden` and `tokens.out`, of ResMLP the last
    alone, stand where those of attention would. Its neurons are the hidden units of the MLPs over channels, which have
    a value at each place.
    """

    neurons, layers = "blocks.*.mlp.hidden", "blocks.*.resid_post"
    facts = frozenset({"tokens", "patch filters"})
    lacking = dict.fromkeys(
        (f"attn.{name}" for name in ATTENTION),
        "this model has no attention; what mixes its tokens has the tap tokens.out, and in an MLP-Mixer tokens.hidden",
    )

    def __init__(self, config: MixerConfig, rngs: nnx.Rngs):
        blocks = config.blocks
        self.patch = PatchEmbedding(config.patch_size, config.channels, config.width, rngs)
        self.blocks = stacked(lambda rngs: _block(config, rngs), config.depth, rngs)
        self.norm = norm(blocks, rngs)
        if config.classes:
            self.head = nnx.Linear(config.width, config.classes, rngs=rngs)
        self.config, self.places = config, Places(config.grid)

    @property
    def grid_arrays(self) -> dict[str, tuple[str, tuple[int, int]]]:
        """See `Network.grid_arrays`: what mixes tokens is made for its places."""
        held = ("fc1.kernel", "fc2.kernel", "fc2.bias") if self.config.token_width else ("kernel", "bias")
        return {f"blocks.attn.{name}": ("fixed", self.config.grid) for name in held}

    @property
    def staged(self) -> Sequence[tuple[str, Staged]]:
        """The model itself."""
        return [("", self)]

    def stack(self) -> Stack:
        """All blocks."""
        return Stack(self, Segment(("blocks",), self.config.depth))

    @promoting()
    def embed(self, images: jax.Array) -> jax.Array:
        """Cuts normalised images into patches and gives tokens: [batch, token, channel]."""
        return self.patch.tokens(images)

    def embed_views(self, base: jax.Array, gain: jax.Array, shift: jax.Array) -> jax.Array:
        """See `Network.embed_views`: views that differ in colour alone are cut and multiplied once."""
        mean, std = (jnp.asarray(value) for value in (self.config.preprocess.mean, self.config.preprocess.std))
        return self.patch.views(base, gain / std, (shift - mean) / std).astype(self.patch.kernel.dtype)

    def last_layer(self, tap: str) -> LastLayer | None:
        """See `Network.last_layer`: the first layer of the MLP over channels."""
        number = split_tap(tap).block
        scope = f"blocks.{number}."
        return None if number is None else last_layer(self.stack().block(number), scope, tap.removeprefix(scope))

    def begin(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The tokens as the first block reads them."""
        return taps.at(self.places)("embed", x, TOKENS)

    def end(self, x: jax.Array, taps: Taps) -> None:
        """Norm, mean over the places, and head."""
        x = taps.at(self.places)("norm", self.norm(x), TOKENS)
        x = taps("pooled", x.mean(axis=1), "channel")
        if self.config.classes:
            taps("logits", self.head(x), "class")


def _block(config: MixerConfig, rngs: nnx.Rngs) -> Block:
    mixing = lambda rngs: (
        TokenMlp(config.patches, config.token_width, rngs) if config.token_width else TokenMap(config.patches, rngs)
    )
    return Block(config.blocks, rngs, mixing, grid=config.grid, called="tokens")


def _by_channel(x: jax.Array, tokens: int) -> jax.Array:
    """[batch, token, channel] as [batch, channel, token]."""
    if x.shape[1] != tokens:
        raise InputError("tokens cannot be dropped from this model: it mixes them by where they stand")
    return x.swapaxes(1, 2)
