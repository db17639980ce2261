"""The text tower of CLIP and SigLIP, with taps, the last of them in the image tower's embedding space."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Int

from vitjax.errors import InputError
from vitjax.models.core.config import TextConfig
from vitjax.models.core.execution import PLAIN, platform
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.surroundings import key, promoting, standard
from vitjax.models.core.tap_site import Site
from vitjax.models.core.taps import Edit, Taps, asked, listed
from vitjax.models.parts.attention import Attention
from vitjax.models.parts.block import TOKENS, Block, OneKey, stacked
from vitjax.models.parts.norm import check_single, norm
from vitjax.models.parts.positions import Causal


class TextModel(nnx.Module):
    """A Transformer over tokens whose every activation can be read and edited by name, as in `vitjax.models.vit.ViT`.

    Architecture: Radford et al. 2021 (arXiv 2103.00020), section 2.4; SigLIP's: Zhai et al. 2023 (arXiv 2303.15343).
    """

    def __init__(self, config: TextConfig, rngs: nnx.Rngs):
        check_single(config.norm, "of which a text has none: use norm='layer'")
        normal = jax.nn.initializers.normal(0.02)
        self.token = nnx.Param(normal(rngs.params(), (config.vocabulary, config.width)))
        self.position = nnx.Param(normal(rngs.params(), (config.context, config.width)))
        self.blocks = stacked(lambda rngs: _block(config, rngs), config.depth, rngs)
        self.norm = norm(config, rngs)
        if config.projection:
            self.projection = nnx.Linear(config.width, config.projection, use_bias=config.projection_bias, rngs=rngs)
        self.config = config

    @promoting()
    def __call__(
        self,
        ids: Int[Array, "batch token"],
        reads: Iterable[str] | str | None = None,
        edits: Mapping[str, Edit] | None = None,
    ) -> dict[str, Array]:
        """Runs the model as far as the last tap in `reads`.

        Args:
            ids: numbers of tokens in the vocabulary, at most `config.context` of them; filled up to that number where
                the last token is pooled.
            reads: tap names, e.g. `["blocks.6.mlp.hidden", "embedding"]`; default the model's output.
            edits: {tap: function of the activation}.

        Returns:
            {tap: activation}, batch axis first; see `taps()` for the other axes.

        Raises:
            InputError: an unknown tap, an edit without effect or to another shape, or ids that are no tokens of the
                vocabulary, none, or more than the model reads.
        """
        ids = self._checked(ids)
        taps = asked(reads, edits, self.output)
        self._run(ids, taps)
        taps.check(self.taps)
        return taps.values

    @property
    def output(self) -> str:
        """The last tap: "embedding", or "pooled" for a tower without a projection."""
        return "embedding" if self.config.projection else "pooled"

    @promoting()
    def taps(self) -> dict[str, Site]:
        """Lists every tap with its shape and axes for a text of full length, in the order of the forward pass."""
        ids = jax.ShapeDtypeStruct((1, self.config.context), jnp.int32)
        return listed(TextModel._run, self, ids)

    def _checked(self, ids: Any) -> jax.Array | np.ndarray:
        """The ids, if they are numbers of tokens; their values are looked at where there are any, so not in a trace."""
        if not isinstance(ids, jax.Array | np.ndarray):
            raise InputError(f"ids are of type {type(ids).__name__}: give an array of whole numbers [text, token]")
        if not jnp.issubdtype(ids.dtype, jnp.integer) or ids.ndim != 2:
            raise InputError(f"ids are {ids.dtype} of shape {ids.shape}: give whole numbers [text, token]")
        if not ids.size:
            raise InputError(f"ids have shape {ids.shape}: there is no text in them")
        if ids.shape[1] > self.config.context:
            raise InputError(f"the text has {ids.shape[1]} tokens, this model reads {self.config.context} at most")
        if not isinstance(ids, jax.core.Tracer):
            values = np.asarray(ids)
            if (wrong := values[(values < 0) | (values >= self.config.vocabulary)]).size:
                raise InputError(f"token {wrong[0]} is not among this model's {self.config.vocabulary} (from 0)")
        return ids

    @property
    def rows(self) -> dict[str, list[tuple[str, int | None]]]:
        """Where the parameters of its blocks are; see `vitjax.models.core.network.Network`."""
        return {"blocks": self.stack().rows}

    def stack(self) -> Stack:
        """All blocks."""
        return Stack(self, Segment(("blocks",), self.config.depth))

    def _run(self, ids: jax.Array, taps: Taps) -> None:
        x = taps("embed", self.token[...][ids] + self.position[: ids.shape[1]], TOKENS)
        x = self.stack()(x, taps, PLAIN.on(platform(self)))
        if taps.done:
            return
        if x.shape[1] != ids.shape[1]:
            raise InputError("tokens cannot be dropped from a text: one of them is read by its position")
        x = taps("norm", self.norm(x), TOKENS)
        x = taps("pooled", self._pool(x, ids), "channel")
        if self.config.projection:
            taps("embedding", self.projection(x), "channel")

    def _pool(self, x: jax.Array, ids: jax.Array) -> jax.Array:
        if self.config.eos is None:
            return x[:, -1]
        first = jnp.argmax(ids == self.config.eos, axis=1)
        return jnp.take_along_axis(x, first[:, None, None], axis=1)[:, 0]


@standard()
def abstract(config: TextConfig) -> TextModel:
    """The model with shapes in place of values, to be filled by a converter: costs no initialisation."""
    return jax.eval_shape(lambda: TextModel(config, OneKey(key(0))))


def _block(config: TextConfig, rngs: nnx.Rngs) -> Block:
    return Block(config, rngs, attn=lambda rngs: Attention(config, rngs, Causal() if config.causal else None))
