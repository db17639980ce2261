"""Small random PVTs of timm, transformers and their authors through the converter: every activation, and gradients."""

import json
import re
from dataclasses import replace
from math import prod

import jax
import numpy as np
import pytest

from converters.referees import transformers_pvt
from converters.referees.parity import COMPILER, GRADIENT, relative_errors
from converters.referees.pvt import reference
from tests.support.noise import randomise
from tests.weights.test_parity_hf import transformers  # noqa: F401
from vitjax.errors import InputError
from vitjax.models.hierarchical import pvt_v2
from vitjax.models.hierarchical.pvt import PvtConfig
from vitjax.models.hierarchical.pvt_v2 import PvtV2Config
from vitjax.models.parts import depthwise, reduced
from vitjax.models.parts.reduced import means
from vitjax.weights.families.family import config_of, port
from vitjax.weights.families.originals.pvt import PVT
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.families.timm.tables.pvt_architectures import PVT_V2
from vitjax.weights.families.transformers.towers import TRANSFORMERS
from vitjax.weights.load import load
from vitjax.weights.parameters import build, grid_arrays, shapes, values
from vitjax.weights.rules.resize import resized

EXACT = 1e-9
PREPROCESS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "input_size": [3, 40, 52]}
SMALL = {
    "embed_dims": [16, 24], "num_heads": [2, 3], "mlp_ratios": [4, 3], "sr_ratios": [4, 2], "depths": [2, 1],
    "num_classes": 7,
}  # fmt: skip


def make(timm, architecture, arguments, seed=0):
    """A model of timm with every parameter drawn at random, and the config.json it would have."""
    model = timm.create_model(architecture, **arguments).eval()
    randomise(model, r"norm\w*\.weight$", seed)
    return model, {"architecture": architecture, "model_args": arguments, "pretrained_cfg": PREPROCESS}


def ported(theirs, config_json):
    """The same model here."""
    return build(*port(TIMM, {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}, config_json))


def errors(model, theirs, dtype, reference=reference):
    """Those of every tap, the output and the gradient, on images of noise."""
    theirs = theirs.to(getattr(__import__("torch"), np.dtype(dtype).name))
    images = np.random.default_rng(1).random((2, *model.config.image_size, 3)).astype(dtype)
    return relative_errors(model, reference(theirs, images, model.config.preprocess))


def check(found, model):
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    assert found[worst] <= EXACT, (worst, found[worst])


@pytest.mark.representatives("pvt_v2_b0")
@pytest.mark.parametrize("architecture", ["pvt_v2_b0", "pvt_v2_b2_li"])
def test_every_activation(timm, architecture):
    theirs, config_json = make(timm, architecture, SMALL)
    model = ported(theirs, config_json)
    check(errors(model, theirs, np.float64), model)


HF = {
    "image_size": 32, "hidden_sizes": [16, 24], "num_attention_heads": [2, 3], "mlp_ratios": [4, 3],
    "depths": [2, 1], "num_encoder_blocks": 2, "num_labels": 7, "strides": [4, 2],
}  # fmt: skip
KINDS = {  # keys of cells that leave places over
    "Pvt": {"patch_sizes": [4, 2], "sequence_reduction_ratios": [3, 1]},
    "PvtV2": {"patch_sizes": [7, 3], "sr_ratios": [3, 1]},
    "PvtV2, linear": {"patch_sizes": [7, 3], "sr_ratios": [3, 1], "linear_attention": True},
}


@pytest.fixture(scope="module", params=KINDS)
def saved(transformers, request, tmp_path_factory):  # noqa: F811
    """A model of transformers with every parameter drawn at random, and the folder that it is saved in."""
    kind, settings = request.param.partition(",")[0], HF | KINDS[request.param]
    made = getattr(transformers, f"{kind}Config")(**settings)
    model = getattr(transformers, f"{kind}ForImageClassification")(made).eval()
    randomise(model, r"layer_norm\w*\.weight$")
    folder = tmp_path_factory.mktemp("saved")
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 32, "width": 32}}))
    return model, folder


