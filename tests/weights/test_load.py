"""From a name to a model with its weights: the same numbers by every way in, and a cache that can only help."""

import dataclasses
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import vitjax
from tests.support import small
from tests.support.said import said
from vitjax import InputError
from vitjax.models import vit
from vitjax.models.core.config import Preprocess, ViTConfig
from vitjax.weights import cache, parameters, save
from vitjax.weights.find import source
from vitjax.weights.formats.tensors import Tensors
from vitjax.weights.save import export_timm

ROOT = Path(__file__).resolve().parents[2]
LOAD = sys.modules[vitjax.load.__module__]
PREPROCESS = Preprocess(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), crop=0.9, interpolation="bilinear")
TINY = ViTConfig(
    image_size=(32, 48), patch_size=(8, 8), width=32, depth=2, heads=2, mlp_width=64, classes=5, preprocess=PREPROCESS
)


def random(config: ViTConfig = TINY, seed: int = 0) -> vit.ViT:
    """A model with random weights, without compiling an initialisation."""
    draw = np.random.default_rng(seed).standard_normal
    return parameters.build(
        config, {name: 0.1 * draw(shape, np.float32) for name, shape in parameters.shapes(config).items()}
    )


@pytest.fixture(scope="module")
def model():
    return random()


@pytest.fixture
def folder(model, tmp_path, monkeypatch) -> Path:
    """A checkpoint of `model` on disk, in a working folder with its own cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITJAX_CACHE", str(tmp_path / "cache"))
    export_timm(model, tmp_path / "tiny", dtype="float32", licence="mit")
    return tmp_path / "tiny"


@pytest.fixture
def always_cached(monkeypatch):
    """Caches even small files."""
    monkeypatch.setattr(LOAD, "CACHED", 0)


def assert_equal(model, other):
    ours, theirs = parameters.values(model), parameters.values(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def entries() -> list[Path]:
    return [path for path in cache.root().glob("*") if path.is_dir()]


def test_folder_file_and_demo_give_the_same_model(model, folder, monkeypatch):
    monkeypatch.setattr(source, "DEMO", folder)
    demo = vitjax.load()
    for loaded in (demo, vitjax.load("tiny"), vitjax.load(folder), vitjax.load("tiny/model.safetensors")):
        assert loaded.config == TINY
        assert_equal(loaded, model)
    assert demo.card.source == "demo"
    assert demo.card.licence == "mit"
    assert str(demo.card) == "demo (mit)"


def test_half_precision_on_disk(model, folder):
    export_timm(model, folder, dtype="float16")
    assert {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()} == {np.dtype(np.float16)}
    for name, array in parameters.values(vitjax.load(folder)).items():
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, parameters.values(model)[name], rtol=1e-3, atol=1e-6, err_msg=name)


@pytest.mark.usefixtures("folder", "always_cached")
@pytest.mark.parametrize("asked", [{}, {"dtype": "bfloat16"}, {"image_size": 40}, {"image_size": (24, 40)}])
def test_the_cache_changes_nothing(asked):
    plain = vitjax.load("tiny", cache=False, **asked)
    assert entries() == []
    first, second = vitjax.load("tiny", **asked), vitjax.load("tiny", **asked)
    assert len(entries()) == 1
    for loaded in (first, second):
        assert (loaded.config, loaded.card) == (plain.config, plain.card)
        assert_equal(loaded, plain)
        leaves = zip(jax.tree.leaves(loaded), jax.tree.leaves(plain), strict=True)
        assert all(leaf.committed == other.committed for leaf, other in leaves)


@pytest.mark.usefixtures("folder", "always_cached")
def test_a_hit_reads_neither_tensors_nor_hash_again(model, folder, monkeypatch):
    old = folder.stat().st_mtime_ns - 10**10
    os.utime(folder / "model.safetensors", ns=(old, old))
    monkeypatch.setattr(cache, "_RECENT", -(10**12))
    vitjax.load("tiny")
    monkeypatch.setattr(Tensors, "__getitem__", None)
    monkeypatch.setattr(cache.hashlib, "file_digest", None)
    assert_equal(vitjax.load("tiny"), model)


def test_small_files_leave_no_trace(folder):
    vitjax.load("tiny")
    assert not cache.root().exists()


@pytest.mark.usefixtures("always_cached")
def test_provenance_says_what_was_made_of_what(folder):
    card = vitjax.load("tiny").card
    (entry,) = entries()
    provenance = json.loads((entry / "provenance.json").read_text())
    assert provenance["origin"] == dataclasses.asdict(card)
    assert provenance["sha256"] == card.sha256 == cache.digest(folder / "model.safetensors", remember=False)
    assert provenance["config"]["width"] == TINY.width
    assert provenance["packages"]["jax"] == jax.__version__


@pytest.mark.usefixtures("folder", "always_cached")
@pytest.mark.parametrize(
    "harm",
    [
        lambda entry: (entry / "provenance.json").unlink(),
        lambda entry: (entry / "provenance.json").write_text('{"converter": 1'),
        lambda entry: (entry / "provenance.json").write_text("[]"),
        lambda entry: (entry / "arrays/head.bias/0").unlink(),
        lambda entry: (entry / "arrays/head.kernel/0.0").write_bytes(b"short"),
        lambda entry: shutil.rmtree(entry / "arrays"),
    ],
)
def test_half_an_entry_is_made_anew_in_silence(model, harm):
    vitjax.load("tiny")
    (entry,) = entries()
    harm(entry)
    assert_equal(vitjax.load("tiny"), model)
    assert entries() == [entry]
    assert json.loads((entry / "provenance.json").read_text())["files"]["_METADATA"]


@pytest.mark.usefixtures("folder", "always_cached")
def test_an_entry_that_cannot_be_read_is_made_anew(model):
    vitjax.load("tiny")
    (entry,) = entries()
    metadata = entry / "arrays" / "head.kernel" / ".zarray"
    metadata.write_bytes(b"x" * metadata.stat().st_size)
    with said("are damaged and made anew"):
        assert_equal(vitjax.load("tiny"), model)
    assert_equal(vitjax.load("tiny"), model)


@pytest.mark.usefixtures("folder", "always_cached")
def test_an_entry_of_another_version_is_made_anew(model, monkeypatch):
    monkeypatch.setattr(cache, "CONVERTER", 0)
    vitjax.load("tiny")
    (entry,) = entries()
    monkeypatch.undo()
    monkeypatch.setattr(LOAD, "CACHED", 0)
    monkeypatch.setenv("VITJAX_CACHE", str(entry.parent))
    assert_equal(vitjax.load(entry.parent.parent / "tiny"), model)
    assert entries() == [entry]
    assert json.loads((entry / "provenance.json").read_text())["converter"] == cache.CONVERTER


@pytest.mark.usefixtures("always_cached")
def test_other_weights_or_another_config_are_other_entries(folder):
    vitjax.load("tiny")
    config = json.loads((folder / "config.json").read_text())
    config["model_args"]["num_heads"] = 4
    (folder / "config.json").write_text(json.dumps(config))
    assert vitjax.load("tiny").config.heads == 4
    export_timm(random(seed=1), folder)
    vitjax.load("tiny")
    assert len(entries()) == 3


def disk_full(*args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.usefixtures("folder", "always_cached")
def test_a_full_disk_costs_a_warning(model, monkeypatch):
    monkeypatch.setattr(cache.os, "rename", disk_full)
    with said(r"cannot be written, going on without it .*No space left") as lines:
        assert_equal(vitjax.load("tiny"), model)
    assert len(lines) == 1 and "\n" not in lines[0]
    assert entries() == []


FULL = """
    import resource
    import numpy as np
    from tests.support.said import said
    from vitjax.weights import cache
    from vitjax.models.core.config import ViTConfig
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
    with said("") as lines:
        cache.store(cache.Key("0" * 64, ViTConfig()), {f"a{i}": np.ones(2**19, np.float32) for i in range(3)}, {})
    print(len(lines), lines[0], list(cache.root().iterdir()))
