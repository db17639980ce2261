"""Dictionaries of every format, written as their libraries do, against their formulas in numpy's float64."""

import json
import pickle
from functools import partial

import numpy as np
import pytest

from tests.support import dictionary_files as files
from tests.support import small
from tests.support.said import said
from vitjax.errors import InputError
from vitjax.models.dictionaries.dictionary import Dictionary
from vitjax.models.dictionaries.form import Form
from vitjax.weights import parameters
from vitjax.weights.dictionaries import sanity
from vitjax.weights.dictionaries.ours import save_dictionary
from vitjax.weights.dictionaries.read import parse, read_dictionary
from vitjax.weights.find import hub


@pytest.mark.parametrize("what", files.FILES)
def test_a_file_is_read_as_its_library_would(what, tmp_path):
    write, latents, together = files.FILES[what]
    if what == "saev topk":  # of negative ones
        write = partial(files.saev, header=files.CARDS, tensors=files.PLAIN | {"b_enc": files.BE - 9})
    found = read_dictionary(write(tmp_path))
    assert found.form.tap == files.TAP and found.card.format == what.split()[0] and len(found.card.sha256) == 64
    assert found.form.tokens == ("patches" if what.startswith("saev") or what == "prisma gated" else "all")
    z = found.activate(found.encode(files.X))
    np.testing.assert_allclose(z, latents, rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(found.decode(z, files.X), together(latents), rtol=1e-4, atol=1e-4)


def test_the_format_says_which_way_a_square_encoder_lies(tmp_path):
    """With as many latents as channels no shape tells [channel, latent] from [latent, channel]."""
    e, w, be, bd = (one[..., :8] for one in (files.E, files.W[:8], files.BE, files.BD))
    square = {"W_enc": e, "b_enc": be, "W_dec": w, "b_dec": bd}
    linear = {"encoder.weight": e.T, "encoder.bias": be, "decoder.weight": w.T, "b_dec": bd}
    for write, due in (
        (partial(files.saev, header={"schema": 2, "cfg": {}}, tensors=square), files.X @ e + be),
        (partial(files.state, tensors=linear | {"k": np.int32(3)}), (files.X - bd) @ e + be),
    ):
        found = read_dictionary(write(tmp_path))
        np.testing.assert_allclose(found.encode(files.X), due, rtol=1e-4, atol=2e-5)
        np.testing.assert_array_equal(found.arrays["decoder"][...], w)


def test_ours_is_written_and_read_back_whole(tmp_path):
    """With its form, and where it came from before."""
    first = read_dictionary(files.prisma(tmp_path, files.GATES, architecture="gated"))
    save_dictionary(first, tmp_path / "ours")
    again = read_dictionary(tmp_path / "ours")
    assert again.form == first.form and json.loads((tmp_path / "ours/dictionary.json").read_text())["source"]
    assert again.card.format == "vitjax" and again.card.sha256 != first.card.sha256
    for name, variable in first.arrays.items():
        np.testing.assert_array_equal(again.arrays[name][...], variable[...])
    assert (
        read_dictionary(f"blocks.0.mlp.out@fine={tmp_path / 'ours'},tokens=class").taps[1]
        == "blocks.0.mlp.out.sae@fine"
    )


class Bomb:
    """Unpickling this makes a file."""

    def __reduce__(self):
        return open, ("exploded", "w")


@pytest.mark.parametrize(
    ("write", "what"),
    [
        (partial(files.state, tensors={"a": files.E}), "is no dictionary of vitjax, saev, .* it has the tensors a"),
        (
            lambda folder: str(files.torch_file(folder / "x.pt", files.LINEAR | {"k": np.int32(3)})),
            "does not say of which tap it is",
        ),
        (partial(files.state, tensors=files.LINEAR | {"k": np.int32(0)}), "keeps the 0 largest of 12"),
        (
            partial(files.state, tensors=files.SCORES, more=",kk=3"),
            "'kk' is nothing that is said of a dictionary .did you mean k",
        ),
        (partial(files.state, tensors=files.SCORES, more=",k=three"), "k=three of a dictionary is no int"),
        (partial(files.state, tensors=files.SCORES, more=",activation=tokp"), "activation 'tokp' .did you mean topk"),
        (
            partial(files.state, tensors=files.SCORES | {"encoder.final_block.1.weight": files.BE}),
            "an encoder of several layers",
        ),
        (
            partial(files.state, tensors=files.LINEAR | {"k": np.int32(3), "b_dec": files.BD * np.nan}),
            "numbers that are not finite",
        ),
        (
            partial(files.lens, tensors=files.PLAIN | {"W_enc": files.E.T}, d_sae=files.M),
            "encoder is .12, 8. .* is it transposed",
        ),
        (
            partial(files.lens, tensors=files.PLAIN, d_sae=files.M, architecture="temporal"),
            "architecture 'temporal': standard",
        ),
        (partial(files.saev, header={"schema": 1, "cls": "Swish"}, tensors=files.PLAIN), "the activation 'swish'"),
        (partial(files.saev, header={"schema": 9, "cfg": {}}, tensors={"W_enc": files.E}), "has no tensor b_enc"),
        (partial(files.prisma, tensors=files.PLAIN, is_transcoder=True), "is a transcoder"),
        (lambda folder: f"{files.TAP}={folder}/sae.pt", "does not exist: write TAP=FILE"),
        (lambda folder: f"{files.TAP}={folder}", "has no file of tensors"),
        (
            partial(files.state, tensors=files.PLAIN, cfg=files.cfg("os", "system", {})),
            "it names os.system, and only tensors",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_a_line(write, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=what):
        read_dictionary(write(tmp_path))


def test_the_folder_of_a_training_names_the_dictionary_in_it(tmp_path):
    save_dictionary(
        read_dictionary(files.prisma(tmp_path, files.GATES, architecture="gated")), tmp_path / "run/dictionary"
    )
    with pytest.raises(InputError, match=r"no file of tensors; .*/dictionary has a dictionary"):
        read_dictionary(tmp_path / "run")


def test_nothing_in_a_pickle_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bomb = pickle.dumps(Bomb(), 2)[2:-1]
    with pytest.raises(InputError, match="is refused: it names"):
        read_dictionary(files.state(tmp_path, files.PLAIN, cfg=bomb))
    assert not (tmp_path / "exploded").exists()


def test_what_a_dictionary_explains_of_a_model():
    """One that puts activations together from themselves explains all; another less, and likely causes are named."""
    both = np.concatenate([np.eye(48), -np.eye(48)], axis=1).astype(np.float32)
    whole = Dictionary(Form(files.TAP), {"encoder": both, "decoder": both.T})
    poor = whole.of(name="poor", norm="rms_norm", activation="topk", k=1)
    model = small.model().with_dictionary(whole, poor)
    images = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)
    found = sanity.explained(model, images)
    assert found[f"{files.TAP}.sae"] == (pytest.approx(1, abs=1e-5), 48)
    with said(r"sae@poor explains -?[\d.]+ of the variance .* latents a token: is it of another model, or of a block"):
        sanity.check(model, images)
    assert parameters.digest(model) == parameters.digest(small.model())


def test_a_file_of_the_hub_comes_with_its_settings(tmp_path, monkeypatch):
    """From the folder of the file, at one commit."""
    asked, folder = [], tmp_path / "snapshots" / "c0ffee" / "layer"
    folder.mkdir(parents=True)
    files.FILES["sparsify"][0](folder)

    def download(repo, file, revision):
        asked.append((repo, file, revision))
        if not (path := folder.parent / file).exists():
            raise hub.Absent(file)
        return str(path)

    monkeypatch.setattr(hub, "download", download)
    found = read_dictionary("blocks.3.resid_post=a/b@v1:layer/sae.safetensors")
    assert (found.form.tap, found.form.k) == ("blocks.3.resid_post", 3)
    assert asked == [
        ("a/b", "layer/sae.safetensors", "v1"),
        ("a/b", "layer/cfg.json", "c0ffee"),
        ("a/b", "layer/config.json", "c0ffee"),
    ]
    assert found.card.source == "a/b:layer/sae.safetensors"


def test_a_path_with_commas_or_equals_signs(tmp_path):
    (tmp_path / "a=b").mkdir()
    assert parse(tmp_path / "a=b").path == tmp_path / "a=b"
    assert parse(f"x.y={tmp_path / 'a=b'}").form == {"tap": "x.y", "name": ""}
