"""Figures of corruptions: errors by severity, and one photograph under all kinds."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from vitjax.analysis.perturbed.corrupt.kinds import KINDS, corrupted
from vitjax.analysis.perturbed.corruption_tables import Errors
from vitjax.analysis.study.gallery import gallery
from vitjax.analysis.study.style import COLORS, panels, style

LINES = ("o-", "s--")  # of the model and the baseline


def draw_curves(errors: Mapping[str, Errors], kinds: Sequence[str], severities: Sequence[int]) -> Figure:
    """Draws the errors of one or two models by severity, a panel for each group of kinds; 0 is the image as it is."""
    groups = list(dict.fromkeys(KINDS[kind].group for kind in kinds))
    with style():
        figure, axes = panels(1, len(groups), size=(3.0, 3.6), sharey=True)
        for group, panel in zip(groups, axes, strict=True):
            some = [place for place, kind in enumerate(kinds) if KINDS[kind].group == group]
            for color, place in zip(COLORS, some, strict=False):
                for line, (clean, part) in zip(LINES, errors.values(), strict=False):
                    points = 100 * np.array([clean.mean(), *part[:, place].mean(axis=0)])
                    label = _title(kinds[place]) if line == LINES[0] else None
                    panel.plot([0, *severities], points, line, color=color, label=label)
            panel.set(title=group, xlabel="severity", xticks=[0, *severities], ylim=(0, 100))
            panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25))
        axes[0].set_ylabel("wrong (%)" + (", dashed: baseline" if len(errors) > 1 else ""))
    return figure


def draw_sheet(
    image: UInt8[np.ndarray, "h w 3"], name: str, kinds: Sequence[str], severities: Sequence[int], seed: int
) -> Figure:
    """Shows one photograph, as a model takes it, under every kind and severity."""
    rows = [[[image], [corrupted(image, kind, s, name, seed) for s in severities]] for kind in kinds]
    titles = ("as it is", f"severity {', '.join(map(str, severities))}")
    return gallery(rows, labels=[_title(kind).replace(" ", "\n") for kind in kinds], titles=titles, width=14)


def _title(kind: str) -> str:
    return kind.replace("jpeg", "JPEG").replace("gaussian", "Gaussian").replace("_", " ")
