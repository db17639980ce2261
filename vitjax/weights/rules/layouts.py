"""Rules, of which tables are written: a source's name of a tensor, its layout there, and the array it fills here.

A table is a list of rules with the source's literal names, `{i}` standing for the number of a block, `{2i}` and
`{2i+1}` for those of layers of which a block is two; targets name the model's arrays by stack, such as
`blocks.attn.qkv.kernel` or `stages.2.blocks.attn.qkv.kernel`, in whichever array the blocks of the stack are kept (see
`vitjax.weights.rules.places`). Several rules may name one target, for spellings that changed over time, or each a part
of it, such as the q of qkv. `vitjax.weights.rules.convert` carries a table out.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import prod

import numpy as np

Shape = tuple[int, ...]
Part = tuple[int, int | range]


@dataclass(frozen=True)
class Layout:
    """How a source keeps a tensor: its shape there, given the shape here, and what to do before reshaping to ours."""

    shape: Callable[[Shape], Shape]
    read: Callable[[np.ndarray], np.ndarray] = np.asarray


@dataclass(frozen=True)
class Rule:
    """One tensor of the source and the array it fills; with target None it is known and left out.

    `part` (axis, index) says which part of the array of one block it fills, if not all; a range of indices keeps the
    axis. Without a source the array is zeros, unless another rule fills it. A source to be left out may have `*` in it,
    for any part of a name; one that `repeats` another tensor, as where modules share it, must have its values.
    """

    source: str | None
    target: str | None
    layout: Layout
    part: Part | None = None
    repeats: str | None = None


FLAT = Layout(lambda ours: (prod(ours),))
KERNEL = Layout(lambda ours: (prod(ours[1:]), ours[0]), np.transpose)
MERGE = Layout(lambda ours: (ours[-1], prod(ours[:-1])), np.transpose)


def same(source: str, target: str, leading: int = 0) -> list[Rule]:
    """A tensor kept as it is, with `leading` axes of length one before it."""
    return [Rule(source, target, Layout(lambda ours: (1,) * leading + ours))]


def drop(*sources: str) -> list[Rule]:
    """Tensors that the model has no use for; they may be absent. `*` stands for any part of a name."""
    return [Rule(source, None, FLAT) for source in sources]


def repeated(source: str, of: str) -> list[Rule]:
    """A layer whose weight and bias are those of another, `of`, by another name; they may be absent."""
    return [Rule(f"{source}{part}", None, FLAT, repeats=f"{of}{part}") for part in (".weight", ".bias")]


def zeros(target: str, part: Part | None = None) -> list[Rule]:
    """What the model has and this source leaves out, such as the bias of k."""
    return [Rule(None, target, FLAT, part)]


def dense(
    source: str, target: str, layout: Layout = KERNEL, weight: str = ".weight", bias: str = ".bias"
) -> list[Rule]:
    """A dense layer's weight, stored in this layout, and bias."""
    return [Rule(f"{source}{weight}", f"{target}.kernel", layout), Rule(f"{source}{bias}", f"{target}.bias", FLAT)]


def linear(source: str, target: str) -> list[Rule]:
    """A dense layer stored [out, in]; the outputs here may be split, e.g. into (3, heads, channels)."""
    return dense(source, target)


def merge(source: str, target: str) -> list[Rule]:
    """A dense layer stored [out, in] whose inputs here are split into (heads, channels)."""
    return dense(source, target, MERGE)


def split(sources: Iterable[str], target: str) -> list[Rule]:
    """Dense layers stored [out, in], each one part of one layer here: q, k and v, or gate and up of an MLP."""
    return [rule for index, source in enumerate(sources) for rule in parted(dense(source, target), index)]


def parted(rules: Iterable[Rule], index: int) -> list[Rule]:
    """The same tensors as part `index` of a dense layer, whose parts are the kernel's second axis, the bias's first."""
    return [replace(rule, part=(int(rule.target.endswith(".kernel")), index)) for rule in rules]


def norm(source: str, target: str) -> list[Rule]:
    """A LayerNorm's weight and bias."""
    return [Rule(f"{source}.weight", f"{target}.scale", FLAT), Rule(f"{source}.bias", f"{target}.bias", FLAT)]


CONV = Layout(lambda ours: (*ours[:1:-1], *ours[:2]), lambda kernel: kernel.transpose(2, 3, 1, 0))


def conv(source: str, target: str) -> list[Rule]:
    """A convolution's weight, stored [out, in, row, column]; it has no bias."""
    return [Rule(f"{source}.weight", f"{target}.kernel", CONV)]


def batch_norm(source: str, target: str) -> list[Rule]:
    """A batch norm's weight, bias and running statistics."""
    parts = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "variance"}
    return [Rule(f"{source}.{theirs}", f"{target}.{ours}", FLAT) for theirs, ours in parts.items()]


def patch_conv(source: str, target: str, patch_size: tuple[int, int]) -> list[Rule]:
    """The patch embedding, stored as a convolution [out, channel, row, column]; here rows, columns, channels flat."""
    return dense(
        source,
        target,
        Layout(
            lambda ours: (ours[1], ours[0] // prod(patch_size), *patch_size),
            lambda kernel: kernel.transpose(2, 3, 1, 0),
        ),
    )
