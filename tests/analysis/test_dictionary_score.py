"""Scores of dictionaries: each measure on data made by hand, and a whole score against numpy."""

import jax
import numpy as np
import pytest

from tests.support import noise, small
from vitjax.analysis.dictionaries import dictionary_measures as measures
from vitjax.analysis.dictionaries.dictionary_pass import _loss
from vitjax.analysis.dictionaries.dictionary_score import run
from vitjax.cli import main
from vitjax.errors import InputError
from vitjax.models.dictionaries.dictionary import Dictionary
from vitjax.models.dictionaries.form import Form
from vitjax.weights.dictionaries.ours import save_dictionary

TAP = "blocks.1.resid_post"
RNG = np.random.default_rng(0)


def test_measures_by_hand():
    """The mean explains nothing, all explains all, and latents are counted at every token."""
    x = RNG.standard_normal((50, 6))
    z = np.zeros((50, 4))
    z[:, 0], z[:5, 1], z[7, 2] = 1, 2, -3
    of_mean = measures.overall(measures.sums(x, np.broadcast_to(x.mean(axis=0), x.shape), z))
    assert of_mean["nmse"] == 1 and of_mean["explained"] == 0 and of_mean["nmse_token"] == pytest.approx(1)
    assert of_mean["l0"] == pytest.approx(56 / 50) and of_mean["dead"] == 1 / 4 and of_mean["dense"] == 3 / 4
    same = measures.overall(measures.sums(x, x, z))
    assert same["nmse"] == 0 and same["cosine"] == pytest.approx(1) and same["shrinkage"] == pytest.approx(1)
    assert measures.overall(measures.sums(x, x / 2, z))["shrinkage"] == pytest.approx(2)
    x[0] *= 1e4  # a token of huge norm is all of the error, or one token
    half = measures.overall(measures.sums(x, np.where(np.arange(50)[:, None] == 0, x.mean(axis=0), x), z))
    assert half["nmse"] > 0.97 and half["nmse_token"] == pytest.approx(1 / 50)
    nothing = measures.overall(measures.sums(x, 0 * x, z))
    assert nothing["cosine"] == 0 and nothing["shrinkage"] == 0
    np.testing.assert_array_equal(measures.when_active(measures.sums(x, x, z)), [1, 2, -3, np.nan])


def test_losses_by_hand():
    """What zero ablation costs is given back, or not; uniform logits cost ln C."""
    assert measures.recovered(1, 1, 3) == 1 and measures.recovered(1, 3, 3) == 0 and measures.recovered(1, 2, 3) == 0.5
    assert np.isnan(measures.recovered(1, 1, 1))
    np.testing.assert_allclose(_loss(np.full((2, 10), 3.0), np.zeros((2, 10)), np.array([4, 0])), np.log(10), rtol=1e-6)


def test_likeness_by_hand():
    """A latent and its copy are one; opposite ones are as coherent; pairs are found in any order."""
    rows = np.eye(4, 8)
    np.testing.assert_array_equal(measures.coherence(rows), 0)
    np.testing.assert_allclose(measures.coherence(np.concatenate([rows, -2 * rows[:1]])), [1, 0, 0, 0, 1])
    other = RNG.standard_normal((9, 8))
    order = RNG.permutation(9)
    assert measures.stability(other, 3 * other[order]) == pytest.approx(1)
    np.testing.assert_allclose(measures.nearest(other[:2], other), 1, rtol=1e-6)
    assert measures.stability(rows, np.eye(4, 8)[[0, 1, 1, 1]]) == pytest.approx(0.5)
    place = np.array([[0, 1, 2], [2, 1, 5], [7, 8, 9], [0, 0, 0]])
    there = np.array([[1, 1, 1], [1, 1, 1], [1, 1, 0], [0, 0, 0]], bool)
    np.testing.assert_allclose(measures.shared(place, there, 10), [0.5, 0.5, 0, np.nan])


