"""What training scripts put around a model: the same model comes out, or one line that names the choice."""

import argparse
import collections
import datetime
import pathlib

import numpy as np
import pytest
from safetensors.numpy import save_file

import vitjax
from tests.support.said import said
from tests.weights.test_readers import model, write
from vitjax.errors import InputError
from vitjax.weights import parameters
from vitjax.weights.find.checkpoint import open_tensors
from vitjax.weights.save import export_timm, to_timm

MARK = "patch_embed.proj.weight"


@pytest.fixture(scope="module")
def tensors():
    """A small model by timm's names."""
    return to_timm(parameters.values(model()), model().config, "float32")


@pytest.fixture
def folder(tmp_path):
    """A folder with the model's config."""
    export_timm(model(), tmp_path, dtype="float32")
    (tmp_path / "model.safetensors").unlink()
    return tmp_path


def under(prefix, tensors):
    """The tensors with something before their names."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


def same(loaded) -> bool:
    """Whether a model has the parameters of `model`."""
    return all(
        np.array_equal(array, parameters.values(loaded)[name]) for name, array in parameters.values(model()).items()
    )


@pytest.mark.parametrize("kind", ["safetensors", "npz", "pth", "safetensors.index.json", "bin.index.json"])
@pytest.mark.parametrize("prefix", ["module._orig_mod.", "_orig_mod.module.", "my_own_word."])
def test_whatever_stands_before_the_names(folder, tensors, prefix, kind):
    path = write(kind, folder, under(prefix, tensors))
    if kind == "npz":
        path = path.rename(folder / "model.bin")  # by its ending it would be Google's
    loaded = vitjax.load(path, cache=False)
    assert same(loaded) and loaded.card.source == str(path)


WORDS = (
    "module _orig_mod model backbone timm_model vit encoder base_model.model student ema_model net module.base_encoder"
)


@pytest.mark.parametrize("word", WORDS.split())
def test_every_word_that_libraries_put_before_the_names(tmp_path, word):
    save_file({f"{word}.{MARK}": np.ones((2, 3, 1, 1), np.float32), f"{word}.norm.bias": np.ones(2)}, tmp_path / "a")
    assert set(open_tensors(tmp_path / "a")) == {MARK, "norm.bias"}


OWN = {  # names as they are in whole models, and what a wrapper may put before them
    "vit.embeddings.patch_embeddings.projection.weight": "classifier.weight",
    "dinov2.embeddings.patch_embeddings.projection.weight": "classifier.weight",
    "vision_model.embeddings.patch_embedding.weight": "text_model.final_layer_norm.weight",
    "visual.conv1.weight": "ln_final.weight",
    "visual.trunk.patch_embed.proj.weight": "visual.head.proj.weight",
    "layer1.0.conv1.weight": "conv1.weight",
}


@pytest.mark.parametrize("mark", OWN)
def test_a_family_s_own_words_stay(tmp_path, mark):
    for number, wrapper in enumerate(("", "model.", "module.net.")):
        path = tmp_path / f"{number}.safetensors"
        save_file({wrapper + mark: np.ones((2, 3, 1, 1)), wrapper + OWN[mark]: np.ones(2)}, path)
        assert set(open_tensors(path)) == {mark, OWN[mark]}


def test_weights_of_a_loss_are_left_out_and_named(folder, tensors):
    path = write("pth", folder, {**under("model.", tensors), "criterion.weight": np.ones(3, np.float32)})
    with said(r"left out, as outside of model: criterion\.weight$"):
        assert same(vitjax.load(path, cache=False))


def test_an_unknown_tensor_of_the_model_itself_is_refused(folder, tensors):
    path = write("pth", folder, under("model.", {**tensors, "extra": np.ones(3, np.float32)}))
    with pytest.raises(InputError, match="unknown tensors: extra"):
        vitjax.load(path, cache=False)


PAIRS = [  # two copies: the usual one, the other
    ("state_dict_ema.", "state_dict."),
    ("model_ema.", "model."),
    ("params_ema.", "params."),
    ("teacher.backbone.", "student.module.backbone."),
]


def test_of_several_copies_one_is_usual_and_each_can_be_named(tmp_path):
    for number, (usual, other) in enumerate(PAIRS):
        path = tmp_path / f"{number}.safetensors"
        save_file({usual + MARK: np.ones((1, 3, 1, 1)), other + MARK: np.zeros((1, 3, 1, 1))}, path)
        with said(f"taking {usual[:-1]}; part= takes another: {other[:-1]}"):
            assert open_tensors(path)[MARK].all()
        for part in (other[:-1], other.split(".")[0]):
            found = open_tensors(path, part)
            assert not found[MARK].any() and found.part == other[:-1]
        assert open_tensors(path, usual[:-1]).part == ""


AMBIGUOUS = {
    "MoCo": ("module.base_encoder.", "module.momentum_encoder."),
    "two nets": ("net_a.", "net_b."),
    "one without a word": ("", "online."),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_copies_that_nothing_tells_apart_are_refused_by_name(tmp_path, case):
    first, second = AMBIGUOUS[case]
    save_file({first + MARK: np.ones((1, 3, 1, 1)), second + MARK: np.zeros((1, 3, 1, 1))}, tmp_path / "a")
    names = ", ".join(sorted((first[:-1] or ".", second[:-1])))
    with pytest.raises(InputError, match=f"holds several models, choose one with part=: {names}"):
        open_tensors(tmp_path / "a")
    assert open_tensors(tmp_path / "a", first[:-1] or ".")[MARK].all()
    assert set(open_tensors(tmp_path / "a", second[:-1])) == {MARK}
    with pytest.raises(InputError, match="part='onlin' is not there"):
        open_tensors(tmp_path / "a", "onlin")


def test_a_part_has_a_card_and_a_cache_of_its_own(folder, tensors, monkeypatch, tmp_path):
    monkeypatch.setattr("vitjax.weights.load.CACHED", 0)
    monkeypatch.setenv("VITJAX_CACHE", str(tmp_path / "cache"))
    doubled = {name: 2 * tensor for name, tensor in tensors.items()}
    path = write("pth", folder, under("model_ema.", tensors) | under("model.", doubled))
    with said("taking model_ema"):
        usual = vitjax.load(path)
    named = [vitjax.load(path, part="model"), vitjax.load(f"{path}#model"), vitjax.load(f"{path}#model")]
    assert same(usual) and not any(map(same, named))
    assert usual.card.sha256 != named[0].card.sha256 == named[1].card.sha256
    assert named[0].card.source == f"{path}#model"
    with pytest.raises(InputError, match=r"two parts: #model in the name and part='model_ema'"):
        vitjax.load(f"{path}#model", part="model_ema")
    with pytest.raises(InputError, match=r"part='modle' is not there \(did you mean .*model"):
        vitjax.load(path, part="modle")


NOTES = {
    "args": argparse.Namespace(lr=1, nested=argparse.Namespace(a=2)),
    "out": pathlib.PurePosixPath("/x"),
    "best": np.float64(0.7),
    "history": np.arange(3),
    "when": datetime.datetime(2020, 1, 1),
    "counts": collections.Counter("ab"),
    "lists": collections.defaultdict(list, {"a": [1]}),
    "queue": collections.deque([1, 2]),
    "names": {"a", "b"},
    "milestones": {0.5: "half"},
    "bytes": b"ab",
}


@pytest.mark.parametrize("protocol", [2, 4])
def test_notes_of_a_training_script_are_records_and_never_run(folder, tensors, protocol):
    torch = pytest.importorskip("torch")
    state = {name: torch.tensor(tensor) for name, tensor in tensors.items()}
    notes = NOTES | {"dtype": torch.float32, "size": torch.Size([1]), "device": torch.device("cpu")}
    torch.save({**notes, "state_dict": state}, folder / "model_best.pth.tar", pickle_protocol=protocol)
    assert same(vitjax.load(folder, cache=False)) and same(vitjax.load(folder / "model_best.pth.tar", cache=False))
    torch.save(
        {**notes, "state_dict": under("model.", state), "loops": {}, "optimizer_states": [{"a": 1}]},
        folder / "last.ckpt",
    )
    assert same(vitjax.load(folder / "last.ckpt", cache=False))


def test_a_whole_model_is_refused_by_its_class(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pth")
    with pytest.raises(InputError, match=r"it names torch\.nn\.modules\.linear\.Linear, and only"):
        open_tensors(tmp_path / "model.pth")


def test_numbers_of_eight_bits_are_named(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_torch

    weights = {"int8": np.zeros(2, np.int8), "uint8": np.zeros(2, np.uint8)}
    save_file(weights, tmp_path / "whole.safetensors")
    kinds = {kind: torch.zeros(2, dtype=getattr(torch, kind)) for kind in ("float8_e4m3fn", "float8_e5m2")}
    save_torch(kinds, tmp_path / "eight.safetensors")
    torch.save(kinds, tmp_path / "eight.pth")
    for path, named in (("whole.safetensors", weights), ("eight.safetensors", kinds), ("eight.pth", kinds)):
        for name in named:
            said = {"float8_e4m3fn": "(F8_E4M3|float8_e4m3fn)", "float8_e5m2": "(F8_E5M2|float8_e5m2)"}.get(name, name)
            with pytest.raises(InputError, match=f"{name} is {said}, not float64, float32, float16 or bfloat16"):
                _ = open_tensors(tmp_path / path)[name]