@pytest.mark.representatives("Pvt")
@pytest.mark.parametrize("saved", ["Pvt", "PvtV2, linear"], indirect=True)
def test_every_activation_of_transformers(saved):
    theirs, folder = saved
    model = load(folder, cache=False)
    assert model.config.preprocess.interpolation == "bicubic" and model.config.preprocess.mean[0] == 0.485
    check(errors(model, theirs, np.float64, transformers_pvt.reference), model)


ORIGINAL = (  # what transformers' names are in the authors' files, which count from 1
    (r"^pvt(_v2)?\.encoder\.", ""),
    (r"^patch_embeddings\.(\d)\.position_embeddings", r"pos_embed\1"),
    (r"^patch_embeddings\.\d\.cls_token", "cls_token"),
    (r"^patch_embeddings\.(\d)\.projection", r"patch_embed\1.proj"),
    (r"^patch_embeddings\.(\d)\.layer_norm", r"patch_embed\1.norm"),
    (r"^layers\.(\d)\.patch_embedding\.(proj|layer_norm)", r"patch_embed\1.\2"),
    (r"^layers\.(\d)\.blocks\.", r"block\1."),
    (r"^block\.(\d)\.", r"block\1."),
    (r"^layers\.(\d)\.layer_norm", r"norm\1"),
    (r"attention\.output\.dense", "attn.proj"),
    (r"attention\.self\.|attention\.", "attn."),
    (r"attn\.query", "attn.q"),
    (r"sequence_reduction|spatial_reduction", "sr"),
    (r"mlp\.dense", "mlp.fc"),
    (r"layer_norm_", "norm"),
    (r"layer_norm", "norm"),
    (r"^classifier", "head"),
)


def original(tensors):
    """A model's tensors as its authors' files name them: stages from 1 on, keys and values as one layer."""
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, theirs in ORIGINAL:
            name = re.sub(pattern, theirs, name)
        name = re.sub(r"^(patch_embed|pos_embed|block|norm)(\d)", lambda found: f"{found[1]}{int(found[2]) + 1}", name)
        renamed[name] = tensor
    for name in [name for name in renamed if ".attn.key." in name]:
        pair = renamed.pop(name), renamed.pop(name.replace("key", "value"))
        renamed[name.replace("key", "kv")] = np.concatenate(pair)
    return renamed


def as_first_written(theirs):
    """Gives a model of transformers the epsilons of its authors' code."""
    for name, module in theirs.named_modules():
        if re.search(r"(patch_embeddings?\.\d\.|patch_embedding\.|attention\.|self\.)layer_norm$", name):
            module.eps = 1e-5
    return theirs


def test_files_as_first_published(saved, tmp_path):
    import torch

    theirs, folder = saved
    tensors = original({name: tensor.float().numpy() for name, tensor in theirs.state_dict().items()})
    torch.save({"model": {name: torch.tensor(tensor) for name, tensor in tensors.items()}}, tmp_path / "pvt_tiny.pth")
    model = load(tmp_path / "pvt_tiny.pth", cache=False)
    saved_model = load(folder, cache=False)
    by_transformers = saved_model.config
    size = model.config.image_size if isinstance(model.config, PvtV2Config) else (32, 32)
    assert model.config.preprocess.crop == 0.875 and model.card.converter.startswith("pvt-")
    fields = {"heads": (1, 1), "norm_eps": 1e-6, "embed_eps": 1e-5, "preprocess": model.config.preprocess}
    fields |= {"reductions": (1, 1)} if by_transformers.pooled else {}
    assert replace(by_transformers, image_size=size, **fields) == model.config
    config = replace(model.config, heads=by_transformers.heads, image_size=(32, 32))
    arrays, wanted = values(model), shapes(config)  # whose heads nothing in a file says
    arrays = {name: array.reshape(wanted[name]) for name, array in arrays.items()}
    assert all(np.array_equal(array, arrays[name]) for name, array in values(saved_model).items())
    with jax.enable_x64(True):
        exact = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), build(config, arrays))
        images = np.random.default_rng(1).random((2, 32, 32, 3))
        run = jax.jit(lambda model, images: model(images)["logits"], compiler_options=COMPILER)
        found = np.asarray(run(exact, images))
    mean, std = (torch.tensor(part, dtype=torch.float64) for part in (PREPROCESS["mean"], PREPROCESS["std"]))
    with torch.no_grad():
        pixels = ((torch.tensor(images) - mean) / std).permute(0, 3, 1, 2)
        first = theirs.double()(pixels).logits.numpy()
        due = as_first_written(theirs)(pixels).logits.numpy()
    assert abs(found - due).max() <= EXACT * abs(due).max()
    assert abs(first - due).max() > 10 * EXACT * abs(due).max()  # of the epsilon in transformers


