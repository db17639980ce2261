"""A Transformer over sequences of tokens with a classifier, whose every activation can be read and edited by name."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Int

from vitjax.errors import InputError
from vitjax.models.core.class_names import NAMELESS, ClassNames
from vitjax.models.core.execution import PLAIN, Execution, platform
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.surroundings import key, promoting, standard
from vitjax.models.core.tap_site import Site
from vitjax.models.core.taps import Edit, Taps, asked, listed
from vitjax.models.norms.dtn import PRESETS
from vitjax.models.parts.attention import Attention
from vitjax.models.parts.block import TOKENS, Block, stacked
from vitjax.models.parts.norm import check_single, norm
from vitjax.models.sequences.bigbird import BigBirdAttention, least
from vitjax.models.sequences.lsh import LshAttention
from vitjax.models.sequences.reversible import ReversibleBlock, standing, through
from vitjax.models.sequences.sequence_config import BigBirdConfig, ReformerConfig, SequenceConfig

NOTHING = 0  # the token that sequences are filled up with


class PlainAttention(Attention):
    """Attention to all tokens that are there."""

    def __call__(
        self, x: jax.Array, taps: Taps, execution: Execution = PLAIN, present: jax.Array | None = None
    ) -> jax.Array:
        """Attends to the tokens that are `present`, [batch, token]; by default all are."""
        mask = None if present is None else jnp.where(present, 0, least(x))[:, None, None]
        return super().__call__(x, taps, execution, mask)


# By the kind of its config: what blocks a sequence model has, and which attention is in them.
BLOCKS: dict[type[SequenceConfig], tuple[type[Block], type[nnx.Module]]] = {
    SequenceConfig: (Block, PlainAttention),
    BigBirdConfig: (Block, BigBirdAttention),
    ReformerConfig: (ReversibleBlock, LshAttention),
}


class SequenceModel(nnx.Module):
    """A classifier of sequences: tokens with learned positions, blocks, and a head on the mean of those that are there.

    Norms are those that the config names, which know the sequence as a grid of one axis.

    Attributes:
        class_names: what the classes are called.
    """

    neurons, layers = "blocks.*.mlp.hidden", "blocks.*.resid_post"
    class_names: ClassNames = NAMELESS

    def __init__(self, config: SequenceConfig, rngs: nnx.Rngs):
        if config.norm not in PRESETS:
            check_single(config.norm, "and would count what a sequence is filled up with: use norm='layer' or 'dtn'")
        normal = jax.nn.initializers.normal(0.02)
        self.token = nnx.Param(normal(rngs.params(), (config.vocabulary, config.width)))
        self.position = nnx.Param(normal(rngs.params(), (config.context, config.width)))
        self.blocks = stacked(lambda rngs: _block(config, rngs), config.depth, rngs)
        self.norm = norm(config, rngs)
        self.head = nnx.Linear(config.width, config.classes, rngs=rngs)
        self.config = config

    @promoting()
    def __call__(
        self,
        ids: Int[Array, "batch token"],
        reads: Iterable[str] | str | None = None,
        edits: Mapping[str, Edit] | None = None,
        *,
        execution: Execution = PLAIN,
    ) -> dict[str, Array]:
        """Runs the model as far as the last tap in `reads`.

        Args:
            ids: numbers of tokens in the vocabulary, filled up with 0 to `config.context`.
            reads: tap names, e.g. `["blocks.1.mlp.hidden", "logits"]`; default the model's output.
            edits: {tap: function of the activation}.
            execution: how it runs where that does not change what it computes.

        Returns:
            {tap: activation}, batch axis first; see `taps()` for the other axes.

        Raises:
            InputError: an unknown tap, an edit without effect or to another shape, or ids of another length, or that
                are no tokens of the vocabulary.
        """
        ids = self._checked(ids)
        taps = asked(reads, edits, "logits")
        self._run(ids, taps, execution.on(platform(self)))
        taps.check(self.taps)
        return taps.values

    @promoting()
    def taps(self) -> dict[str, Site]:
        """Lists every tap with its shape and axes, in the order of the forward pass."""
        ids = jax.ShapeDtypeStruct((1, self.config.context), jnp.int32)
        return listed(partial(SequenceModel._run, execution=PLAIN), self, ids)

    @property
    def rows(self) -> dict[str, list[tuple[str, int | None]]]:
        """Where the parameters of its blocks are; see `vitjax.models.core.network.Network`."""
        return {"blocks": Stack(self, Segment(("blocks",), self.config.depth)).rows}

    @property
    def dtype(self) -> jnp.dtype:
        """That of its weights."""
        return self.token.dtype

    def _checked(self, ids: Any) -> jax.Array | np.ndarray:
        """The ids, if they are numbers of tokens; their values are looked at where there are any, so not in a trace."""
        if not isinstance(ids, jax.Array | np.ndarray):
            raise InputError(f"ids are of type {type(ids).__name__}: give an array of whole numbers [sequence, token]")
        if not jnp.issubdtype(ids.dtype, jnp.integer) or ids.ndim != 2:
            raise InputError(f"ids are {ids.dtype} of shape {ids.shape}: give whole numbers [sequence, token]")
        if ids.shape[1] != self.config.context:
            raise InputError(
                f"a sequence has {ids.shape[1]} tokens, this model reads {self.config.context}: fill it up with"
                f" {NOTHING}, which stands for no token"
            )
        if not isinstance(ids, jax.core.Tracer):
            values = np.asarray(ids)
            if (wrong := values[(values < 0) | (values >= self.config.vocabulary)]).size:
                raise InputError(f"token {wrong[0]} is not among this model's {self.config.vocabulary} (from 0)")
        return ids

    def _run(self, ids: jax.Array, taps: Taps, execution: Execution) -> None:
        present = ids != NOTHING
        x = taps("embed", self.token[...][ids] + self.position[...], TOKENS)
        x = self._through(x, present, taps, execution)
        if taps.done:
            return
        x = taps("norm", self.norm(x), TOKENS)
        pooled = (x * present[..., None]).sum(axis=1) / jnp.maximum(present.sum(axis=1, keepdims=True), 1)
        pooled = taps("pooled", pooled.astype(x.dtype), "channel")
        taps("logits", self.head(pooled), "class")

    def _through(self, x: Array, present: Bool[Array, "batch token"], taps: Taps, execution: Execution) -> Array:
        """The blocks. Reversible ones begin with the tokens on both streams and end with the mean of the two."""
        if not isinstance(self.blocks, ReversibleBlock):
            return self._stack(present)(x, taps, execution)
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        if taps.scope("blocks").touched:
            first, second = self._stack(present)((wide, wide), taps, execution)
        else:
            first, second = through(execution, self.blocks, (wide, wide), present)
        return ((first + second) / 2).astype(x.dtype)

    def _stack(self, present: jax.Array) -> Stack:
        if isinstance(self.blocks, ReversibleBlock):
            run = lambda block, x, taps, execution: block(x, taps, execution, present)
        else:
            run = lambda block, x, taps, execution: block(x, taps, execution, present, places=standing(present))
        return Stack(self, Segment(("blocks",), self.config.depth), call=run)


@standard()
def random(config: SequenceConfig, seed: int = 0) -> SequenceModel:
    """A freshly initialised model, float32."""
    return jax.jit(_random, static_argnums=0)(config, seed)


def _random(config: SequenceConfig, seed: int) -> SequenceModel:
    return SequenceModel(config, nnx.Rngs(key(seed)))


def _block(config: SequenceConfig, rngs: nnx.Rngs) -> Block:
    kind, attention = BLOCKS[type(config)]
    return kind(config, rngs, attn=lambda rngs: attention(config, rngs), grid=(config.context,))
