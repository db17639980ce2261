"""Runs an encoder's own modules, with their own parameters, on the tokens of some units of images alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jaxtyping import Array, Float

from vitjax.errors import InputError, nearest
from vitjax.models.core.execution import PLAIN, Execution, platform
from vitjax.models.core.stack import Call, Segment, Stack
from vitjax.models.core.surroundings import promoting
from vitjax.models.core.taps import Taps
from vitjax.models.hierarchical.swin import Swin, SwinStage
from vitjax.models.hierarchical.twins import Twins, TwinsStage
from vitjax.models.visible import Visible, cells
from vitjax.models.vit import ViT

Network = Swin | Twins | ViT
Tokens = Float[Array, "batch token channel"]
MERGE_ORDERS = {
    "columns": (0, 1, 2, 3),
    "rows": (0, 2, 1, 3),
}  # places of (0,0), (1,0), (0,1), (1,1) as they are merged


@dataclass(frozen=True)
class Encoding:
    """How encoders run on visible tokens.

    Attributes:
        execution: what the backward pass keeps and which kernels compute, see `Execution`.
        merge_order: in which order Swin merges the four tokens of a cell: "columns", as Swin does, or "rows", as the
            authors' code did in 2022; a model trained that way is no ordinary Swin.
        peg_residual: whether Twins' convolutions of positions are added to the tokens, as Twins has it, or stand in
            their place, as in the authors' code.
    """

    execution: Execution = PLAIN
    merge_order: str = "columns"
    peg_residual: bool = True

    def __post_init__(self):
        if self.merge_order not in MERGE_ORDERS:
            near = nearest(self.merge_order, MERGE_ORDERS)
            raise InputError(f"unknown merge_order {self.merge_order!r}{near}; {', '.join(MERGE_ORDERS)}")


AS_IS = Encoding()


@promoting()
def encode(model: Network, images: Array, stages: Sequence[Visible], how: Encoding = AS_IS) -> Tokens:
    """The last stage's normed tokens of visible units, one a unit in their order: what the whole model would give if
    what is masked were no key of any token.

    Args:
        model: whose modules run.
        images: normalised, [batch, height, width, color].
        stages: the tokens that are there, of each stage; see `Layout.of`.
        how: it runs.
    """
    pieces = model.patch.cut(images.astype(model.patch.kernel.dtype))[:, stages[0].places]
    x = model.patch(pieces.reshape(*pieces.shape[:2], -1))
    execution = how.execution.on(platform(model))
    taps = Taps(["norm"])  # so that all blocks run
    if isinstance(model, ViT):
        return _plain(model, x, stages[0], taps, execution)
    x = model.patch_norm(x)
    for stage, visible in zip(model.stages, stages, strict=True):
        x = _STAGES[type(stage)](stage, x, visible, taps, execution, how)
    return model.norm(x)


def _plain(model: ViT, x: Tokens, visible: Visible, taps: Taps, execution: Execution) -> Tokens:
    x = model.arrange(x, visible.places)
    x = model.standing(model.pre_norm(x) if model.config.pre_norm else x, visible.places)
    x = model.stack()(x, taps, execution)
    x = model.norm(x) if model.config.final_norm == "tokens" else x
    return x[:, model.config.prefix :]


def _swin(stage: SwinStage, x: Tokens, visible: Visible, taps: Taps, execution: Execution, how: Encoding) -> Tokens:
    if stage.merges:
        four = x.reshape(len(x), -1, 4, x.shape[-1])
        if how.merge_order != "columns":
            four = four[:, :, MERGE_ORDERS[how.merge_order]]
        x = stage.merge.joined(four.reshape(*four.shape[:2], -1))
    return stage.stack().calling(_among(visible))(x, taps, execution)


def _twins(stage: TwinsStage, x: Tokens, visible: Visible, taps: Taps, execution: Execution, how: Encoding) -> Tokens:
    if stage.steps:
        x = stage.step.joined(cells(x, stage.step.size))
    x = Stack(stage, Segment(("first",), 1), call=_among(visible))(x, taps, execution)
    added = visible.of_map(stage.peg.conv(visible.on_map(x)))
    x = x + added if how.peg_residual else added
    return Stack(stage, *(Segment(*part) for part in stage.later), call=_among(visible))(x, taps, execution)


_STAGES: dict[type, Callable[..., Tokens]] = {SwinStage: _swin, TwinsStage: _twins}


def _among(visible: Visible) -> Call:
    """Runs blocks on these tokens."""
    return lambda block, x, taps, execution: block(x, taps, execution, visible, places=visible.places)
