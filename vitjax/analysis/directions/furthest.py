"""Shows of directions the tokens that lie furthest along them, on the images that they are of."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int
from matplotlib.figure import Figure

from vitjax.analysis.directions.token_sample import Tokens
from vitjax.analysis.study.findings import Value
from vitjax.analysis.study.gallery import framed, gallery
from vitjax.analysis.study.style import COLORS
from vitjax.data.pipeline import pixels
from vitjax.models.dictionaries.directions import Directions
from vitjax.models.registry import Config

SHOWN, ACROSS = 16, 6  # directions, and images of each
FRAME = COLORS[1]


def furthest(directions: Directions, taken: Tokens, count: int = ACROSS) -> Int[np.ndarray, "direction rank"]:
    """The tokens that lie furthest along each direction, the furthest first, one of each image; -1 for none."""
    along = taken.values[: len(taken.place)] @ np.asarray(directions.arrays["vectors"][...], np.float32).T
    found = np.full((len(directions), count), -1)
    for number, column in enumerate(along.T):
        order = np.argsort(-column, kind="stable")
        _, first = np.unique(taken.place[order], return_index=True)
        best = order[np.sort(first)[:count]]
        found[number, : len(best)] = best
    return found


def figure(directions: Directions, taken: Tokens, rows: Sequence[Mapping[str, Value]], config: Config) -> Figure:
    """A row for each direction: images with the token furthest along it, framed."""
    chosen = np.linspace(0, len(directions) - 1, min(SHOWN, len(directions))).astype(int)
    best = furthest(directions, taken)[chosen]
    places = np.unique(taken.place[best[best >= 0]])
    photos = dict(zip(places.tolist(), pixels(taken.images, places, config), strict=True))

    def cell(token: int):
        if token < 0:
            return None
        photo = photos[int(taken.place[token])]
        on = taken.token is not None and taken.grid is not None and taken.token[token] >= 0
        return framed(photo, [taken.token[token]], config, FRAME, taken.grid) if on else photo

    return gallery(
        [[[cell(token) for token in row]] for row in best],
        labels=[_label(rows[number]) for number in chosen],
        width=12.5,
    )


def _label(row: Mapping[str, Value]) -> str:
    name = f" {row['label'].partition(',')[0]}"[:24] if row["label"] else ""
    grade = f"AUC {row['auc']:.2f}" if row["auc"] is not None else f"{100 * row['share']:.1f} %"
    return f"{row['direction']}{name}\n{grade}"
