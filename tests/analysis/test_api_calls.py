"""What the functions of the package say where they are given None, nothing, or something of another kind: one line."""

from importlib import import_module
from inspect import signature

import numpy as np
import pytest

import vitjax
from tests.support import small
from tests.support.pictures import levels
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.study.catalog import ANALYSES
from vitjax.analysis.units.maps import activation_maps
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models import text_tower as text
from vitjax.models.core.config import TextConfig
from vitjax.models.core.network import Network
from vitjax.optimize.visualize import resolve
from vitjax.units.units import Direction
from vitjax.weights.tokenizer import check_texts

DATA = Dataset(levels(3), small.CONFIG, 2)
TAP = "blocks.1.mlp.hidden"


def refused(call) -> str:
    """The line that a call is refused with."""
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def wrong(hint: str, name: str) -> list:
    """Values that an argument with such an annotation does not take."""
    found = [object()] if "None" in hint else [object(), None]
    if any(kind in hint for kind in ("Iterable", "Sequence", "list")):
        return [*found, 5.5, [None]] + ([] if name == "ignored" else [[]])
    if "int" in hint:
        return [*found, -1, True, 1.5] + ([0] if name in ("k", "count") else [])
    return [*found, float("nan")] if "float" in hint else found


@pytest.mark.parametrize("name", ANALYSES)
def test_an_analysis_says_which_argument_is_wrong(name):
    run = getattr(import_module(f"vitjax.analysis.{ANALYSES[name].module}"), ANALYSES[name].function)
    arguments = {key: one for key, one in signature(run).parameters.items() if key not in ("model", "data")}
    needed = {
        key: small.model() if one.annotation is Network else "nowhere"
        for key, one in arguments.items()
        if one.default is one.empty
    }
    for model in (None, "demo", small.CONFIG):
        assert refused(lambda model=model: run(model, DATA, **needed)).startswith("model is ")
    for data in (None, [np.zeros((32, 32, 3), np.uint8)], "photos"):
        assert "open it by vitjax.data.dataset.open_dataset" in refused(
            lambda data=data: run(small.model(), data, **needed)
        )
    for key, one in arguments.items():
        for value in wrong(str(one.annotation), key):
            said = refused(lambda key=key, value=value: run(small.model(), DATA, **needed | {key: value}))
            assert key in said or "is no unit" in said


def test_exemplars_want_names_of_taps():
    for taps, words in ((None, "taps is None"), ([], "taps is empty"), (5, "give a list"), ([5], "one of taps is of")):
        assert words in refused(lambda taps=taps: exemplars(small.model(), DATA, taps))
    assert "unknown tokens 'patch ²'" in refused(lambda: exemplars(small.model(), DATA, TAP, tokens="patch ²"))


def test_maps_want_images():
    for images in (None, [], np.zeros((0, 32, 32, 3), np.uint8), np.zeros((1, 3, 32, 32), np.uint8)):
        assert "they must be uint8 [image, 32, 32, 3]" in refused(
            lambda images=images: activation_maps(small.model(), images, f"{TAP}:0")
        )


@pytest.mark.parametrize("units", [None, [], {}, 5, [None], "", b"logits", [[]]], ids=repr)
def test_units_that_are_none(units):
    assert "unit" in refused(lambda: resolve(small.model(), units))


def test_an_index_longer_than_python_reads():
    assert refused(lambda: resolve(small.model(), f"{TAP}:{'9' * 5000}")).startswith(f"{TAP}:999")


@pytest.mark.parametrize("model", [None, "demo", 5, small.CONFIG], ids=lambda model: type(model).__name__)
def test_models_that_are_none(model):
    assert "is no model: load one" in refused(lambda: vitjax.visualize(model, "logits:0"))


@pytest.mark.parametrize("recipe", [None, 5, {}, ["default"]], ids=repr)
def test_recipes_that_are_none(recipe):
    assert "is no recipe: give a name" in refused(lambda: vitjax.visualize(small.model(), "logits:0", recipe))


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        (None, "is object, it must be real numbers"),
        ("a dog", "real numbers"),
        (np.ones(96, complex), "complex128"),
        (np.full(96, np.nan), "not finite"),
        (np.zeros(96), "only zeros"),
        ([1], "has 1 numbers"),
    ],
)
def test_directions_that_are_none(vector, words):
    assert words in refused(lambda: resolve(small.model(), Direction(TAP, "x", vector)))


@pytest.mark.parametrize("name", [None, 5, [], {}, b"demo"], ids=repr)
def test_names_of_models_that_are_none(name):
    for load in (vitjax.load, vitjax.load_text):
        assert "a model's name is of type" in refused(lambda load=load: load(name))
    assert "revision is of type int" in refused(lambda: vitjax.load("owner/name", revision=5))


@pytest.mark.parametrize("size", [True, 1.5, 0, -16, 10**9, [], "224", (8, True), (8, 8, 8)], ids=repr)
def test_sizes_that_are_none(size):
    assert "image_size" in refused(lambda: vitjax.load("demo", image_size=size))


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (None, "texts are None"),
        ("a dog", "one text: give a list"),
        ([], "no texts"),
        ([5], "5 is no text"),
        (5, "are 5"),
    ],
)
def test_texts_that_are_none(texts, words):
    assert words in refused(lambda: check_texts(texts))
    if texts != "a dog":
        assert words in refused(lambda: vitjax.sentence(None, texts))


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (None, "ids are of type NoneType"),
        ([[1, 2]], "ids are of type list"),
        (np.ones((1, 3)), "ids are float64"),
        (np.ones(3, int), r"of shape (3,): give whole numbers"),
        (np.ones((0, 3), int), "there is no text in them"),
        (np.array([[1, 9]]), "token 9 is not among this model's 9"),
        (np.array([[1, -1]]), "token -1 is not among"),
        (np.ones((1, 6), int), "the text has 6 tokens, this model reads 5"),
    ],
)
def test_token_ids_that_are_none(ids, words):
    model = text.abstract(TextConfig(width=24, depth=1, heads=2, mlp_width=32, vocabulary=9, context=5, eos=8))
    assert words in refused(lambda: model(ids))
