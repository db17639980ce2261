"""CoaT's parallel part: blocks that run on several scales side by side, which exchange what their attentions give."""

from collections.abc import Sequence

import jax
from flax import nnx

from vitjax.models.core.config import BlockConfig
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.stages import Stage, Staged
from vitjax.models.core.tap_site import Places
from vitjax.models.core.taps import Taps
from vitjax.models.parts.block import TOKENS, Block, stacked
from vitjax.models.parts.depthwise import apart, together
from vitjax.models.parts.factorised import ConvRelative, FactorisedAttention
from vitjax.models.parts.mlp import Mlp
from vitjax.models.parts.norm import norm

Scales = tuple[jax.Array, ...]  # the tokens of each, from the finest to the coarsest
Scale = tuple[BlockConfig, Places]


class ParallelBlock(nnx.Module):
    """A Transformer block of several scales, which have a norm and an attention each and one MLP together.

    To what the attention of a scale gives, `attn.out`, that of all others is added, resized to its grid; the sum,
    `attn.mixed`, is what is added to the residual stream. The taps of a scale begin with `scale1.`, `scale2.`, ….

    Args:
        scales: the blocks of each, of the same width, and the places that its tokens stand on.
        rngs: of the initialisation.
    """

    def __init__(self, scales: Sequence[Scale], rngs: nnx.Rngs):
        configs, self.places = zip(*scales, strict=True)
        self.norm1 = nnx.List(norm(config, rngs) for config, _ in scales)
        self.attn = nnx.List(FactorisedAttention(config, rngs) for config in configs)
        self.norm2 = nnx.List(norm(config, rngs) for config, _ in scales)
        self.mlp = Mlp(configs[0], rngs)

    @property
    def kept(self) -> tuple[str, ...]:
        """What the backward pass keeps of it, see `Block`."""
        return tuple(f"{_name(scale)}.{tap}" for scale in range(len(self.places)) for tap in Block.kept)

    def __call__(
        self, scales: Scales, taps: Taps, execution: Execution = PLAIN, relative: Sequence[ConvRelative] = ()
    ) -> Scales:
        among = [taps.scope(_name(scale)).at(places) for scale, places in enumerate(self.places)]
        scales = [taps("resid_pre", x, TOKENS) for taps, x in zip(among, scales, strict=True)]
        parts = zip(among, self.norm1, self.attn, relative, scales, strict=True)
        outs = [
            taps("attn.out", attn(norm(x), taps.scope("attn"), execution, conv), TOKENS)
            for taps, norm, attn, conv, x in parts
        ]
        mixed = [
            taps("attn.mixed", taps.dropped(self._mixed(outs, scale), 2 * scale), TOKENS)
            for scale, taps in enumerate(among)
        ]
        scales = [taps("resid_mid", x + out, TOKENS) for taps, x, out in zip(among, scales, mixed, strict=True)]
        parts = enumerate(zip(among, self.norm2, scales, strict=True))
        outs = [
            taps("mlp.out", taps.dropped(self.mlp(norm(x), taps.scope("mlp")), 2 * scale + 1), TOKENS)
            for scale, (taps, norm, x) in parts
        ]
        return tuple(taps("resid_post", x + out, TOKENS) for taps, x, out in zip(among, scales, outs, strict=True))

    def _mixed(self, outs: Sequence[jax.Array], scale: int) -> jax.Array:
        others = [i for i in range(len(outs)) if i != scale]
        return sum((resized(outs[i], self.places[i], self.places[scale]) for i in others), outs[scale])


class ParallelStage(Stage):
    """Blocks of several scales; arguments as of `ParallelBlock`, and how many blocks."""

    def __init__(self, scales: Sequence[Scale], depth: int, rngs: nnx.Rngs):
        self.blocks = stacked(lambda rngs: ParallelBlock(scales, rngs), depth, rngs)
        self.segment = Segment(("blocks",), depth)

    def stack(self) -> Stack:
        """The blocks, which run only with what `SideBySide` gives them."""
        return Stack(self, self.segment)


class SideBySide(Staged):
    """A parallel stage together with the stages whose scales it runs on, for it shares their convolutions.

    Args:
        stage: with the blocks.
        serial: the stages that give the scales, each with its `position` and `relative`.
    """

    def __init__(self, stage: ParallelStage, serial: Sequence[nnx.Module]):
        self._stage, self._serial = stage, serial

    def stack(self) -> Stack:
        """The blocks, before each of which the tokens get their positions anew."""

        def call(block: ParallelBlock, scales: Scales, taps: Taps, execution: Execution) -> Scales:
            placed = tuple(stage.position(x) for stage, x in zip(self._serial, scales, strict=True))
            return block(placed, taps, execution, [stage.relative for stage in self._serial])

        return Stack(self._stage, self._stage.segment, call=call)

    def enter(self, x: Scales, taps: Taps) -> Scales:
        """The scales that run side by side, which are the last of them."""
        return x[-len(self._serial) :]


def resized(x: jax.Array, old: Places, new: Places) -> jax.Array:
    """Resizes tokens to another grid, bilinearly; those before the grid stay as they are.

    At half the rows and columns this is the mean of two by two places, at a quarter that of the middle ones of four by
    four, as no wider filter is taken.
    """
    before, grid = apart(x, old)
    shape = (len(x), *new.grid, x.shape[-1])
    return together(before, jax.image.resize(grid, shape, "linear", antialias=False).astype(x.dtype))


def _name(scale: int) -> str:
    return f"scale{scale + 1}"
