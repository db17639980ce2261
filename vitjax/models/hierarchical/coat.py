"""CoaT-Lite and CoaT: factorised attention and convolutions, scale by scale (Xu et al. 2021, arXiv 2104.06399).

Each scale is a stage with a class token of its own. In CoaT a fifth stage runs on the last three scales side by side,
see `vitjax.models.hierarchical.coat_scales`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.errors import InputError
from vitjax.models.core.execution import Execution
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.stages import Stage, Staged
from vitjax.models.core.tap_site import Places
from vitjax.models.core.taps import Taps
from vitjax.models.hierarchical.coat_scales import ParallelStage, Scales, SideBySide
from vitjax.models.hierarchical.pyramid import Pyramid, PyramidConfig, check_halves
from vitjax.models.parts.block import TOKENS, Block, stacked
from vitjax.models.parts.depthwise import ConvPositions
from vitjax.models.parts.factorised import KERNELS, LACKING, ConvRelative, FactorisedAttention
from vitjax.models.parts.merging import PatchStep
from vitjax.models.parts.norm import check_single, norm

STAGES, PARALLEL = 4, slice(1, 4)  # the latter have scales that run side by side


@dataclass(frozen=True)
class CoatConfig(PyramidConfig):
    """A CoaT of four scales; `parallel` blocks run on the last three of them side by side, none in CoaT-Lite."""

    widths: tuple[int, ...] = (64, 128, 320, 512)
    depths: tuple[int, ...] = (3, 4, 6, 3)
    heads: tuple[int, ...] = (8, 8, 8, 8)
    mlp_widths: tuple[int, ...] = (512, 1024, 1280, 2048)
    norm_eps: float = 1e-6
    embed_eps: float | None = 1e-5
    parallel: int = 0

    prefix: ClassVar[int] = 1
    class_token: ClassVar[bool] = True

    def __post_init__(self):
        super().__post_init__()
        if len(self.widths) != STAGES:
            raise InputError(f"a CoaT has {STAGES} stages, not {len(self.widths)}")
        if set(self.heads) != {due := sum(KERNELS.values())}:
            raise InputError(f"heads are {self.heads}: CoaT's convolutions are for {due}")
        check_halves(self)
        for name in ("widths", "mlp_widths"):
            if self.parallel and len({*getattr(self, name)[PARALLEL]}) > 1:
                raise InputError(
                    f"{name} are {getattr(self, name)}: the last three scales share one MLP, so they agree"
                )

    def places(self, stage: int) -> Places:
        """What the tokens of a stage stand on."""
        return Places(self.grids[stage], self.prefix, self.class_token)


class CoatStage(Stage):
    """The blocks of one scale, all with the same convolutions, after embedding the places of the scale before it."""

    def __init__(self, config: CoatConfig, stage: int, rngs: nnx.Rngs):
        blocks, places = config.blocks(stage), config.places(stage)
        if stage:
            self.step = PatchStep(config.widths[stage - 1], config.embedding(stage), config.grids[stage - 1], rngs)
        self.token = nnx.Param(0.02 * jax.random.normal(rngs.params(), (1, blocks.width)))
        self.position = ConvPositions(blocks.width, places, rngs)
        self.relative = ConvRelative(blocks, places, rngs)
        attention = lambda rngs: FactorisedAttention(blocks, rngs)
        self.blocks = stacked(lambda rngs: Block(blocks, rngs, attention), blocks.depth, rngs)
        self.places, self.depth, self.steps = places, blocks.depth, stage > 0

    def stack(self) -> Stack:
        """The blocks."""

        def call(block: Block, x: jax.Array, taps: Taps, execution: Execution) -> jax.Array:
            return block(self.position(x), taps, execution, self.relative)

        return Stack(self, Segment(("blocks",), self.depth), call=call)

    def joined(self, x: jax.Array) -> jax.Array:
        """The scale's class token and embedded places after it."""
        token = jnp.broadcast_to(self.token[...], (len(x), *self.token.shape))
        return jnp.concatenate([token, x], axis=1)

    def enter(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The embedded places of the scale before it, whose class token goes no further."""
        return taps("embed", self.joined(self.step(x[:, 1:])), TOKENS) if self.steps else x

    def through(self, x: Scales, taps: Taps, execution: Execution) -> Scales:
        """Runs as much of the stage as the reads need on the last scale, and gives that and all before it."""
        return (*x, super().through(x[-1], taps, execution))


class Coat(Pyramid):
    """A CoaT or CoaT-Lite whose every activation can be read and edited by name.

    It classifies by the class token of the last scale, CoaT by a weighted sum of those of the last three.
    """

    lacking = LACKING

    def __init__(self, config: CoatConfig, rngs: nnx.Rngs):
        check_single(config.norm, "among which a class token stands in all blocks of a CoaT: use norm='layer'")
        stages = [CoatStage(config, stage, rngs) for stage in range(STAGES)]
        if config.parallel:
            scales = [(config.blocks(stage), config.places(stage)) for stage in range(STAGES)][PARALLEL]
            stages.append(ParallelStage(scales, config.parallel, rngs))
        super().__init__(config, rngs, stages)
        if config.parallel:
            self.norms = nnx.List(norm(blocks, rngs) for blocks, _ in scales[:-1])
            self.mix = nnx.Linear(len(scales), 1, rngs=rngs)

    @property
    def staged(self) -> Sequence[tuple[str, Staged]]:
        """The stages; the parallel one together with the convolutions of those whose scales it runs on."""
        serial = super().staged[:STAGES]
        if not self.config.parallel:
            return serial
        return [*serial, (f"stages.{STAGES}", SideBySide(self.stages[STAGES], self.stages[PARALLEL]))]

    def begin(self, x: jax.Array, taps: Taps) -> Scales:
        """The tokens as the first block reads them."""
        first = self.stages[0]
        return (taps.at(first.places)("embed", first.joined(self.patch_norm(x)), TOKENS),)

    def end(self, x: Scales, taps: Taps) -> None:
        """Norms, the class token of the last scale or of the last three together, and head."""
        among = lambda stage: taps.at(self.config.places(stage))
        last = among(STAGES - 1)("norm", self.norm(x[-1]), TOKENS)[:, 0]
        if self.config.parallel:
            scales = zip(range(STAGES)[PARALLEL], self.norms, x, strict=False)  # but the last
            earlier = [among(stage)(f"scale{stage}.norm", norm(tokens), TOKENS)[:, 0] for stage, norm, tokens in scales]
            last = self.mix(jnp.stack([*earlier, last], axis=-1))[..., 0]
        last = taps("pooled", last, "channel")
        if self.config.classes:
            taps("logits", self.head(last), "class")
