"""Dictionaries of every format, written here as their libraries do, against their formulas in numpy's float64."""

import json
import pickle
from functools import partial

import numpy as np
import pytest
from safetensors.numpy import save

from tests.support import small, torch_files
from tests.support.said import said
from vitjax.errors import InputError
from vitjax.models.dictionaries.dictionary import Dictionary
from vitjax.models.dictionaries.form import Form
from vitjax.weights import parameters
from vitjax.weights.dictionaries import sanity
from vitjax.weights.dictionaries.ours import save_dictionary
from vitjax.weights.dictionaries.read import parse, read_dictionary

D, M, TAP = 8, 12, "blocks.1.resid_post"
RNG = np.random.default_rng(3)
X = RNG.standard_normal((20, D)).astype(np.float32) * 2 + 0.5
E, W = RNG.standard_normal((D, M), np.float32), RNG.standard_normal((M, D), np.float32)
BE, BD = RNG.standard_normal(M, np.float32), RNG.standard_normal(D, np.float32)
GATE, MAG, BM = (RNG.standard_normal(M, np.float32) for _ in range(3))
LEVEL = np.float32(0.7)
RELU = lambda h: np.maximum(h, 0)
PLAIN = {"W_enc": E, "b_enc": BE, "W_dec": W, "b_dec": BD}
LINEAR = {"encoder.weight": E.T, "encoder.bias": BE, "decoder.weight": W.T, "b_dec": BD}
LARGEST = lambda h, k: np.where(h >= np.sort(h, axis=1)[:, -k, None], h, 0)


def _cfg(module, name, said):
    """The instructions that put an object with these attributes on the stack."""
    return f"c{module}\n{name}\n".encode() + b")\x81" + torch_files.value(said) + b"b"


