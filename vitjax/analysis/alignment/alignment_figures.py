"""Draws how alike the layers of two models are: a heat map for each measure."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from vitjax.analysis.study.style import panels, style
from vitjax.models.core.vocabulary import split_tap


def heatmaps(
    matrices: Mapping[str, Float[np.ndarray, "tap other"]], taps: Sequence[str], others: Sequence[str]
) -> Figure:
    """The matrices side by side, all on one scale from 0 to the highest, rows being the first model's taps."""
    values = np.concatenate([matrix.ravel() for matrix in matrices.values()])
    highest = values[np.isfinite(values)].max(initial=0.1)
    with style():
        figure, axes = panels(1, len(matrices), size=(2.5, 3.0))
        for panel, (title, matrix) in zip(axes, matrices.items(), strict=True):
            shown = panel.imshow(matrix, vmin=0, vmax=highest, origin="lower", aspect="auto")
            panel.grid(False)
            panel.set(xticks=range(len(others)), yticks=range(len(taps)), xlabel="other model's layer")
            panel.set_xticklabels([_short(tap) for tap in others], rotation=90 if len(_short(others[0])) > 3 else 0)
            panel.set_yticklabels([_short(tap) for tap in taps])
            panel.set_title(title)
        axes[0].set_ylabel("model's layer")
        figure.colorbar(shown, ax=axes, shrink=0.8)
    return figure


def _short(tap: str) -> str:
    stage, block, name = split_tap(tap)
    return ".".join(str(part) for part in (stage, block) if part is not None) or name
