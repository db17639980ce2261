"""What classes are kinds of, what is told of the classes of photographs, and what regions of maps are called."""

import numpy as np
import pytest

from tests.support.made_up import made_up, received
from vitjax.atlas.page.export import export
from vitjax.atlas.page.layouts import chart
from vitjax.atlas.page.named.kinds import kinds
from vitjax.atlas.page.named.regions import regions
from vitjax.atlas.page.named.seen import Seen

DOGS = ["Labrador retriever", "golden retriever", "beagle", "pug"]
OTHERS = ["tabby, tabby cat", "goldfish", "banana", "sports car", "teapot"]


def of(classes: list[str], kind: str) -> list[str]:
    """The classes that are of a kind."""
    found = [one for one in kinds(classes) if kind in (one.name, *one.also)]
    return [classes[place] for one in found for place in one.of]


def test_classes_are_of_kinds():
    classes = DOGS + OTHERS
    assert of(classes, "dog") == DOGS and of(classes, "retriever") == DOGS[:2]
    assert of(classes, "animal") == [*DOGS, "tabby, tabby cat", "goldfish"]
    assert of(["n02099712", "n02110958", "banana"], "dog") == ["n02099712", "n02110958"]
    assert not of(classes, "entity")  # what all are
    assert kinds(["widget", "gadget x"]) == [] == kinds([])


def test_names_that_are_written_otherwise():
    classes = [*DOGS, "loggerhead sea turtle", "newt", "crane", "mystery"]
    assert of(classes, "turtle") == ["loggerhead sea turtle"] and of(classes, "amphibian") == ["newt"]
    assert not any(6 in one.of or 7 in one.of for one in kinds(classes))  # two are called crane
    assert not of(["chili dog", "x", "y"], "dog")  # where few names are WordNet's, a last word is no proof


@pytest.fixture(scope="module")
def seen() -> Seen:
    """144 units, of which those of the left half respond to dogs, one to each breed, and the right to anything."""
    chance = np.random.default_rng(0)
    left = [{name: 2 if name == "pug" else 1 for name in DOGS} | {OTHERS[n % 5]: 1} for n in range(72)]
    right = [dict.fromkeys(chance.choice(OTHERS, 4, replace=False).tolist(), 1) for _ in range(72)]
    return Seen([*left, *right])


def test_kinds_of_units():
    others = [{name: 1} for name in [*OTHERS, *(f"thing {number}" for number in range(40))]]
    dogs = dict.fromkeys(DOGS, 1) | {"thing 1": 1}
    seen = Seen([dogs, {"pug": 4, "thing 2": 1}, {"pug": 1, "thing 2": 4}, {}, *others])
    assert seen.kinds_of(0) == [("dog", 4)]
    assert seen.kinds_of(1) == []  # the class says it all
    assert seen.kinds_of(2) == seen.kinds_of(3) == []


def test_the_index_says_who_responds_to_what(seen):
    index = seen.index()
    pug = index["units"][index["classes"].index("pug")]
    assert pug.tolist() == [value for unit in range(72) for value in (unit, 2)] and index["photographs"] == 6


def test_regions_are_named_by_what_sets_them_apart(seen):
    units = np.arange(144)
    points = np.stack([np.where(units < 72, 0, 10) + units % 8, units // 8 % 9], axis=1).astype(float)
    laid = chart("looks", "by looks", points)
    first, *_ = regions(laid, seen)
    assert first.text == "dog" and first.kind and first.x < laid.columns / 2
    assert regions(laid, Seen([{}] * 144)) == []


def test_an_export_counts_and_leaves_silent_units_out(tmp_path):
    units = [f"logits:{number}" for number in range(4)]
    names = [{"pug": 3}, {"beagle": 2, "pug": 1}, {"beagle": 1}, {}]
    layouts = [chart("looks", "by looks", np.eye(4, 2))]
    contents = made_up(units, classes=(), duplicate=(), columns=(), layouts=layouts, seen=names, silent=[2])
    export(contents, tmp_path / "page")
    index = received(tmp_path / "page", "classes")
    assert index["classes"] == ["beagle", "pug"] and index["units"] == [[1, 2], [0, 3, 1, 1]]
    assert received(tmp_path / "page", "units")["silent"] == [2]
