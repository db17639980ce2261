"""Keeps the class token and the patches apart before or after a block, and measures the accuracy that is left.

Ghiasi et al. 2022 (arXiv 2212.06727), Table 1; `experiments/it16` and `it17` of the published code.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from vitjax.analysis.ablations.accuracy import evaluate, plain
from vitjax.analysis.study.blocks import after_blocks, beside, stream
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.style import panels, style
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.core.taps import Edit

ISOLATED, CLASS_ONLY = "isolated", "class only"


def isolated(model: Network, layer: int) -> dict[str, Edit]:
    """Makes edits under which, in the first `layer` blocks, the class token and the patches do not see each other.

    There the class token (with the distillation token and registers, if any) attends only to itself and the patches
    only to patches; from block `layer` on everything runs as usual. 0 changes nothing; with all blocks isolated the
    logits do not depend on the image. "Isolating CLS" of Table 1 is `layer = depth - 1`.

    Returns:
        {tap: edit}, for `model(images, "logits", edits)`.

    Raises:
        InputError: the head does not read the class token, or the model has no such block.
    """
    _check(model, [layer])
    taps, site = after_blocks(model), stream(model)
    prefix = np.arange(site.tokens) < site.prefix
    apart = prefix[:, None] != prefix
    return {beside(tap, "attn.scores"): lambda scores: jnp.where(apart, -jnp.inf, scores) for tap in taps[:layer]}


def class_only(model: Network, layer: int) -> dict[str, Edit]:
    """Makes edits that drop the patches after `layer` blocks: the class token goes on alone ("TEAR" in the code).

    With it go the distillation token and registers, if any. 0 leaves nothing of the image; `layer = depth` drops
    nothing that the head would read.

    Returns:
        {tap: edit}, for `model(images, "logits", edits)`.

    Raises:
        InputError: the head does not read the class token, or the model has no such block.
    """
    _check(model, [layer])
    prefix = stream(model).prefix
    return {_entry(model, layer): lambda x: x[:, :prefix]} if layer < len(after_blocks(model)) else {}


def isolated_logits(
    model: Network, images: Float[Array, "image h w 3"], layers: Sequence[int]
) -> Float[Array, "image layer class"]:
    """Computes the logits under `isolated` for each of `layers`, for the price of half as many forward passes.

    One pass isolates as far as the last of `layers`, and the network goes on as usual from each of them.
    """
    _check(model, layers)
    return _resumed(model, images, layers, isolated(model, max(layers)), slice(None))


def class_only_logits(
    model: Network, images: Float[Array, "image h w 3"], layers: Sequence[int]
) -> Float[Array, "image layer class"]:
    """The logits under `class_only` for each of `layers`, for the price of one forward pass."""
    _check(model, layers)
    return _resumed(model, images, layers, {}, slice(stream(model).prefix))


@analysis
def run(model: Network, data: Dataset, *, layers: Iterable[int] | None = None) -> Findings:
    """Measures accuracy with the class token isolated in the first L blocks, and left alone after L blocks.

    Args:
        model: whose head reads the class token.
        data: images with classes.
        layers: the L to measure, 0 to depth; default all.

    Returns:
        One row for each intervention and L: top-1 and its standard error, top-5, loss, and the change of top-1 from the
        model as it is, with its paired standard error. Isolated in 0 blocks, or alone after all of them, is the model
        as it is.

    Raises:
        InputError: the head does not read the class token, no such block, or images without classes.
    """
    depth = len(after_blocks(model))
    layers = list(range(depth + 1) if layers is None else dict.fromkeys(layers))
    _check(model, layers)
    curves = {
        ISOLATED: (isolated_logits, [layer for layer in layers if layer > 0]),
        CLASS_ONLY: (class_only_logits, [layer for layer in layers if layer < depth]),
    }
    conditions = {name: partial(logits, layers=tuple(some)) for name, (logits, some) in curves.items() if some}
    conditions["plain"] = plain
    found = evaluate(model, data.batches(), data.labels_for(model), conditions)
    rows = []
    for name, (_, some) in curves.items():
        outcomes = {layer: found[name].at(i) for i, layer in enumerate(some)}
        rows += [
            {"intervention": name, "layer": n} | outcomes.get(n, found["plain"]).row(found["plain"]) for n in layers
        ]
    whole = found["plain"].row()
    return Findings(
        name="class-token",
        rows=rows,
        settings=settings(model, data, layers=layers),
        figures={"": _figure(rows, whole)},
        summary=_summary(rows, whole, depth - 1),
    )


def _entry(model: Network, layer: int) -> str:
    """The tap where `layer` blocks lie behind; after the last, the logits."""
    taps = after_blocks(model)
    return beside(taps[layer], "resid_pre") if layer < len(taps) else "logits"


def _resumed(model: Network, images: Array, layers: Sequence[int], edits: Mapping[str, Edit], tokens: slice) -> Array:
    """Keeps the stream of one edited pass after each number of blocks; from there `tokens` go on, unedited."""
    taps = [_entry(model, layer) for layer in layers]
    kept = model(images, taps, edits)
    resume = lambda tap: model(images, "logits", {tap: lambda _: kept[tap][:, tokens]})["logits"]
    return jnp.stack([kept[tap] if tap == "logits" else resume(tap) for tap in taps], axis=1)


def _check(model: Network, layers: Sequence[int]) -> None:
    config, depth = model.config, len(after_blocks(model))
    if config.pool != "token" or not config.classes:
        what = f"pool={config.pool!r}" if config.classes else "classes=0"
        raise InputError(f"there is no class token that a head reads in this model ({what})")
    wrong = [layer for layer in layers if not 0 <= layer <= depth]
    if wrong or not layers:
        which = f"layer {wrong[0]} is out of range" if wrong else "no layers are given"
        raise InputError(f"{which}: layers count the blocks gone through, 0-{depth}")


def _summary(rows: Sequence[Mapping], plain: Mapping, last: int) -> str:
    top1 = {(row["intervention"], row["layer"]): row["top1"] for row in rows}
    parts = [f"{name} {top1[name, last]:.1%}" for name in (ISOLATED, CLASS_ONLY) if (name, last) in top1]
    after = f"; for {last} of {last + 1} blocks: {', '.join(parts)}" if parts else ""
    return f"top-1 {plain['top1']:.1%} (± {plain['top1_error']:.1%}, {plain['images']} images){after}"


def _figure(rows: Sequence[Mapping], plain: Mapping) -> Figure:
    labels = {ISOLATED: "isolated in the first L blocks", CLASS_ONLY: "alone after L blocks"}
    with style():
        figure, (accuracy, loss) = panels(1, 2)
        for name, label in labels.items():
            some = sorted((row for row in rows if row["intervention"] == name), key=lambda row: row["layer"])
            layers, *shares, losses = ([row[key] for row in some] for key in ("layer", "top1", "top1_error", "loss"))
            accuracy.errorbar(layers, *100 * np.array(shares), marker="o", capsize=2, label=label)
            loss.plot(layers, losses, marker="o")
        accuracy.axhline(100 * plain["top1"], color="black", linestyle=":", linewidth=1, label="as it is")
        loss.axhline(plain["loss"], color="black", linestyle=":", linewidth=1)
        accuracy.set_ylim(bottom=0)
        accuracy.set(xlabel="L (blocks)", ylabel="top-1 (%)", title="The class token and the patches")
        loss.set(xlabel="L (blocks)", ylabel="cross-entropy (nats)")
        figure.legend(*accuracy.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
