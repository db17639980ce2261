"""Units named by words: by the plain formula on a small random CLIP, and from the command line."""

import json

import numpy as np
import pytest
from PIL import Image

import vitjax
from tests.models.test_text import clip, transformers  # noqa: F401, fixtures
from tests.support import small
from vitjax.analysis.photographs.words import run
from vitjax.cli import main
from vitjax.data.dataset import open_dataset
from vitjax.data.pipeline import pixels
from vitjax.errors import InputError
from vitjax.weights.load_text import load_text

WORDS, TAP = ["dog", "cat", "do", "code"], "blocks.1.mlp.hidden"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 7 random images."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for i in range(7):
        Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).resize((32, 32)).save(folder / f"{i}.png")
    return folder


@pytest.mark.exhaustive
def test_words_are_the_nearest_to_the_best_images(clip, photos, monkeypatch):  # noqa: F811
    monkeypatch.setattr("vitjax.analysis.photographs.words.PROMPT", "{}")
    monkeypatch.setattr("vitjax.analysis.photographs.words.TEXTS", 3)
    model, normal = vitjax.load(clip[0], cache=False), lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)
    data = open_dataset(photos, model.config, batch=4)
    rows = run(model, data, words=[*WORDS, "dog", " "], taps=[TAP], k=2).rows
    images = pixels(data.images, range(7), model.config)
    values = small.read(model, images.astype(np.float32) / 255, reads=(TAP, "embedding"))
    embeddings, texts = normal(np.asarray(values["embedding"])), normal(np.asarray(load_text(clip[0])(WORDS)))
    best = np.argsort(-np.asarray(values[TAP])[:, 1:].mean(axis=1), axis=0)[:2]
    cosines = normal((embeddings - embeddings.mean(axis=0))[best].mean(axis=0)) @ normal(texts - texts.mean(axis=0)).T
    assert [row["unit"] for row in rows] == [f"{TAP}:{i}" for i in range(40)]
    assert [row["word"] for row in rows] == [WORDS[i] for i in cosines.argmax(axis=1)]
    np.testing.assert_allclose([row["cosine"] for row in rows], cosines.max(axis=1), atol=1e-4)
    np.testing.assert_allclose([row["second_cosine"] for row in rows], np.sort(cosines)[:, -2], atol=1e-4)
    assert len({row["word"] for row in rows}) > 1


def test_from_the_command_line(clip, photos, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("vitjax.analysis.photographs.words.PROMPT", "a {}")
    (tmp_path / "words.txt").write_text("".join(f"{i},{word}\n\n" for i, word in enumerate(WORDS)))
    line = ["--model", clip[0], "--data", photos, "--words", tmp_path / "words.txt", "--out", tmp_path / "out"]
    assert main(["analyze", "words", *map(str, line), "--taps", "pooled"]) == 0
    rows = json.loads((tmp_path / "out" / "words.json").read_text())["rows"]
    assert len(rows) == 24 and {row["word"] for row in rows} <= set(WORDS)


def test_mistakes_are_named(clip, photos):  # noqa: F811
    model, encoder = vitjax.load("demo"), load_text(clip[0])
    data = open_dataset(photos, model.config)
    with pytest.raises(InputError, match="1 words to choose from, there must be two"):
        run(model, data, words=["dog"], text=encoder)
    with pytest.raises(InputError, match=r"cannot read lost\.txt"):
        run(model, data, words="lost.txt", text=encoder)
    with pytest.raises(InputError, match="a checkpoint of vitjax has no text tower"):
        run(model, data, words=WORDS)