"""


def test_a_disk_without_room_costs_one_line(on_devices, monkeypatch, tmp_path, capfd):
    pytest.importorskip("resource")
    monkeypatch.setenv("VITJAX_CACHE", str(tmp_path / "cache"))
    printed = on_devices(FULL, count=1).strip()
    assert printed.startswith("1 the cache") and printed.endswith("File too large) []")
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("folder", "always_cached")
def test_a_cache_that_is_no_folder_costs_a_warning(model, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VITJAX_CACHE", str(tmp_path / "file" / "cache"))
    with said("Not a directory"):
        assert_equal(vitjax.load("tiny"), model)


def test_the_cache_has_one_place(monkeypatch):
    monkeypatch.setenv("VITJAX_CACHE", "~/mine")
    assert cache.root() == Path.home() / "mine"
    monkeypatch.setenv("VITJAX_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert cache.root() == Path("/shared/vitjax")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(cache.sys, "platform", "linux")
    assert cache.root() == Path.home() / ".cache" / "vitjax"


def test_a_changed_file_has_another_digest(folder):
    path, old = folder / "x", 10**18
    path.write_bytes(b"one")
    os.utime(path, ns=(old, old))
    first = cache.digest(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(old, old))
    assert cache.digest(path) != first


def test_the_card_survives_transforms_and_costs_no_compilation(folder):
    first, second = vitjax.load("tiny"), vitjax.load("tiny")
    run = jax.jit(lambda model, images: model(images)["logits"])
    images = jnp.zeros((1, *TINY.image_size, 3))
    np.testing.assert_array_equal(run(first, images), run(second, images))
    assert run._cache_size() == 1
    assert jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), first).card == first.card


def test_a_device_is_where_the_weights_go(folder):
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    for device in (jax.devices()[0], sharding):
        leaf = vitjax.load("tiny", device=device).head.kernel[...]
        assert leaf.committed and leaf.sharding == sharding


def test_weights_go_to_every_device(folder, on_devices):
    on_devices(f"""
        import jax, sys, vitjax
        from jax.sharding import AxisType, NamedSharding, PartitionSpec
        sys.modules[vitjax.load.__module__].CACHED = 0
        everywhere = NamedSharding(jax.make_mesh((4,), ("slot",), axis_types=(AxisType.Auto,)), PartitionSpec())
        for _ in range(2):
            model = vitjax.load({str(folder)!r}, device=everywhere, dtype="bfloat16", image_size=40)
            assert {{leaf.sharding for leaf in jax.tree.leaves(model)}} == {{everywhere}}
            assert {{leaf.dtype.name for leaf in jax.tree.leaves(model)}} == {{"bfloat16"}}
    """)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"dtype": "bfloat"}, "did you mean bfloat16"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
        ({"image_size": 33}, "tiny: image height 33 is not divisible by the patch height 8 (nearest: 32)"),
        ({"image_size": 0}, "image_size is 0, it must be a whole number of at least 1"),
        ({"image_size": (32, 32, 3)}, "neither one number of pixels nor (height, width)"),
        ({"image_size": "224"}, "neither one number of pixels nor (height, width)"),
        ({"device": "gpu"}, "neither a jax.Device"),
        ({"revision": "main"}, "only hub models have revisions"),
    ],
)
def test_wrong_questions(folder, asked, said):
    with pytest.raises(InputError) as caught:
        vitjax.load("tiny", **asked)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_wrong_checkpoints_are_named(folder):
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, "extra": np.zeros(1, np.float32)}, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"^tiny: unknown tensors: extra"):
        vitjax.load("tiny")
    (folder / "config.json").write_text('{"architecture": "vit_tinny_patch16_224"}')
    with pytest.raises(InputError, match=r"^tiny: unknown architecture .* vit_tiny_patch16_224"):
        vitjax.load("tiny")
    (folder / "config.json").write_text(
        '{"architecture": "vit_tiny_patch16_224", "model_args": {"num_heads": "three"}}'
    )
    with pytest.raises(InputError, match=r"^tiny: config.json "):
        vitjax.load("tiny")


def test_a_checkpoint_without_config_names_its_architecture(folder):
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json states no mean"):
        vitjax.load("tiny/model.safetensors")
    save_file(load_file(folder / "model.safetensors"), folder / "model.safetensors")
    with pytest.raises(InputError, match=r"there is no config\.json beside tiny/model\.safetensors: put"):
        vitjax.load("tiny/model.safetensors")


VARIANTS = {
    "plain": {},
    "distilled": {"distilled": True},
    "registers": {"registers": 3},
    "mean": {"class_token": False, "pool": "mean", "final_norm": "pooled"},
    "attention": {"class_token": False, "pool": "attention"},
    "clip": {"pre_norm": True, "patch_bias": False, "activation": "quick_gelu", "norm_eps": 1e-5},
    "scaled": {"layer_scale": True, "qkv_bias": False, "activation": "gelu_tanh"},
    "headless": {"classes": 0, "final_norm": "none"},
    "odd": {"mlp_width": 83, "image_size": (16, 16), "patch_size": (4, 8)},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_saved_is_what_is_loaded(variant, tmp_path):
    model = random(dataclasses.replace(TINY, **VARIANTS[variant]))
    export_timm(model, tmp_path / "new" / "folder", dtype="float32")
    loaded = vitjax.load(tmp_path / "new" / "folder")
    assert loaded.config == model.config
    assert_equal(loaded, model)
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("variant", ["registers", "clip"])
def test_timm_reads_what_is_saved(variant, tmp_path, timm):
    import torch

    model = random(dataclasses.replace(TINY, **VARIANTS[variant]))
    export_timm(model, tmp_path, dtype="float32")
    config = json.loads((tmp_path / "config.json").read_text())
    theirs = timm.create_model(config["architecture"], **config["model_args"]).eval()
    tensors = load_file(tmp_path / "model.safetensors")
    theirs.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    images = np.random.default_rng(0).random((2, *TINY.image_size, 3), np.float32)
    normal = ((images - PREPROCESS.mean) / PREPROCESS.std).astype(np.float32)
    with torch.no_grad():
        logits = theirs(torch.from_numpy(normal.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(small.read(model, images, reads="logits")["logits"], logits, rtol=1e-4, atol=1e-5)


def test_saving_says_what_is_wrong(model, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="did you mean float16"):
        export_timm(model, tmp_path, dtype="float61")
    large = jax.tree.map(lambda leaf: leaf + 1e6, model)
    with pytest.raises(InputError, match=r"not finite as float16: patch_embed\.proj\.weight"):
        export_timm(large, tmp_path)
    odd = random(dataclasses.replace(TINY, patch_bias=False))
    with pytest.raises(InputError, match="timm has no arguments for this model"):
        export_timm(odd, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write .*: file exists"):
        export_timm(model, tmp_path / "file")
    monkeypatch.setattr(save.os, "replace", disk_full)
    with pytest.raises(InputError, match=r"cannot write .*: no space left"):
        export_timm(model, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_public_face_is_lazy():
    code = "import sys, vitjax; vitjax.__version__; dir(vitjax); print({'jax', 'flax', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert set(vitjax.__all__) <= set(dir(vitjax))
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = vitjax.lod


@pytest.mark.usefixtures("always_cached")
def test_real_weights(shared_data, monkeypatch, tmp_path):
    folder = shared_data / "vit_tiny_patch16_224"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}")
    monkeypatch.setenv("VITJAX_CACHE", str(tmp_path))
    first, second = vitjax.load(folder), vitjax.load(folder)
    assert_equal(first, second)
    assert first.card.licence == "apache-2.0"
    assert first.config.width == 192 and len(entries()) == 1
