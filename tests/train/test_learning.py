"""The parts of a training that could be wrong without a trace in its loss: rates, decay, order, crops, probes."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests.support import noise
from tests.support.training import CONFIG, SETTINGS, training
from vitjax.data.files.images import Images
from vitjax.errors import InputError
from vitjax.models.core.class_names import ClassNames
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.models.registry import abstract
from vitjax.train.classes import classes_of
from vitjax.train.classification import Classification
from vitjax.train.feed.crops import random_box
from vitjax.train.feed.feed import Feed
from vitjax.train.initial import initial, with_classes
from vitjax.train.kept import features as features_
from vitjax.train.loop.mesh import mesh, on_devices
from vitjax.train.loop.optimizer import grouping, layer_scales, optimizer, schedule
from vitjax.train.loop.step import program
from vitjax.train.probe import _fitted, _zeros, probe
from vitjax.train.settings import FINETUNE, PRETRAIN, Settings
from vitjax.train.task import Learned
from vitjax.weights.parameters import values

SWIN = SwinConfig(
    image_size=(32, 32), patch_size=(4, 4), widths=(8, 16), depths=(3, 2), heads=(1, 2), mlp_widths=(16, 32),
    windows=(4, 4), classes=3,
)  # fmt: skip


def by_name(tree) -> dict:
    paths = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value"): leaf for path, leaf in paths}


def test_the_rate_rises_in_a_line_and_falls_as_half_a_cosine():
    rate = schedule(replace(PRETRAIN, batch=512, epochs=10.0, warmup=2.0, rate=1e-3, least_rate=1e-5), 5120)
    np.testing.assert_allclose([rate(step) for step in (0, 10, 20)], [0, 1e-3, 2e-3], rtol=1e-6)
    np.testing.assert_allclose([rate(step) for step in (60, 100)], [(2e-3 + 1e-5) / 2, 1e-5], rtol=1e-5)


def test_a_rate_may_rise_to_the_end():
    rate = schedule(replace(PRETRAIN, batch=64, epochs=5.0, warmup=5.0, rate=4e-3), 640)
    assert [float(rate(step)) for step in (0, 25, 49)] == pytest.approx([0, 5e-4, 9.8e-4])


def test_only_kernels_have_weight_decay():
    for config in (SWIN, replace(CONFIG, layer_scale=True, registers=2)):
        learned = Learned(abstract(config))
        decays = dict(zip(by_name(learned), (group.decay for group in grouping(learned)), strict=True))
        assert {name.rpartition(".")[2] for name, decay in decays.items() if decay} == {"kernel"}
        assert all(decay == 1 for name, decay in decays.items() if name.endswith("kernel"))


def test_the_rate_of_a_layer_is_a_share_of_that_of_the_next():
    scales = by_name(layer_scales(Learned(abstract(SWIN), decoder=abstract(CONFIG)), 0.5))
    at = {name: np.ravel(scale) for name, scale in scales.items()}
    np.testing.assert_allclose(at["model.head.kernel"], 1)
    np.testing.assert_allclose(at["model.stages.1.shifted.mlp.fc1.kernel"], 1 / 2)
    np.testing.assert_allclose(at["model.stages.1.plain.norm1.scale"], 1 / 4)
    np.testing.assert_allclose(at["model.stages.1.merge.reduction.kernel"], 1 / 4)
    np.testing.assert_allclose(at["model.stages.0.last.attn.attn.bias.distances"], 1 / 8)
    np.testing.assert_allclose(at["model.patch.kernel"], 1 / 64)
    np.testing.assert_allclose(at["decoder.patch.kernel"], 1)
    np.testing.assert_allclose(
        np.ravel(by_name(layer_scales(Learned(abstract(CONFIG)), 0.5))["model.blocks.mlp.fc1.bias"]), [1 / 4, 1 / 2]
    )


def test_groups_of_parameters_have_rates_and_decays_of_their_own():
    learned = Learned(abstract(replace(CONFIG, layer_scale=True)))
    asked = "*.norm?.*=0.1, model.head.*=10:0.5, *.attn.qkv.kernel=0"
    found = dict(zip(by_name(learned), grouping(learned, asked), strict=True))
    assert found["model.blocks.norm2.scale"][1:] == (0.1, 1) and found["model.head.bias"][1:] == (10, 0.5)
    assert found["model.blocks.attn.qkv.kernel"].rate == 0 and found["model.blocks.scale1"][1:] == (1, 0)
    settings = replace(SETTINGS, groups=asked, warmup=0.0, rate=0.01, layer_decay=0.5)
    made = optimizer(settings, learned, 12)
    ones = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), learned)
    change = by_name(jax.jit(lambda ones: made.update(ones, made.init(ones), ones)[0].model)(ones))
    rate = 0.01 * 4 / 256
    np.testing.assert_allclose(change["head.kernel"], -10 * rate * (1 + 0.5 * 0.05), rtol=1e-5)
    np.testing.assert_allclose(change["blocks.attn.qkv.kernel"], 0)
    np.testing.assert_allclose(change["blocks.attn.proj.kernel"][1], -0.5 * rate * 1.05, rtol=1e-5)
    with pytest.raises(InputError, match=r"no parameter is called \*\.pos_proj \(did you mean proj, position"):
        grouping(learned, "*.pos_proj=0.1")
    with pytest.raises(InputError, match=r"leave it out \(only norms of DTN have positions\)"):
        grouping(learned, "*norm*.position=0.1:0")
    with pytest.raises(InputError, match="'norm' is not PATTERN=RATE"):
        replace(SETTINGS, groups="norm")


@pytest.mark.exhaustive
def test_a_batch_in_parts_is_the_batch_and_in_another_dtype_nearly():
    images = {"images": np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)}
    images["labels"] = np.arange(4, dtype=np.int32)
    found = []
    for parts, dtype in ((1, "float32"), (2, "float32"), (1, "bfloat16")):
        about = training(replace(SETTINGS, accumulate=parts, warmup=0.0, beta1=0.0))
        made = program(Classification(CONFIG), about.settings, dtype, 12, mesh(4), given=about.given)
        state, told = made.advance(made.start(), on_devices(images, mesh(4)))
        found.append((values(state.learned.model), values(state.average.model), told["loss"]))
    np.testing.assert_allclose(found[0][2], found[1][2], rtol=1e-6)
    np.testing.assert_allclose(found[2][2], found[0][2], rtol=0.02)
    assert all(array.dtype == np.float32 for array in found[2][0].values())
    for name in found[0][0]:
        if name != "blocks.attn.qkv.bias":  # that of k has no gradient but rounding
            np.testing.assert_allclose(found[0][0][name], found[1][0][name], atol=1e-6, err_msg=name)
    start = values(about.given)["head.kernel"]
    mean = 0.9 * found[0][0]["head.kernel"] + 0.1 * start  # the first steps are most of the mean
    np.testing.assert_allclose(found[0][1]["head.kernel"], mean, atol=1e-6)


def test_what_a_step_sees_depends_on_seed_and_step_alone():
    images = noise.dataset(7, 4).images
    feed = Feed(images, CONFIG, 4, 5, {"labels": np.arange(7, dtype=np.int32)}, seed=2)
    whole = list(feed.begin())
    assert sorted(np.concatenate([batch["labels"] for batch in whole])[:7]) == list(range(7))
    later = list(feed.begin(3))
    hosts = [list(replace(feed, shard=(i, 2)).begin()) for i in range(2)]
    for name in ("images", "labels"):
        np.testing.assert_array_equal(later[0][name], whole[3][name])
        np.testing.assert_array_equal(np.concatenate([hosts[0][4][name], hosts[1][4][name]]), whole[4][name])
    assert len(later) == 2 and not np.array_equal(whole[0]["images"], next(replace(feed, seed=3).begin())["images"])
    with pytest.raises(InputError, match="not shared out evenly over 3 hosts"):
        replace(feed, shard=(0, 3))


def test_an_image_that_cannot_be_read_gives_its_place_to_the_next(caplog):
    images = noise.dataset(6, 4).images
    holed = replace(images, read=lambda place: images.read(place) if place != 2 else b"no image")
    seen = np.concatenate([batch["labels"] for batch in Feed(holed, CONFIG, 3, 4, {"labels": np.arange(6)}).begin()])
    assert 2 not in seen and len(seen) == 12
    with pytest.raises(InputError, match="in a row of noise are not readable"):
        list(Feed(replace(images, read=lambda place: b""), CONFIG, 2, 1).begin())


def test_crops_lie_within_the_image():
    rng = np.random.default_rng(0)
    shares, ratios = [], []
    for _ in range(2000):
        left, top, right, bottom = random_box(rng, (60, 40), 0.2)
        assert 0 <= left < right <= 60 and 0 <= top < bottom <= 40
        shares.append((right - left) * (bottom - top) / 2400)
        ratios.append((right - left) / (bottom - top))
    assert min(shares) > 0.18 and max(shares) <= 1 and 0.45 < np.mean(shares) < 0.6
    assert min(ratios) > 0.7 and max(ratios) < 1.6
    assert random_box(rng, (1000, 10), 0.9) == (493, 0, 506, 10)


def test_classes_are_what_a_table_or_folders_say():
    at = lambda *names, **more: Images("photos", names, lambda i: b"", **more)
    assert list(classes_of(at("a.png", "b.png", column=np.array([0, 1]), kinds=("cat", "dog")))) == ["cat", "dog"]
    wnids = "train/n00000002/images", "train/n00000001/images"
    found = classes_of(at(*(f"{folder}/0.png" for folder in wnids), folders=tuple(sorted(wnids))))
    assert found == ClassNames(("n00000001", "n00000002"), ("n00000001", "n00000002"))
    with pytest.raises(InputError, match=r"which folders of photos are the classes: .* or .*; say how many.*--classes"):
        classes_of(at(folders=("a/x", "a/y", "a/z", "b/x")))
    with pytest.raises(InputError, match="nothing says the classes of the images in photos"):
        classes_of(at("a.png", folders=("",)))


def test_what_a_training_begins_with(checkpoint, tmp_path):
    config, model = initial("swin_tiny_patch4_window7_224", (64, 64))
    assert model is None and config.image_size == (64, 64) and config.preprocess.mean[0] == 0.485
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"kind": "SwinConfig", "config": {"widths": [8, 16], "depths": [2, 2], "heads": [1, 2],
                                "mlp_widths": [16, 32], "windows": [4, 4], "image_size": [32, 32]}}))  # fmt: skip
    assert initial(str(path))[0].widths == (8, 16)
    path.write_text('{"kind": "SwimConfig"}')
    with pytest.raises(InputError, match=r"unknown kind 'SwimConfig' \(did you mean SwinConfig"):
        initial(str(path))
    config, model = initial(str(checkpoint))
    headed = with_classes(model, ClassNames(("cat", "dog")))
    ours, theirs = values(headed), values(model)
    assert ours["head.kernel"].shape == (48, 2) and headed.config.classes == 2 and headed.class_names[1] == "dog"
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours if not name.startswith("head"))
    assert set(theirs) - set(values(with_classes(model, 0))) == {"head.kernel", "head.bias"}
    path.write_text('{"kind": "ResNetConfig", "config": {}}')
    with pytest.raises(InputError, match="norms over batches"):
        initial(str(path))
    (tmp_path / "training.json").write_text("{}")
    with pytest.raises(InputError, match="a training that is not finished"):
        initial(str(tmp_path))


def test_a_probe_is_the_minimum_and_goes_on_with_the_features_that_it_has(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    features = (rng.normal(size=(300, 6)) + np.eye(3, 6)[labels]).astype(np.float32)
    ours = _fitted(_zeros(6, 3), features, labels, np.ones(300, np.float32), 1e-2)
    theirs = LogisticRegression(C=1 / (1e-2 * 300), max_iter=1000).fit(features, labels)
    np.testing.assert_allclose(ours["kernel"].T - ours["kernel"].mean(1), theirs.coef_, atol=2e-3)
    data = noise.dataset(40, 10, replace(CONFIG, classes=4))
    found = probe(with_classes(noise.model(CONFIG), 0), data.images, data.images.column, 4, 10)
    monkeypatch.setattr(features_, "PART", 15)
    begun = replace(data.images, read=lambda place: data.images.read(place) if place != 38 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        probe(with_classes(noise.model(CONFIG), 0), begun, data.images.column, 4, 10, tmp_path)
    kept = replace(data.images, read=lambda place: data.images.read(place) if place % 3 == 2 else 1 / 0)
    again = probe(with_classes(noise.model(CONFIG), 0), kept, data.images.column, 4, 10, tmp_path)
    np.testing.assert_array_equal(again.model.head.kernel, found.model.head.kernel)
    logits = found.model(noise.pixels(data), "logits")["logits"]
    assert (logits.argmax(axis=1) == data.images.column).mean() > 0.5 and set(found.held_out) >= {found.penalty}


def test_settings_that_cannot_be():
    for wrong, said in (
        ({"batch": 0}, "batch is 0"),
        ({"batch": 10, "accumulate": 3}, "10 images does not come in 3 equal parts"),
        ({"warmup": 200.0}, "warmup is 200 epochs, more than the 100"),
        ({"dtype": "float"}, r"unknown dtype 'float' \(did you mean float32"),
        ({"rate": float("nan")}, "rate is nan"),
    ):
        with pytest.raises(InputError, match=said):
            Settings(**wrong)
    assert FINETUNE.layer_decay < PRETRAIN.layer_decay == 1
