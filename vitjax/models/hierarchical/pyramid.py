"""What hierarchical Vision Transformers share: a config of stages, patches, a norm, the mean over places, a head."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.errors import InputError
from vitjax.models.core.config import BlockConfig, Patches, check_patches
from vitjax.models.core.preprocess import Preprocess
from vitjax.models.core.stages import Hierarchical
from vitjax.models.core.surroundings import promoting
from vitjax.models.core.tap_site import LastLayer, Places
from vitjax.models.core.taps import Taps
from vitjax.models.core.vocabulary import split_tap
from vitjax.models.parts.block import TOKENS, last_layer
from vitjax.models.parts.norm import norm
from vitjax.models.parts.patches import PatchEmbedding

Grid = tuple[int, int]


@dataclass(frozen=True)
class PyramidConfig(Patches):
    """A hierarchical Vision Transformer: sizes in pixels and channels; a tuple has a value for each stage.

    `patch_size` is that of a token of the first stage; each later stage has half the rows and columns of the one before
    it, an odd one rounded up. `mlp_widths` are hidden units of the MLPs. `norm` is a key of
    `vitjax.models.parts.norm.NORMS`, `norm_eps` that of all norms, but for those of embedded patches, whose may be of
    their own: `embed_eps`.
    """

    image_size: tuple[int, int] = (224, 224)
    patch_size: tuple[int, int] = (4, 4)
    widths: tuple[int, ...] = (96, 192, 384, 768)
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (3, 6, 12, 24)
    mlp_widths: tuple[int, ...] = (384, 768, 1536, 3072)
    classes: int = 1000
    norm: str = "layer"
    norm_eps: float = 1e-5
    embed_eps: float | None = None
    preprocess: Preprocess = field(default_factory=Preprocess)

    prefix: ClassVar[int] = 0  # tokens before the patches of the first stage
    class_token: ClassVar[bool] = False

    def __post_init__(self):
        lengths = {name: len(getattr(self, name)) for name in ("widths", "depths", "heads", "mlp_widths")}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{count} {name}" for name, count in lengths.items())
            raise InputError(f"every stage has one of each, but there are {said}")
        check_patches(self.image_size, self.patch_size)
        for stage in range(len(self.widths)):
            self.blocks(stage)

    @property
    def grids(self) -> tuple[Grid, ...]:
        """(rows, columns) of the places of each stage."""
        found = [self.grid]
        for _ in self.widths[1:]:
            found.append(tuple(-(-side // 2) for side in found[-1]))
        return tuple(found)

    def blocks(self, stage: int) -> BlockConfig:
        """What the blocks of a stage are made of."""
        return BlockConfig(
            self.widths[stage],
            self.depths[stage],
            self.heads[stage],
            self.mlp_widths[stage],
            norm=self.norm,
            norm_eps=self.norm_eps,
        )

    def embedding(self, stage: int) -> BlockConfig:
        """The same, for the norm of the patches that the stage embeds."""
        return replace(self.blocks(stage), norm_eps=self.norm_eps if self.embed_eps is None else self.embed_eps)

    def places(self, stage: int) -> Places:
        """What the tokens of a stage stand on."""
        return Places(self.grids[stage])


def check_halves(config: PyramidConfig) -> None:
    """Checks that each stage's grid has exactly half the rows and columns of the one before it.

    Raises:
        InputError: an image size that stages do not halve evenly, with the nearest that they do.
    """
    for side, patch, what in zip(config.image_size, config.patch_size, ("height", "width"), strict=True):
        if side % (coarse := patch * 2 ** (len(config.widths) - 1)):
            near = max(coarse, round(side / coarse) * coarse)
            raise InputError(
                f"image {what} {side} is not divisible by {coarse}, what a token of the last stage covers"
                f" (nearest: {near})"
            )


class Pyramid(Hierarchical):
    """A hierarchical Vision Transformer that classifies by the mean over the last stage's places.

    A family gives its `stages`. The image is cut into patches, each embedded by one linear map and normed.

    Args:
        config: of its family.
        rngs: of the initialisation.
        stages: of blocks, each a `Stage` whose `places` are its tokens'.
        patch: embeds images, before their norm; default the patches, each by one linear map.
        normed: whether there is a norm after the last stage.
    """

    neurons, layers = "stages.*.blocks.*.mlp.hidden", "stages.*.blocks.*.resid_post"
    facts = frozenset({"tokens", "attention"})

    def __init__(
        self,
        config: PyramidConfig,
        rngs: nnx.Rngs,
        stages: Sequence[nnx.Module],
        patch: nnx.Module | None = None,
        normed: bool = True,
    ):
        first, last = config.blocks(0), config.blocks(len(config.widths) - 1)
        self.patch = patch or PatchEmbedding(config.patch_size, config.channels, first.width, rngs)
        self.patch_norm = norm(config.embedding(0), rngs)
        self.stages = nnx.List(stages)
        if normed:
            self.norm = norm(last, rngs)
        if config.classes:
            self.head = nnx.Linear(last.width, config.classes, rngs=rngs)
        self.config = config

    @promoting()
    def embed(self, images: jax.Array) -> jax.Array:
        """Cuts normalised images into patches and gives tokens before their norm: [batch, token, channel]."""
        return self.patch.tokens(images)

    def embed_views(self, base: jax.Array, gain: jax.Array, shift: jax.Array) -> jax.Array:
        """See `Network.embed_views`: views that differ in colour alone are cut and multiplied once."""
        mean, std = (jnp.asarray(value) for value in (self.config.preprocess.mean, self.config.preprocess.std))
        return self.patch.views(base, gain / std, (shift - mean) / std).astype(self.patch.kernel.dtype)

    def begin(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The tokens as the first block reads them."""
        return taps.at(self.config.places(0))("embed", self.patch_norm(x), TOKENS)

    def last_layer(self, tap: str) -> LastLayer | None:
        """See `Network.last_layer`: the MLP's first layer, where its tokens are read alone."""
        stage, number, _ = split_tap(tap)
        if stage is None or number is None:
            return None
        scope = f"stages.{stage}.blocks.{number}."
        return last_layer(self.stages[stage].stack().block(number), scope, tap.removeprefix(scope))

    def pool(self, x: jax.Array) -> jax.Array:
        """What the head reads of the last stage's normed tokens: their mean."""
        return x.mean(axis=1)

    def end(self, x: jax.Array, taps: Taps) -> None:
        """Norm, pooling, and head."""
        places = self.config.places(len(self.config.widths) - 1)
        self.classify(taps.at(places)("norm", self.norm(x), TOKENS), taps)

    def classify(self, x: jax.Array, taps: Taps) -> None:
        """Pooling and head, of normed tokens."""
        x = taps("pooled", self.pool(x), "channel")
        if self.config.classes:
            taps("logits", self.head(x), "class")
