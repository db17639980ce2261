"""Dictionaries of features on the command line: their latents are units like any other."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.support.plain import QUICK
from vitjax.cli import main
from vitjax.models.dictionaries.dictionary import Dictionary
from vitjax.models.dictionaries.form import Form
from vitjax.weights.dictionaries.ours import save_dictionary
from vitjax.weights.load import load

TAP = "blocks.0.resid_post"


@pytest.fixture
def features(checkpoint, tmp_path):
    """A random dictionary of the checkpoint's first block, and a folder of photographs."""
    width = load(checkpoint).taps()[TAP].shape[-1]
    rng = np.random.default_rng(0)
    arrays = {"encoder": rng.standard_normal((width, 9), np.float32), "decoder": rng.standard_normal((9, width))}
    save_dictionary(Dictionary(Form(TAP), arrays), tmp_path / "features")
    (tmp_path / "photos").mkdir()
    for number in range(3):
        photo = rng.integers(0, 255, (32, 32, 3), np.uint8)
        Image.fromarray(photo).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path


@pytest.mark.exhaustive
def test_latents_are_painted_and_have_exemplars(checkpoint, features, capsys, caplog):
    """With where their dictionary came from in the records; and a check says that a random one explains nothing."""
    given = ["--model", str(checkpoint), "--dictionary", str(features / "features")]
    out = ["--out", str(features / "out")]
    assert main(["visualize", *given, *QUICK, *out, f"{TAP}.sae:3"]) == 0
    record = json.loads((features / "out/pictures.json").read_text())
    about = record["model"]["dictionaries"][f"{TAP}.sae"]
    assert about["format"] == "vitjax" and about["form"]["activation"] == "relu" and len(about["sha256"]) == 64
    assert record["pictures"][0]["unit"] == f"{TAP}.sae:3"
    photos = ["--data", str(features / "photos"), "--check-dictionary", str(features / "photos")]
    out = ["--out", str(features / "found"), "--taps", f"{TAP}.sae", "--k", "2"]
    assert main(["analyze", "exemplars", *given, *photos, *out]) == 0
    assert f"{TAP}.sae explains -" in capsys.readouterr().err + caplog.text
    maps = ["--out", str(features / "maps"), "--units", f"{TAP}.sae:0-1", "--k", "2"]
    assert main(["analyze", "maps", *given, *photos[:2], *maps]) == 0
    assert main(["taps", *given]) == 0
    assert f"{TAP}.sae_pre" in capsys.readouterr().out


def test_a_dictionary_of_another_model_is_refused(checkpoint, features, capsys):
    """In a line."""
    assert main(["taps", "--model", "demo", "--dictionary", str(features / "features")]) == 2
    assert "channels apart, blocks.0.resid_post has" in capsys.readouterr().err