def made(width: int = 20, channels: int = 48, **form) -> Dictionary:
    """A dictionary of random latents, which explain a little."""
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((width, channels)).astype(np.float32) / 7
    bias = np.where(np.arange(width) < 3, -1e6, -1).astype(np.float32)
    return Dictionary(Form(TAP, **form), {"encoder": rows.T, "decoder": rows, "encoder_bias": bias})


@jax.jit
def _run(model, images, again):
    edits = (None, {TAP: lambda x: again}, {TAP: lambda x: 0 * x})
    return [model(images, [TAP, "logits"], edit) for edit in edits]


def test_a_score_is_what_numpy_says():
    """Sums over images in batches, with the last one not full; and the model's loss with x^ in place of x."""
    data, one = noise.dataset(7, 4), made()
    model = small.model().with_dictionary(one)
    findings = run(model, data, taps=[f"{TAP}.sae"])
    (row,) = findings.rows
    images = noise.pixels(data)
    x = np.asarray(small.read(small.model(), images, reads=TAP)[TAP])
    z = one.activate(one.encode(x))
    again = one.decode(z, x)
    flat = lambda value: np.asarray(value).reshape(-1, value.shape[-1])
    due = measures.overall(measures.sums(flat(x), flat(again), flat(z)))
    for name, value in due.items():
        assert row[name] == pytest.approx(value, rel=1e-4), name
    labels = data.labels_for(model)
    logits = [np.asarray(found["logits"], np.float64) for found in _run(small.model(), images, again)]
    loss = [np.mean(np.log(np.exp(one).sum(axis=1)) - one[np.arange(7), labels]) for one in logits]
    np.testing.assert_allclose([row["loss"], row["loss_rebuilt"], row["loss_zero"]], loss, rtol=1e-4)
    assert row["recovered"] == pytest.approx(measures.recovered(*loss), rel=1e-2)
    table = findings.tables["dictionary-score-latents"].to_pydict()
    assert row["dead"] >= 3 / 20 and table["density"][:3] == [0, 0, 0] and row["images"] == 7


@pytest.mark.exhaustive
def test_tokens_that_a_dictionary_is_not_for_stay():
    """Of a dictionary of patches the class token counts nowhere; and a model's output is compared without classes."""
    data = noise.dataset(3, 3)
    rows = run(
        small.model().with_dictionary(made(tokens="patches"), made(tokens="class", name="c")), data, loss="cosine"
    ).rows
    assert [row["tokens"] for row in rows] == [3 * 16, 3] and all(
        row["loss"] == pytest.approx(0, abs=1e-6) for row in rows
    )
    assert rows[0]["loss_zero"] > 0 and rows[1]["loss_rebuilt"] >= 0


def test_what_is_wrong_is_said(tmp_path, checkpoint, capsys):
    """In a line; and the command is that of the analysis."""
    data = noise.dataset(3, 3)
    with pytest.raises(InputError, match="the model has no dictionary"):
        run(small.model(), data)
    model = small.model().with_dictionary(made())
    with pytest.raises(InputError, match=r"blocks.1.resid_post.sea is of no dictionary .did you mean"):
        run(model, data, taps=["blocks.1.resid_post.sea"])
    with pytest.raises(InputError, match="unknown loss 'class'"):
        run(model, data, loss="class")
    save_dictionary(made(channels=8), tmp_path / "other")
    with pytest.raises(InputError, match=r"has 8 channels, that of blocks.1.resid_post.sae has 48"):
        run(model, data, beside=str(tmp_path / "other"))
    save_dictionary(made(), tmp_path / "features")
    from PIL import Image

    Image.new("RGB", (32, 32)).save(tmp_path / "one.png")
    line = ["--model", str(checkpoint), "--data", str(tmp_path / "one.png"), "--out", str(tmp_path / "out")]
    line += ["--dictionary", str(tmp_path / "features"), "--beside", str(tmp_path / "features"), "--loss", "cosine"]
    assert main(["dictionary", "score", *line]) == 0
    assert "of the variance with" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "dictionary-score.json", "dictionary-score.csv", "dictionary-score.png", "dictionary-score-latents.parquet"
    }  # fmt: skip
