"""Measures the classifier's accuracy on every patch token alone: a map of accuracies over the grid.

Ghiasi et al. 2022 (arXiv 2212.06727), Table 1 and Fig. 5; `experiments/it14` of the published code.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from vitjax.analysis.ablations.accuracy import Outcome, evaluate
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.style import bare, panels, style
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.core.tap_site import Site

CLASS, PATCH = "class token", "patch"
# What a pooled head averages, as a slice of [class token, *patches].
POOLED: dict[str, slice] = {"patches": slice(1, None), "patches and class token": slice(None)}


def patch_logits(model: Network, images: Float[Array, "image h w 3"]) -> Float[Array, "image patch class"]:
    """Applies the classifier to every patch token after the final norm, as if that were the class token.

    A distilled model has two classifiers; both see the same token here, and are averaged as at inference.

    Raises:
        InputError: a model whose head does not read a class token after the final norm.
    """
    _check(model)
    return _classify(model, _tokens(model, model(images, "norm")["norm"])[:, 1:])


@analysis
def run(model: Network, data: Dataset) -> Findings:
    """Measures the accuracy of the model's classifier on every patch token by itself, and on means over tokens.

    Args:
        model: whose head reads the class token after the final norm.
        data: images with classes.

    Returns:
        Rows by `head`: "class token" is the model as it is, then come the pooled heads of `POOLED`; "patch average" is
        the mean of the accuracy over positions and "patch maximum" the best position (of these very images, hence
        somewhat too good); each "patch" stands with its row and column on the grid and with `token`, its place in the
        sequence of all tokens. Errors are standard errors over images; `change` is the change from the model as it
        is, with its paired error. The figure is the map of the patches.

    Raises:
        InputError: another kind of head, or images without classes.
    """
    _check(model)
    site = model.taps()["norm"]
    outcome = evaluate(model, data.batches(), data.labels_for(model), {"heads": _heads})["heads"]
    whole = {name: outcome.at(i) for i, name in enumerate([CLASS, *POOLED])}
    patches = Outcome(outcome.rank[:, len(whole) :], outcome.loss[:, len(whole) :])
    rows = [{"head": name, **_place(None, site), **one.row(whole[CLASS])} for name, one in whole.items()]
    singles = [
        {"head": PATCH, **_place(i, site), **patches.at(i).row(whole[CLASS])} for i in range(patches.rank.shape[1])
    ]
    best = max(singles, key=lambda row: row["top1"])
    rows += [{"head": "patch average", **_place(None, site), **_average(patches, whole[CLASS])}]
    rows += [best | {"head": "patch maximum"}, *singles]
    return Findings(
        name="patch-heads",
        rows=rows,
        settings=settings(model, data),
        figures={"": _figure(patches, rows[0], site)},
        summary="top-1: " + ", ".join(f"{row['head']} {row['top1']:.1%}" for row in rows if row["head"] != PATCH),
    )


def _check(model: Network) -> None:
    config, site = model.config, model.taps()["norm"]
    pool, final_norm = getattr(config, "pool", "token"), getattr(config, "final_norm", "tokens")
    if not config.classes or pool != "token" or final_norm != "tokens":
        raise InputError(
            "the classifier fits patch tokens only where it reads a class token after the final norm"
            f" (pool='token', final_norm='tokens'); this model has pool={pool!r},"
            f" final_norm={final_norm!r}, classes={config.classes}"
        )
    if not (site.places and site.class_token):
        raise InputError("the final norm of this model has no patch tokens, for which its classifier could be asked")


def _tokens(model: Network, tokens: Array) -> Array:
    """The class token and the patches, without a distillation token and registers."""
    return jnp.delete(tokens, np.arange(1, model.taps()["norm"].prefix), axis=1)


def _classify(model: Network, tokens: Array) -> Array:
    if getattr(model.config, "distilled", False):
        return (model.head(tokens) + model.head_distilled(tokens)) / 2
    return model.head(tokens)


def _heads(model: Network, images: Array) -> Array:
    """All heads after one forward pass: the model's own, the pooled ones, then one for each patch."""
    values = model(images, ["norm", "logits"])
    tokens = _tokens(model, values["norm"])
    means = [tokens[:, span].mean(axis=1, keepdims=True) for span in POOLED.values()]
    others = _classify(model, jnp.concatenate([*means, tokens[:, 1:]], axis=1))
    return jnp.concatenate([values["logits"][:, None], others], axis=1)


def _place(patch: int | None, site: Site) -> dict[str, int | None]:
    if patch is None:
        return {"token": None, "row": None, "column": None}
    row, column = divmod(patch, site.grid[1])
    return {"token": site.prefix + patch, "row": row, "column": column}


def _average(patches: Outcome, whole: Outcome) -> dict[str, float]:
    """The mean over positions; its error from the images' shares of positions that are right."""
    shares = (patches.rank < 1).mean(axis=1)
    change = shares - (whole.rank < 1)
    return {
        "images": len(shares),
        "top1": float(shares.mean()),
        "top1_error": float(shares.std() / np.sqrt(len(shares))),
        "top5": float(patches.top(5).mean()),
        "loss": float(patches.loss.mean()),
        "change": float(change.mean()),
        "change_error": float(change.std() / np.sqrt(len(change))),
    }


def _figure(patches: Outcome, natural: Mapping, site: Site) -> Figure:
    with style():
        figure, (axes,) = panels(size=(4.2, 3.6))
        shown = bare(axes).imshow(100 * patches.top(1).reshape(site.grid))
        axes.set_title(f"Each patch by itself (class token: {natural['top1']:.1%})")
        figure.colorbar(shown, ax=axes, label="top-1 (%)").outline.set_visible(False)
    return figure
