"""`vitjax pretrain`, `finetune` and `probe` from end to end, on a few pictures in folders."""

import json
import shutil
import socket
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

import vitjax
from vitjax.cli import hosts, main
from vitjax.data.files.open import open_images
from vitjax.train.classes import classes_of
from vitjax.train.green.mim import GreenConfig
from vitjax.train.settings import Masking

SMALL = ["--batch", "12", "--epochs", "2", "--warmup", "0", "--log", "1", "--save", "2"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Twenty-four pictures, red ones and green ones."""
    folder, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for i in range(24):
        pixels = rng.integers(0, 60, (20, 24, 3), np.uint8)
        pixels[..., i % 2] += 180
        (folder / ("red", "green")[i % 2]).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / ("red", "green")[i % 2] / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A tiny ViT, as a file."""
    sizes = {"image_size": [16, 16], "patch_size": [8, 8], "width": 8, "depth": 1, "heads": 2, "mlp_width": 16}
    path = tmp_path_factory.mktemp("config") / "vit.json"
    path.write_text(json.dumps({"kind": "ViTConfig", "config": sizes}))
    return path


def said(capfd, *arguments) -> tuple[int, str]:
    code = main([*map(str, arguments)])
    return code, capfd.readouterr().err.strip().rpartition("\n")[2]


def test_fine_tuned_measured_probed_and_loaded(photographs, config, tmp_path, capfd):
    run, data = tmp_path / "run", ["--data", photographs, "--validation", photographs]
    assert main([*map(str, ["finetune", "--model", config, *data, "--out", run, *SMALL, "--average", "0.5"])]) == 0
    assert "top1" in capfd.readouterr().out
    model = vitjax.load(run / "model")
    assert list(model.class_names) == ["green", "red"] and model.card.converter == "vitjax finetune"
    rows = [json.loads(line) for line in (run / "curve.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4] and {"loss", "right", "rate", "epoch"} <= rows[0].keys()
    assert json.loads((run / "result.json").read_text())["images"] == 24 and any((run / "tensorboard").iterdir())
    assert main([*map(str, ["probe", "--model", run, *data, "--out", tmp_path / "probe"])]) == 0
    assert json.loads((tmp_path / "probe" / "probe.json").read_text())["top1"] == 1
    assert vitjax.load(tmp_path / "probe" / "model").config.classes == 2
    assert said(capfd, "probe", "--model", run, *data, "--out", tmp_path / "probe")[0] == 2


@pytest.mark.exhaustive
def test_trained_from_scratch_with_names_of_ones_own(photographs, config, tmp_path, capfd):
    (names := tmp_path / "names.txt").write_text("red\ngreen\n")
    listed = "".join(f"{path.name},{path.parent.name}\n" for path in photographs.rglob("*.png"))
    (labels := tmp_path / "labels.csv").write_text(listed)
    (flat := tmp_path / "flat").mkdir()
    for path in photographs.rglob("*.png"):
        shutil.copy(path, flat)
    (flat / "broken.png").write_text("no image")
    listed += "broken.png,red\n"
    labels.write_text(listed)
    data = ["--data", flat, "--labels", labels, "--class-names", names, "--validation", flat]
    more = ["--epochs", "4", "--rate", "0.05", "--groups", "*.norm?.*=0.5"]
    run = ["train", "--model", config, *data, "--out", tmp_path / "run", *SMALL, *more, "--no-tensorboard"]
    code, line = said(capfd, *run)
    assert code == 2 and "give a file of names and classes with --validation-labels" in line
    assert main([*map(str, [*run, "--validation-labels", labels])]) == 0
    told = capfd.readouterr()
    assert "top1" in told.out and "\nvitjax: left out: broken.png: not an image" in told.err.replace("\r", "\n")
    about = json.loads((tmp_path / "run" / "training.json").read_text())
    assert about["training"] == "train" and about["regularization"]["drop_path"] == 0.1
    assert about["settings"]["repeats"] == 3 and about["settings"]["randaugment"] == 9
    model = vitjax.load(tmp_path / "run")
    assert list(model.class_names) == ["red", "green"] and model.card.converter == "vitjax train"
    code, line = said(capfd, "train", *run[1:2], tmp_path / "run", *run[3:], "--validation-labels", labels)
    assert code == 2 and "has weights, which `vitjax train` begins without: `vitjax finetune` goes on" in line
    shutil.rmtree(tmp_path / "run" / "model")
    with pytest.raises(vitjax.InputError, match="run is a training that is not finished: go on with it first"):
        vitjax.load(tmp_path / "run")


def test_pretrained_and_gone_on_from(photographs, config, tmp_path, capfd):
    assert {name: getattr(GreenConfig, name) for name in asdict(Masking())} == asdict(Masking())
    small = [*SMALL, "--no-tensorboard", "--bank", "4", "--decoder-width", "8", "--decoder-heads", "2", "--look", "2"]
    run = ["pretrain", "--model", config, "--data", photographs, "--out", tmp_path / "run", *small]
    assert main([*map(str, run)]) == 0
    assert [path.name for path in sorted((tmp_path / "run" / "samples").iterdir())] == ["0000002.webp", "0000004.webp"]
    assert vitjax.load(tmp_path / "run" / "model").config.classes == 0
    code, line = said(capfd, *run, "--image-size", "20", "--out", tmp_path / "other")
    assert code == 2 and "image height 20 is not divisible by" in line
    code, line = said(capfd, *run, "--mask-ratio", "1", "--out", tmp_path / "other")
    assert code == 2 and "mask ratio 1.0" in line and not (tmp_path / "other").exists()
    code, line = said(capfd, *run, "--mask-ratio", "0.5")
    assert code == 2 and "masking.mask_ratio 0.75, not 0.5: choose another --out" in line


def test_mistakes_are_one_line(photographs, config, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(hosts, "PATIENCE", 0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "empty").mkdir()
    shutil.copytree(photographs, blue := tmp_path / "blue")
    (blue / "red").rename(blue / "blue")
    (unknown := tmp_path / "unknown.json").write_text('{"config": {"widht": 8}}')
    for changed, line in (
        (["--data", tmp_path / "empty"], "no images in"),
        (["--data", photographs / "red"], "nothing says the classes of the images"),
        (["--model", tmp_path / "no.json"], "does not exist"),
        (["--coordinator", "localhost:1"], "--coordinator, --hosts and --host go together"),
        (["--coordinator", "localhost", "--hosts", "2", "--host", "0"], "'localhost' is not HOST:PORT"),
        (["--coordinator", "localhost:1", "--hosts", "2", "--host", "2"], "hosts are counted from 0 to 1"),
        (["--coordinator", nobody, "--hosts", "2", "--host", "1"], f"no answer from --coordinator {nobody} ("),
        (["--model", unknown], "no field 'widht' in a ViTConfig (did you mean width"),
        (["--batch", "0"], "batch is 0"),
        (["--validation", tmp_path / "empty"], "no images in"),
        (["--validation", blue], "has a class 'blue', which is none of the model's"),
        (["--validation-labels", tmp_path / "no.csv"], "--validation-labels goes with --validation"),
        (["--smoothing", "2"], "smoothing is 2.0"),
    ):
        wrong = ["finetune", "--model", config, "--data", photographs, "--out", tmp_path / "run", *changed]
        code, found = said(capfd, *wrong)
        assert code == 2 and line in found and found.startswith("vitjax: error: ")
    assert not (tmp_path / "run").exists()


def test_a_list_says_the_classes_whatever_the_folders_are_called(photographs, tmp_path):
    images = open_images(str(photographs))
    kinds = [("warm", "cold")[name.startswith("green")] for name in images.names]
    (listed := tmp_path / "classes.csv").write_text("".join(map("{},{}\n".format, images.names, kinds)))
    assert list(classes_of(images, None, listed)) == ["cold", "warm"]
    (listed := tmp_path / "numbers.csv").write_text("".join(map("{},{}\n".format, images.names, [2, *[0] * 23])))
    assert list(classes_of(images, None, listed)) == ["0", "1", "2"] and len(classes_of(images, 5, listed)) == 5
