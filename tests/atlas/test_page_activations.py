"""The page of an activation atlas in a browser: cells where they lie, layers, classes, and what each cell is for."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.made_up import HOSTILE, made_up
from vitjax.analysis.activations.gathered import Layer
from vitjax.atlas.page.export import export
from vitjax.atlas.page.kept import cells
from vitjax.atlas.records.activation_map import Survey

TAPS = ("blocks.0.resid_post", "blocks.1.resid_post")
NAMES = ["tabby cat", HOSTILE[0], "tench"]
COUNTS = np.array([[9, 0, 2], [0, 36, 0], [16, 0, 25]])
ROWS, COLUMNS = np.array([0, 1, 2, 2]), np.array([0, 1, 0, 2])
ADDS = np.array([[0.5, 0.1, -0.2], [-1.0, 0.2, 0.1], [0.0, 0.3, 0.2], [1.0, -0.5, 0.25]])


def layer() -> Layer:
    """Four cells of a grid of nine, and two samples in one that was dropped."""
    flat = COUNTS.ravel()
    cell = np.repeat(np.where(flat > 5, np.cumsum(flat > 5) - 1, -1), flat)
    some, none = np.zeros(len(cell), np.int32), np.zeros((4, 2))
    return Layer(some, some, np.zeros((len(cell), 2)), cell, COUNTS, ROWS, COLUMNS, none, none)


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """The page from disk, at the address that is asked for."""
    found = Survey({}, {tap: layer() for tap in TAPS}, NAMES, {TAPS[0]: ADDS, TAPS[1]: -ADDS})
    units = list(map(str, found_units(found)))
    what = made_up(units, further=cells.files(found), tables={"cells": cells.table(found)})
    folder = tmp_path_factory.mktemp("activations") / "page"
    export(replace(what, layouts=[cells.layout(found)]), folder)
    shown, complaints = browser.new_page(viewport={"width": 1000, "height": 700}), []
    shown.on("console", lambda said: complaints.append(said.text))
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.home = (folder / "index.html").as_uri()
    shown.goto(shown.home)
    shown.wait_for_selector(".plane a")
    yield shown
    assert not complaints
    shown.close()


def found_units(found: Survey) -> list[str]:
    return [f"{tap}.cells:{i}" for tap, layer in found.layers.items() for i in range(len(layer.row))]


def test_cells_lie_on_the_plane_as_large_as_they_are_dense(page):
    places = page.eval_on_selector_all(".plane a", "all => all.map(a => [a.style.gridRow, a.style.gridColumn])")
    assert [[int(part.split("/")[0]) for part in pair] for pair in places] == [[1, 1], [2, 2], [3, 1], [3, 3]]
    wide = page.eval_on_selector_all(".plane img", "all => all.map(img => img.getBoundingClientRect().width)")
    assert wide[1] == max(wide) and wide[0] / wide[1] == pytest.approx(0.5, abs=0.02)  # 9 samples against 36
    assert page.locator(".plane i").count() == 1 and "2 activations" in page.get_attribute(".plane i", "title")
    page.click("text=Size by density")
    even = page.eval_on_selector_all(".plane img", "all => all.map(img => img.getBoundingClientRect().width)")
    assert max(even) == pytest.approx(min(even)) and page.url.endswith("#/activations?size=even")
    page.click("text=Size by density")


def test_a_class_shows_where_activations_add_to_it(page):
    page.select_option(".bar select", label="tabby cat")
    page.wait_for_selector(".count:has-text('2 of 4 cells')")
    seen = page.eval_on_selector_all(".plane a", "all => all.map(a => Number(a.style.opacity))")
    assert "adds 100 %" in page.text_content(".told")  # of the cell that adds most
    assert seen[3] == 1 and 0.6 < seen[0] < 0.65 and seen[1] == seen[2] < 0.1
    page.click(f"text={TAPS[1]}")  # the other layer, of which the opposite is true
    page.wait_for_selector(".count:has-text('1 of 4 cells')")
    assert "class=tabby" in page.url and f"tap={TAPS[1]}" in page.url
    page.select_option(".bar select", label="all classes")
    page.click(f"text={TAPS[0]}")


def test_a_cell_is_told_under_the_pointer_and_by_the_keyboard(page):
    page.hover("[data-cell='3']")
    told = page.text_content(".told")
    assert "tabby cat" in told and "25 of 88 activations, row 3, column 3" in told
    page.focus("[data-cell='3']")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.dataset.cell") == "1"
    assert HOSTILE[0] in page.text_content(".told h2")
    page.keyboard.press("Enter")
    page.wait_for_selector("article.unit")
    assert page.url.endswith("#/unit/blocks.0.resid_post.cells:1")
    page.goto(f"{page.home}#/?layout=activations")
    page.wait_for_selector(".wall")
