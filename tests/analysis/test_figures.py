"""What figures say: which layers, which panels, what colours and lines mean; labels of sheets are whole."""

import numpy as np
import pytest

from vitjax.analysis.clusters.token_figures import _PANELS, draw
from vitjax.analysis.perturbed.occlusion_figures import draw_accuracy
from vitjax.analysis.report.report_figures import SHOWN, strips
from vitjax.analysis.study.gallery import gallery
from vitjax.analysis.study.style import along, panels
from vitjax.optimize.results.sheets import _lines, table_sheet


def texts(figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize(
    ("taps", "places", "label"),
    [
        (["blocks.0.resid_post", "blocks.1.resid_post"], [0, 1], "block"),
        (["blocks.2.attn.z", "blocks.11.attn.z"], [2, 11], "block, attn.z"),
        (["stages.0.blocks.1.out", "stages.1.blocks.0.out"], [0, 1], "stage and block"),
        (["blocks.3.attn.z", "norm"], [0, 1], ""),
    ],
)
def test_an_axis_says_which_layers_it_is_of(taps, places, label):
    _, (axes,) = panels()
    assert along(axes, taps) == places and axes.get_xlabel() == label
    if not label:
        assert [text.get_text() for text in axes.get_xticklabels()] == ["3.attn.z", "norm"]


def test_a_panel_without_data_is_left_out():
    known = {f"{name}{end}": 0.5 for name in _PANELS for end in ("", "_error")}
    row = {"weights": "given", "embeddings": "published", "grid": 1} | known
    rows = [row | {"layer": i + 1, "tap": f"blocks.{tap}.attn.z", "probe": None} for i, tap in enumerate((4, 7))]
    titles = [axes.get_title("left") for axes in draw(rows).axes]
    assert len(titles) == len(_PANELS) - 1 and _PANELS["probe"] not in titles
    first = draw([row | {"probe": 0.3} for row in rows]).axes[-1]
    assert first.get_title("left") == _PANELS["probe"] and list(first.lines[0].get_xdata()) == [4, 7]


def test_random_weights_are_drawn_beside_the_models_own():
    row = {"fill": "black", "set": "random", "top1": 0.5, "top1_error": 0.1}
    rows = [row | {"weights": w, "ratio": r, "hidden": r} for w in ("given", "random") for r in (0, 0.5)]
    assert "random weights" in texts(draw_accuracy(rows))
    assert "random weights" not in texts(draw_accuracy(rows[:2]))


def test_what_lines_and_colours_mean_is_said():
    figure = strips({"good": [dict.fromkeys(SHOWN, 0.5)]}, {"noise": (1.0,)})
    assert texts(figure) == ["a picture", "median of the group", "threshold of the verdict"]
    cell = np.zeros((8, 8, 3), np.uint8)
    figure = gallery([[[cell]]], scales={"gray": "each map from its lowest patch to its highest"})
    (text,) = figure.axes[0].texts
    figure.draw_without_rendering()
    assert "lowest" in text.get_text() and text.get_window_extent().x1 < figure.bbox.x1


def test_labels_of_a_table_are_whole():
    class Font:
        getlength = staticmethod(len)

    goal = "blocks.3.mlp.hidden:5 - 0.5 * blocks.7.attn.z:2.12"
    assert "".join(_lines(goal, 20, Font)).replace(" ", "") == goal.replace(" ", "")
    assert all(len(line) <= 20 for line in _lines(goal, 20, Font)) and _lines("abcdef", 4, Font) == ["abcd", "ef"]
    cell = np.zeros((112, 112, 3), np.uint8)
    short, long = (table_sheet([[cell]], [name], ["a"], [["1"]]).width for name in ("b", goal))
    assert short < long < short + 230
