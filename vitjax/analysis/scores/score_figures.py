"""Draws scores of units by layer: a panel for each score, a line for the units and one for each control."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from vitjax.analysis.study.style import panels, style
from vitjax.models.core.vocabulary import split_tap

PANELS = {
    "above_chance": "monosemanticity\nabove chance",
    "clarity": "clarity",
    "redundancy": "redundancy",
    "polysemanticity": "polysemanticity",
    "task_accuracy": "accuracy in MIS's tasks",
    "density": "density",
}
MARKS = "os^Dv"


def by_layer(rows: Sequence[Mapping]) -> Figure:
    """The means over units of each tap; `rows` are those of the analysis `scores`."""
    taps, kinds = (list(dict.fromkeys(row[key] for row in rows)) for key in ("tap", "kind"))
    with style():
        figure, axes = panels(2, 3, size=(3.0, 2.3), sharex=True)
        for panel, (name, title) in zip(axes, PANELS.items(), strict=True):
            for kind, mark in zip(kinds, MARKS, strict=False):
                points = [(taps.index(row["tap"]), row[name]) for row in rows if row["kind"] == kind]
                points = [point for point in points if point[1] is not None]
                if points:
                    panel.plot(*zip(*points, strict=True), marker=mark, label=kind)
            panel.set(xticks=range(len(taps)), xticklabels=[_short(tap) for tap in taps])
            panel.set_title(title)
            panel.tick_params(axis="x", labelrotation=0 if len({_kind(tap) for tap in taps}) == 1 else 90)
        for panel in axes[3:]:
            panel.set_xlabel("block" if len({_kind(tap) for tap in taps}) == 1 else "tap")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(kinds))
    return figure


def _kind(tap: str) -> str:
    return split_tap(tap).name


def _short(tap: str) -> str:
    stage, block, name = split_tap(tap)
    number = ".".join(str(part) for part in (stage, block) if part is not None)
    return number or name