def _torch(path, tensors, **notes):
    """Writes tensors as torch does, in a "state_dict" beside notes if there are any."""
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    views = {}
    for number, (name, one) in enumerate(tensors.items()):
        kind = {"float32": "FloatStorage", "int64": "LongStorage", "int32": "IntStorage"}[str(one.dtype)]
        strides = tuple(step // one.itemsize for step in one.strides)
        views[name] = torch_files.view(str(number), kind, one.size, 0, one.shape, strides)
    inner = torch_files.program(views)
    code = torch_files.program({**notes, "state_dict": inner[2:-1]}) if notes else inner
    return torch_files.write(path, code, {str(i): one.tobytes() for i, one in enumerate(tensors.values())})


def _saev(folder, header, tensors):
    path = _torch(folder / "plain.zip", tensors)
    (folder / "sae.pt").write_bytes(json.dumps(header).encode() + b"\n" + path.read_bytes())
    path.unlink()
    return f"{TAP}={folder / 'sae.pt'}"


def _prisma(folder, tensors, **said):
    said = {"cls_token_only": False, "activation_fn_str": "relu", "hook_point_layer": 1, **said}
    cfg = _cfg("vit_prisma.sae.config", "VisionModelSAERunnerConfig", {"layer_subtype": "hook_resid_post", **said})
    return _torch(folder / "weights.pt", tensors, cfg=cfg)


def _lens(folder, tensors, name="sae_weights.safetensors", **said):
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    (folder / name).write_bytes(save(tensors))
    (folder / "cfg.json").write_text(json.dumps({"d_in": D, **said}))
    return f"{TAP}={folder}"


def _state(folder, tensors, more="", **notes):
    return f"{TAP}={_torch(folder / 'ae.pt', tensors, **notes)}{more}"


def _gated(u):
    return np.where(u @ E + GATE > 0, RELU(u @ (E * np.exp(MAG)) + BM), 0)


ROWS = W / (np.linalg.norm(W, axis=1, keepdims=True) + 1e-8) * np.exp(0.3)
POINTS = RNG.standard_normal((5, D), np.float32)
MIXED, RELAXED = RNG.random((M, 5), np.float32) - 0.2, RNG.standard_normal((M, D), np.float32)
HULL = RELU(MIXED) / (RELU(MIXED).sum(1, keepdims=True) + 1e-8) @ POINTS
HULL = HULL + RELAXED / np.maximum(np.linalg.norm(RELAXED, axis=1, keepdims=True), 1)
ONE = np.linalg.norm(W, axis=1)
STD = X.std(1, ddof=1, keepdims=True)
MEAN = X.mean(1, keepdims=True)
GATES = {"W_enc": E, "W_dec": W, "b_dec": BD, "b_gate": GATE, "r_mag": MAG, "b_mag": BM}
CARDS = {"schema": 5, "cfg": {"d_model": D, "activation": {"cls": "TopK", "params": {"top_k": 3}}}}
BATCH = {"schema": 1, "cls": "BatchTopK", "cfg": {"top_k": 3}}
SCORES = {"dictionary._weights": W, "dictionary.multiplier": np.float32(0.3), "encoder.final_block.0.weight": E.T}
RA = {"dictionary.C": POINTS, "dictionary.W": MIXED, "dictionary.Relax": RELAXED, "dictionary.multiplier": LEVEL}
H, CENTRED = X @ E + BE, (X - BD) @ E + BE
above = lambda h, level: np.where(h > level, RELU(h), 0)

# {what: (a function that writes it, its format, the latents due, what it puts together of latents z)}
FILES = {
    "saev relu": (partial(_saev, header={"schema": 2, "cfg": {}}, tensors=PLAIN), RELU(H), lambda z: z @ W + BD),
    "saev legacy": (partial(_saev, header={"d_vit": D}, tensors=PLAIN), RELU(CENTRED), lambda z: z @ W + BD),
    "saev topk": (partial(_saev, header=CARDS, tensors=PLAIN), LARGEST(H - 9, 3), lambda z: z @ W + BD),
    "saev batchtopk": (
        partial(_saev, header=BATCH, tensors=PLAIN | {"activation.threshold": LEVEL}),
        above(H, LEVEL),
        lambda z: z @ W + BD,
    ),
    "prisma": (
        partial(_prisma, tensors=PLAIN),
        RELU(((X - MEAN) / (STD + 1e-5) - BD) @ E + BE),
        lambda z: (z @ W + BD) * STD + MEAN,
    ),
    "prisma topk": (
        partial(
            _prisma, tensors=PLAIN, activation_fn_str="topk", activation_fn_kwargs={"k": 4}, normalize_activations="none"
        ),
        RELU(LARGEST(CENTRED, 4)),
        lambda z: z @ W + BD,
    ),
    "prisma gated": (
        partial(_prisma, tensors=GATES, architecture="gated", normalize_activations=None, use_patches_only=True),
        _gated(X - BD),
        lambda z: z @ W + BD,
    ),
    "patchsae": (
        partial(_state, tensors=PLAIN, cfg=_cfg("src.sae_training.config", "ViTSAERunnerConfig", {"block_layer": -2})),
        RELU(CENTRED),
        lambda z: z @ W + BD,
    ),
    "overcomplete": (
        partial(_state, tensors=SCORES | {"encoder.final_block.0.bias": BE}, more=",activation=topk,k=3"),
        RELU(LARGEST(H, 3)),
        lambda z: z @ ROWS,
    ),
    "overcomplete jump": (
        partial(_state, tensors=SCORES | {"thresholds": MAG}),
        np.where(X @ E >= np.exp(MAG), RELU(X @ E), 0),
        lambda z: z @ ROWS,
    ),
    "overcomplete archetypal": (
        partial(_state, tensors=RA | {"encoder.weight": E.T}, more=",threshold=0.5"),
        above(X @ E, 0.5),
        lambda z: z @ HULL * np.exp(LEVEL),
    ),
    "sae-for-vlm batchtopk": (
        partial(_state, tensors=LINEAR | {"k": np.int32(3), "threshold": LEVEL}),
        above(CENTRED, LEVEL),
        lambda z: z @ W + BD,
    ),
    "sae-for-vlm untrained": (
        partial(_state, tensors=PLAIN | {"k": np.int32(3), "threshold": -LEVEL, "group_sizes": np.array([4, 8])}),
        RELU(CENTRED),
        lambda z: z @ W + BD,
    ),
    "sae-for-vlm topk": (
        partial(_state, tensors=LINEAR | {"k": np.int32(3)}),
        RELU(LARGEST(CENTRED, 3)),
        lambda z: z @ W + BD,
    ),
    "sae-for-vlm standard": (
        partial(
            _state, tensors={"encoder.weight": E.T, "encoder.bias": BE, "decoder.weight": W.T, "bias": BD}
        ),
        RELU(CENTRED) * ONE,
        lambda z: z @ (W / ONE[:, None]) + BD,
    ),
    "sparsify": (
        partial(
            _lens,
            tensors={"encoder.weight": E.T, "encoder.bias": BE, "W_dec": W, "b_dec": BD},
            name="sae.safetensors",
            k=3,
            activation="topk",
        ),
        RELU(LARGEST(CENTRED, 3)),
        lambda z: z @ W + BD,
    ),
    "saelens": (
        partial(_lens, tensors=PLAIN, d_sae=M, apply_b_dec_to_input=False, normalize_activations="layer_norm"),
        RELU((X - MEAN) / (STD + 1e-5) @ E + BE),
        lambda z: (z @ W + BD) * STD + MEAN,
    ),
    "saelens jumprelu": (
        partial(_lens, tensors=PLAIN | {"threshold": abs(MAG)}, d_sae=M, architecture="jumprelu"),
        above(CENTRED, abs(MAG)),
        lambda z: z @ W + BD,
    ),
    "saelens topk": (
        partial(
            _lens, tensors=PLAIN, d_sae=M, architecture="topk", k=3, rescale_acts_by_decoder_norm=True,
            normalize_activations="constant_norm_rescale",
        ),
        RELU(LARGEST(((X / np.linalg.norm(X, axis=1, keepdims=True) * D**0.5 - BD) @ E + BE) * ONE, 3)),
        lambda z: (z @ (W / ONE[:, None]) + BD) * np.linalg.norm(X, axis=1, keepdims=True) / D**0.5,
    ),
    "saelens gated": (
        partial(_lens, tensors=GATES, d_sae=M, architecture="gated"), _gated(X - BD), lambda z: z @ W + BD
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FILES)
def test_a_file_is_read_as_its_library_would(what, tmp_path):
    write, latents, together = FILES[what]
    if what == "saev topk":  # of negative ones
        write = partial(_saev, header=CARDS, tensors=PLAIN | {"b_enc": BE - 9})
    found = read_dictionary(write(tmp_path))
    assert found.form.tap == TAP and found.card.format == what.split()[0] and len(found.card.sha256) == 64
    assert found.form.tokens == ("patches" if what.startswith("saev") or what == "prisma gated" else "all")
    z = found.activate(found.encode(X))
    np.testing.assert_allclose(z, latents, rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(found.decode(z, X), together(latents), rtol=1e-4, atol=1e-4)


def test_ours_is_written_and_read_back_whole(tmp_path):
    """With its form, and where it came from before."""
    first = read_dictionary(_prisma(tmp_path, GATES, architecture="gated"))
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
        (partial(_state, tensors={"a": E}), "is no dictionary of vitjax, saev, .* it has the tensors a"),
        (lambda folder: str(_torch(folder / "x.pt", LINEAR | {"k": np.int32(3)})), "does not say of which tap it is"),
        (partial(_state, tensors=LINEAR | {"k": np.int32(0)}), "keeps the 0 largest of 12"),
        (partial(_state, tensors=SCORES, more=",kk=3"), "'kk' is nothing that is said of a dictionary .did you mean k"),
        (partial(_state, tensors=SCORES, more=",k=three"), "k=three of a dictionary is no int"),
        (partial(_state, tensors=SCORES, more=",activation=tokp"), "activation 'tokp' .did you mean topk"),
        (partial(_state, tensors=SCORES | {"encoder.final_block.1.weight": BE}), "an encoder of several layers"),
        (partial(_state, tensors=LINEAR | {"k": np.int32(3), "b_dec": BD * np.nan}), "numbers that are not finite"),
        (partial(_lens, tensors=PLAIN | {"W_enc": E.T}, d_sae=M), "encoder is .12, 8. .* is it transposed"),
        (partial(_lens, tensors=PLAIN, d_sae=M, architecture="temporal"), "architecture 'temporal': standard"),
        (partial(_saev, header={"schema": 1, "cls": "Swish"}, tensors=PLAIN), "the activation 'swish'"),
        (partial(_saev, header={"schema": 9, "cfg": {}}, tensors={"W_enc": E}), "has no tensor b_enc"),
        (partial(_prisma, tensors=PLAIN, is_transcoder=True), "is a transcoder"),
        (lambda folder: f"{TAP}={folder}/sae.pt", "does not exist: write TAP=FILE"),
        (lambda folder: f"{TAP}={folder}", "has no file of tensors"),
        (partial(_state, tensors=PLAIN, cfg=_cfg("os", "system", {})), "it names os.system, and only tensors"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_a_line(write, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=what):
        read_dictionary(write(tmp_path))


def test_nothing_in_a_pickle_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bomb = pickle.dumps(Bomb(), 2)[2:-1]
    with pytest.raises(InputError, match="is refused: it names"):
        read_dictionary(_state(tmp_path, PLAIN, cfg=bomb))
    assert not (tmp_path / "exploded").exists()


def test_what_a_dictionary_explains_of_a_model():
    """One that puts activations together from themselves explains all; another less, and likely causes are named."""
    both = np.concatenate([np.eye(48), -np.eye(48)], axis=1).astype(np.float32)
    whole = Dictionary(Form(TAP), {"encoder": both, "decoder": both.T})
    poor = whole.of(name="poor", norm="rms_norm", activation="topk", k=1)
    model = small.model().with_dictionary(whole, poor)
    images = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)
    found = sanity.explained(model, images)
    assert found[f"{TAP}.sae"] == (pytest.approx(1, abs=1e-5), 48)
    with said(r"sae@poor explains -?[\d.]+ of the variance .* latents a token: is it of another model, or of a block"):
        sanity.check(model, images)
    assert parameters.digest(model) == parameters.digest(small.model())


def test_a_path_with_commas_or_equals_signs(tmp_path):
    (tmp_path / "a=b").mkdir()
    assert parse(tmp_path / "a=b").path == tmp_path / "a=b"
    assert parse(f"x.y={tmp_path / 'a=b'}").form == {"tap": "x.y", "name": ""}