MILLIONS = {  # of parameters
    "pvt_v2_b0": 3.67, "pvt_v2_b1": 14.01, "pvt_v2_b2": 25.36, "pvt_v2_b2_li": 22.55, "pvt_v2_b3": 45.24,
    "pvt_v2_b4": 62.56, "pvt_v2_b5": 81.96,
}  # fmt: skip
DEPTHS = {"tiny": (2, 2, 2, 2), "small": (3, 4, 6, 3), "medium": (3, 4, 18, 3), "large": (3, 8, 27, 3)}
FIRST_MILLIONS = {"tiny": 13.23, "small": 24.49, "medium": 44.21, "large": 61.37}


def count(config):
    return sum(prod(shape) for shape in shapes(config).values()) / 1e6


@pytest.mark.parametrize("name", PVT_V2)
def test_architectures(name):
    stated = {key: value for key, value in PREPROCESS.items() if key != "input_size"} | {"crop_pct": 0.9}
    config = config_of(TIMM, {}, {"architecture": name, "pretrained_cfg": stated})
    assert count(config) == pytest.approx(MILLIONS[name], abs=0.005)
    assert config.grids == ((56, 56), (28, 28), (14, 14), (7, 7)) and config.preprocess.crop == 0.9


def test_all_that_timm_has(timm):
    assert set(timm.list_models("pvt_v2*")) == set(PVT_V2) == set(MILLIONS)


@pytest.mark.parametrize("name", DEPTHS)
def test_architectures_as_first_published(name):
    assert count(PvtConfig(depths=DEPTHS[name])) == pytest.approx(FIRST_MILLIONS[name], abs=0.005)


def test_heads_of_another_kind():
    """DTN's PVT has heads of its own, which change no tensor's shape."""
    config = PvtConfig(heads=(4, 4, 5, 8))
    assert shapes(config)["stages.0.blocks.attn.q.kernel"] == (2, 64, 4, 16)
    assert count(config) == count(PvtConfig())


def test_cells_that_overlap():
    """Golden shares of torch's adaptive pooling."""
    found = means(7, 18)
    assert [row.nonzero()[0].tolist() for row in found][:3] == [[0, 1, 2], [2, 3, 4, 5], [5, 6, 7]]
    assert found[0, 0] == pytest.approx(1 / 3) and found[1, 2] == 0.25
    np.testing.assert_array_equal(means(7, 7), np.eye(7))
    assert (means(7, 4) > 0).sum(axis=1).tolist() == [1, 2, 1, 2, 1, 2, 1]


def test_positions_at_another_size(tmp_path):
    import torch

    config = PvtConfig((32, 32), (4, 4), (8, 16), (1, 1), (1, 2), (8, 16), classes=3, reductions=(2, 1))
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes(config).items()}
    wanted = replace(config, image_size=(64, 40))  # as many places in its second stage as in the first as trained
    found = resized(arrays, grid_arrays(config), grid_arrays(wanted), PVT.resampling({}))
    for stage, (old, new) in enumerate(zip(config.grids, wanted.grids, strict=True)):
        name = f"stages.{stage}.position"
        grid = torch.tensor(arrays[name]).reshape(1, *old, -1).permute(0, 3, 1, 2)
        due = torch.nn.functional.interpolate(grid, size=new, mode="bilinear").flatten(2)[0].T.numpy()
        np.testing.assert_allclose(found[name], due, atol=1e-5)
    np.testing.assert_array_equal(found["stages.1.token_position"], arrays["stages.1.token_position"])
    build(wanted, found)
    with pytest.raises(InputError, match=r"image height 36 is not divisible by 8, .* \(nearest: 32\)"):
        replace(config, image_size=(36, 32))


