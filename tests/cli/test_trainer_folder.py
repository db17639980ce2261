"""From the folder of transformers' Trainer to a served page, with what a user meets on the way."""

import json
import shutil
from types import SimpleNamespace

from tests.atlas.test_serve import served
from tests.support.plain import QUICK
from tests.weights.test_parity_hf import ONE, WIDE, transformers  # noqa: F401, a fixture
from vitjax.cli import main

LABELS = dict(enumerate(["tabby cat", "teapot", "kite"]))


def saved(transformers, folder):  # noqa: F811
    """What `Trainer.save_model` writes, by its own method: a Trainer itself needs accelerate."""
    config = transformers.ViTConfig(**WIDE | ONE, id2label=LABELS, label2id={name: i for i, name in LABELS.items()})
    trainer = SimpleNamespace(
        model=transformers.ViTForImageClassification(config), args=SimpleNamespace(should_save=True),
        processing_class=None, data_collator=None, is_distributed_loading_by_transformers=False,
    )  # fmt: skip
    transformers.Trainer._save(trainer, str(folder))
    return {path.name for path in folder.iterdir()}


def test_from_a_trainers_folder_to_a_served_page(transformers, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITJAX_CACHE", str(tmp_path / "cache"))
    files = saved(transformers, tmp_path / "outputs/checkpoint-500")
    assert files == {"config.json", "model.safetensors", "training_args.bin"}
    shutil.copytree("outputs/checkpoint-500", "outputs/checkpoint-60")

    assert main(["taps", "--model", "outputs"]) == 2
    assert capsys.readouterr().err.endswith("Trainer: give outputs/checkpoint-500\n")

    assert main(["taps", "--model", "outputs/checkpoint-500"]) == 2
    mended = capsys.readouterr().err.strip()
    assert mended.endswith(".save_pretrained('outputs/checkpoint-500')\"") and "AutoImageProcessor" in mended
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained("outputs/checkpoint-500")

    units = ["--units", "logits:teapot", *QUICK]
    assert main(["atlas", "--model", "outputs/checkpoint-500", *units]) == 0
    assert "atlas/page/index.html" in capsys.readouterr().out
    with served(tmp_path / "atlas/page") as get:
        page, units = get("/"), get("/data/units.js")
    assert page.status == 200 and b"<html" in page.body and b"1" in units.body
    record = json.loads((tmp_path / "atlas/page/manifest.json").read_text())
    assert record["model"]["source"] == "outputs/checkpoint-500" and record["units"]["logits"] == "1"  # the teapot
