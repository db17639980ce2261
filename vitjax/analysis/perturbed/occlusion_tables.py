"""Tables of occlusion: the rank of every image under every setting, and a row for each setting, paired by image."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from vitjax.analysis.ablations.accuracy import Outcome
from vitjax.analysis.study.findings import Value

KEYS = ("weights", "fill", "set", "ratio")  # what a setting is
NONE = "none"  # the set of the setting that hides nothing


def image_table(
    place: Mapping[str, Value],
    outcome: Outcome,
    hidden: Float[np.ndarray, " image"],
    names: Sequence[str],
    places: Int[np.ndarray, " image"],
) -> pa.Table:
    """A row for each image under one setting: `KEYS`, image, hidden (share of it), rank of its class, loss in nats."""
    count = len(places)
    columns = {key: pa.array([place[key]]).take(pa.array(np.zeros(count, int))) for key in KEYS}
    columns |= {
        "image": pa.array([names[i] for i in places]).dictionary_encode(),
        "hidden": pa.array(np.asarray(hidden, np.float32)),
        "rank": pa.array(outcome.rank),
        "loss": pa.array(outcome.loss),
    }
    return pa.table(columns)


def accuracy_rows(table: pa.Table) -> list[dict[str, Value]]:
    """A row for each setting: share hidden, images, top-1, top-5, loss, and top-1 beside other settings.

    Args:
        table: as `image_table` makes it, of all settings, the images of each in the same order.

    Returns:
        `change` is top-1 less that of the same images as they are, and where there are several fills `to_FILL` top-1
        less that behind the first fill, FILL, of the same set and ratio; both with standard errors of the differences
        image by image.
    """
    kept = [("rank", "list"), ("loss", "list"), ("hidden", "mean")]
    grouped = table.group_by(KEYS, use_threads=False).aggregate(kept).to_pylist()
    found = {tuple(row[key] for key in KEYS): row for row in grouped}
    outcomes = {key: Outcome(np.array(row["rank_list"]), np.array(row["loss_list"])) for key, row in found.items()}
    whole = {key[0]: outcome for key, outcome in outcomes.items() if key[2] == NONE}
    fills = list(dict.fromkeys(fill for _, fill, which, _ in found if which != NONE))
    rows = []
    for key, outcome in outcomes.items():
        weights, _, which, ratio = key
        row = dict(zip(KEYS, key, strict=True)) | {"hidden": float(found[key]["hidden_mean"])}
        row |= outcome.row(whole[weights])
        if len(fills) > 1:
            row |= _named(f"to_{fills[0]}", outcome, outcomes.get((weights, fills[0], which, ratio), outcome))
        rows.append(row)
    return rows


def _named(name: str, part: Outcome, other: Outcome) -> dict[str, float]:
    return dict(zip((name, f"{name}_error"), map(float, part.change(other)), strict=True))
