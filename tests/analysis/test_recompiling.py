"""A second call of an analysis compiles nothing: programs belong to functions that stay, not to calls."""

from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module

import jax
import numpy as np
import pytest

from tests.support import noise, small
from tests.support.pictures import encode, photo, unpack
from tests.support.plain import PLAIN
from vitjax.analysis.photographs.likeness import nearest, repeats
from vitjax.analysis.study.catalog import ANALYSES
from vitjax.analysis.units import attention_features
from vitjax.data.dataset import Dataset, open_dataset
from vitjax.models.dictionaries.dictionary import Dictionary
from vitjax.models.dictionaries.form import Form
from vitjax.optimize.recipes import choose
from vitjax.optimize.results.pictures import Pictures, append
from vitjax.units.units import expand
from vitjax.weights.load_text import TextEncoder

CONFIG = replace(small.CONFIG, depth=1, width=24, heads=2, mlp_width=32, registers=0)
MODEL = noise.model(CONFIG)
QUICK = choose("default", steps=1, **PLAIN)
UNITS = "blocks.0.mlp.hidden:3,5"
STREAM = ["embed:7", "blocks.0.resid_post:7"]
COMPILED = "/jax/core/compile/backend_compile_duration"


class Encoder(TextEncoder):
    """A text tower that says for every text the same."""

    def __init__(self):
        super().__init__(None, None)

    def __call__(self, texts):
        return np.random.default_rng(0).normal(size=(len(texts), CONFIG.classes)).astype(np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Dataset:
    """Three photographs with two boxes each, whose names say their classes."""
    names = [f"{i:04}_n{i:08}_thing.png" for i in range(3)]
    files = {name: encode(photo(64, 64, i)) for i, name in enumerate(names)}
    lines = [f"{name}\tn{i:08}\t{side}\t0\t{side + 31}\t63\n" for i, name in enumerate(names) for side in (0, 32)]
    folder = unpack(tmp_path_factory.mktemp("photos"), files | {"a_boxes.txt": "".join(lines).encode()})
    return open_dataset(folder, CONFIG, batch=2)


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """A folder of pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    units = expand([UNITS, *STREAM], MODEL.taps())
    images = np.stack([np.asarray(photo(32, 32, i)) for i in range(len(units))])
    history = {name: np.tile(np.arange(9.0), (len(units), 1)) for name in ("loss", "activation", "total_variation")}
    append(folder, Pictures(images, units, np.zeros(len(units)), history, QUICK, 0, {}, 1))
    return folder


@contextmanager
def compilations():
    """A list that has the seconds of every compilation meanwhile."""
    found = []

    def listen(event: str, seconds: float, **about) -> None:
        if event == COMPILED:
            found.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def assert_kept(call) -> None:
    """The first call may compile, the second may not."""
    call()
    with compilations() as found:
        call()
    assert not found, f"the second call compiled {len(found)} programs"


RANDOM = {
    name: np.random.default_rng(0).standard_normal(shape, np.float32)
    for name, shape in {"encoder": (24, 8), "encoder_bias": 8, "decoder": (8, 24), "decoder_bias": 24}.items()
}
WITH_LATENTS = MODEL.with_dictionary(Dictionary(Form("blocks.0.resid_post"), RANDOM))
OPTIONS = {
    "directions": {"tap": "blocks.0.resid_post", "count": 2, "sample": 40},
    "grid": {"tap": "blocks.0.resid_post", "groups": 2, "recipe": QUICK},
    "maps": {"units": UNITS, "k": 2},
    "features": {"count": 1, "recipe": QUICK},
    "view-cards": {"units": STREAM, "k": 2},
    "views": {"units": STREAM, "heads": "own"},
    "occlusion": {"ratios": [0.5], "fills": ["remove"]},
    "shuffle": {"grids": [2], "control": True},
    "norms": {"times": 1.2},
    "tokens": {"grids": [2], "embeddings": ["published"], "layout": "none"},
    "match": {"other": MODEL},
    "cka": {"other": MODEL},
    "scores": {"encoder": MODEL, "count": 3, "k": 2, "control": True},
    "words": {"words": ["dog", "cat"], "text": Encoder()},
}


@pytest.mark.representatives(
    "report-card",
    "exemplars",
    "maps",
    "objects",
    "directions",
    "words",
    "masking",
    "match",
    "cka",
    "class-token",
    "frequency",
    "view-worth",
    "patch-heads",
)
@pytest.mark.parametrize("name", ANALYSES)
def test_no_analysis_compiles_twice(name, data, painted, monkeypatch):
    monkeypatch.setattr(attention_features, "KINDS", dict(list(attention_features.KINDS.items())[2:]))  # two will do
    run = getattr(import_module(f"vitjax.analysis.{ANALYSES[name].module}"), ANALYSES[name].function)
    options = dict(OPTIONS.get(name, {}))
    if any(option.name == "pictures" for option in ANALYSES[name].options):
        options["pictures"] = painted
    model = WITH_LATENTS if name == "dictionary-score" else MODEL
    if name == "grid":  # of one photograph
        data = replace(data, images=data.images.some(1))
    assert_kept(lambda: run(model, data, **options))


def test_nor_does_the_likeness_of_units():
    vectors = np.random.default_rng(0).normal(size=(7, 5))
    assert_kept(lambda: (nearest(vectors, [0, 0, 0, 1, 1, 1, 1], k=2), repeats(vectors)))


def test_that_a_compilation_is_seen():
    with compilations() as found:
        jax.jit(lambda x: x + 1)(np.ones(3))
    assert len(found) == 1
