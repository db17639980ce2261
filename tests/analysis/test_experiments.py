"""The experiments: every script answers for help, and results land where they should."""

import importlib
import json
import sys
from pathlib import Path

import pytest

from tests.support.pictures import photo

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "experiments").rglob("*.py")
    if "\ndef main()" in path.read_text()
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_says_what_it_does(name, monkeypatch, capsys):
    if name.endswith("recipes.peers"):
        pytest.importorskip("torch")
    script = importlib.import_module(name)
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as stop:
        script.main()
    said = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0 and " ".join(script.__doc__.splitlines()[0].split()) in said
    assert not hasattr(script, "script") or "--out" in said


def test_results_land_beside_the_script_or_where_they_are_sent(tmp_path, monkeypatch, capsys):
    photo(80, 60).save(tmp_path / "photo.png")
    script = importlib.import_module("experiments.nguyen.filter_row")
    monkeypatch.setattr(sys, "argv", ["filter_row", "--image", f"{tmp_path}/photo.png", "--out", str(tmp_path)])
    script.main()
    assert len(json.loads((tmp_path / "filter-row.json").read_text())["rows"]) == 8
    assert str(tmp_path / "filter-row.png") in capsys.readouterr().out


def test_the_papers_variants_are_architectures_that_load():
    from experiments.ghiasi.variants import VARIANTS, sources
    from vitjax.weights.families.timm.models import CLASSES

    assert len(VARIANTS) == 32 and len(sources(["swin"])) == 10 and len(sources(["twins", "coat"])) == 11
    assert [name for name, source in VARIANTS.items() if source.split("/")[1].split(".")[0] not in CLASSES] == []
    assert sources(["A=b/c", "d/e"]) == {"A": "b/c", "e": "d/e"}