# What goes wrong if it is done otherwise; each gives a config and arrays, and may change the modules of the test.


def as_it_is(patch, config, arrays):
    return config, arrays


def the_epsilon_of_transformers(patch, config, arrays):
    return replace(config, embed_eps=1e-6), arrays


def blocks_with_the_epsilon_of_patches(patch, config, arrays):
    return replace(config, norm_eps=1e-5), arrays


def not_rectified(patch, config, arrays):
    patch.setattr(depthwise.jax.nn, "relu", lambda x: x)
    return config, arrays


def cells_that_do_not_overlap(patch, config, arrays):
    def even(cells, places):
        found = np.arange(places) * cells // places == np.arange(cells)[:, None]
        return found / found.sum(axis=1, keepdims=True).clip(1)

    patch.setattr(reduced, "means", even)
    return config, arrays


def stages_that_read_what_is_not_normed(patch, config, arrays):
    norm = lambda self, x, taps: taps("norm", self.norm(x), "token channel") if self.norm.num_features == 24 else x
    patch.setattr(pvt_v2.PvtV2Stage, "leave", norm)
    return config, arrays


@pytest.fixture(scope="module")
def known(timm):
    """A small linear model's config and arrays, images, and timm's logits of them in float64."""
    import torch

    theirs, config_json = make(timm, "pvt_v2_b2_li", SMALL | {"depths": [1, 1]})
    config, arrays = port(TIMM, {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}, config_json)
    images = np.random.default_rng(1).random((2, *config.image_size, 3))
    mean, std = (torch.tensor(part, dtype=torch.float64) for part in (PREPROCESS["mean"], PREPROCESS["std"]))
    with torch.no_grad():
        logits = theirs.double()(((torch.tensor(images) - mean) / std).permute(0, 3, 1, 2)).numpy()
    return config, arrays, images, logits


@pytest.mark.representatives(
    "as_it_is-0-1e-09", "not_rectified-0.001-10", "blocks_with_the_epsilon_of_patches-1e-08-0.001"
)
@pytest.mark.parametrize(
    ("trap", "least", "most"),
    [
        (as_it_is, 0, EXACT),
        (the_epsilon_of_transformers, 10 * EXACT, 1e-3),
        (blocks_with_the_epsilon_of_patches, 10 * EXACT, 1e-3),
        (not_rectified, 1e-3, 10),
        (cells_that_do_not_overlap, 1e-4, 10),
        (stages_that_read_what_is_not_normed, 1e-3, 10),
    ],
)
def test_traps(known, monkeypatch, trap, least, most):
    config, arrays, images, logits = known
    config, arrays = trap(monkeypatch, config, arrays)
    with jax.enable_x64(True):
        model = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), build(config, arrays))
        run = jax.jit(lambda model, images: model(images)["logits"], compiler_options=COMPILER)
        found = np.asarray(run(model, images))
    assert least <= abs(found - logits).max() / abs(logits).max() <= most


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"strides": [4, 3]}, r"strides=\[4, 3\] is not supported for this model, only \[4, 2\]"),
        ({"hidden_act": "relu"}, r"hidden_act='relu' is not supported for this model, only 'gelu'"),
        ({"sequence_reduction_ratios": [3, 2]}, r"in the last stage, with its class token, it is 1"),
        ({"image_size": 36}, r"image height 36 is not divisible by 8, .* \(nearest: 32\)"),
    ],
)
def test_what_cannot_be_is_said(settings, said):
    stated = HF | KINDS["Pvt"] | {"model_type": "pvt", "preprocessor": {}} | settings
    with pytest.raises(InputError, match=said):
        config_of(TRANSFORMERS, {}, stated)


def test_what_tensors_cannot_say_is_said():
    with pytest.raises(InputError, match=r"patch_embed1\.proj.weight is missing, in a PVT it has 4 axes"):
        config_of(PVT, {}, {"pvt": "pvt_tiny"})
