"""Makes of the cells of an activation atlas what tables and the page say of them: where they lie, what they are for."""

import base64
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from vitjax.atlas.page.contents import Band, Layout
from vitjax.atlas.records.activation_map import Survey

NAMED = 5  # classes or words that a cell is named by


def layout(found: Survey) -> Layout:
    """The wall of cells as they lie in the plane, a square a tap, one below the other."""
    sides = [len(layer.counts) for layer in found.layers.values()]
    columns, rows = max(sides), sum(sides) + len(sides) - 1
    cells, bands, top, first = np.full((rows, columns), -1, np.int32), [], 0, 0
    for (tap, layer), side in zip(found.layers.items(), sides, strict=True):
        cells[top + layer.row, layer.column] = first + np.arange(len(layer.row))
        bands.append(Band(tap, top, side))
        top, first = top + side + 1, first + len(layer.row)
    return Layout("activations", "by activations", columns, rows, cells.ravel(), bands)


def table(found: Survey) -> pa.Table:
    """Lists the cells by unit number: unit, tap, row, column, samples, and the names that they add most to."""
    rows = []
    for tap, layer in found.layers.items():
        best = _best(found.adds[tap]) if found.names else np.zeros((len(layer.row), 0), int)
        rows += [
            {
                "tap": tap,
                "row": int(layer.row[i]),
                "column": int(layer.column[i]),
                "samples": int(layer.count[i]),
                "names": [found.names[j] for j in best[i]],
                "adds": [float(found.adds[tap][i, j]) for j in best[i]],
            }
            for i in range(len(layer.row))
        ]
    kinds = {"names": pa.list_(pa.string()), "adds": pa.list_(pa.float64())}
    listed = {key: pa.array([row[key] for row in rows], kinds.get(key)) for key in rows[0]}
    return pa.table({"unit": [str(unit) for unit in found.units], **listed})


def files(found: Survey | None) -> dict[str, object]:
    """What the page reads of the cells, by the names of its data files; see docs/atlas_format.md."""
    if found is None:
        return {}
    taps, further, first = [], {}, 0
    for number, (tap, layer) in enumerate(found.layers.items()):
        about = {"tap": tap, "first": first, "samples": len(layer.cell), "side": len(layer.counts)}
        taps.append(about | {"row": layer.row, "column": layer.column, "count": layer.count, "counts": layer.counts})
        if found.names:
            taps[-1]["best"] = _best(found.adds[tap])
            further[f"activations-{number}"] = _bytes(found.adds[tap])
        first += len(layer.row)
    return {"activations": {"taps": taps, "names": list(found.names)}, **further}


def _best(adds: Float[np.ndarray, "cell name"]) -> Int[np.ndarray, "cell best"]:
    """The names that each cell adds most to, the most first."""
    return np.argsort(-adds, axis=1, kind="stable")[:, :NAMED]


def _bytes(adds: Float[np.ndarray, "cell name"]) -> Mapping[str, object]:
    """What cells add to names, as a signed byte each times `scale`, name by name."""
    scale = float(np.abs(adds).max()) / 127 or 1.0
    return {"scale": scale, "adds": base64.b64encode(np.rint(adds.T / scale).astype(np.int8).tobytes()).decode()}
