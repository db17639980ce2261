"""`vitjax models`: what is known by name, without the network, and true of the models themselves."""

import subprocess
import sys
from pathlib import Path

import pytest

from vitjax.cli import main
from vitjax.weights.catalog import known
from vitjax.weights.source import parse

ROOT = Path(__file__).resolve().parents[1]


def test_words_choose_rows(capsys):
    assert main(["models", "DINOv2", "reg4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "family", "parameters", "input", "blocks", "neurons", "licence"]
    assert lines[2].split() == (
        "timm/vit_giant_patch14_reg4_dinov2.lvd142m DINOv2 1136.5 M 518x518 40 163,840 apache-2.0".split()
    )
    assert len(lines) == 5


def test_words_that_choose_nothing(capsys):
    assert main(["models", "siglip3"]) == 2
    assert "no checkpoint is known for 'siglip3' (did you mean siglip" in capsys.readouterr().err


def test_every_row_is_a_hub_id():
    names = [row.name for row in known()]
    assert len(set(names)) == len(names) > 300
    assert all(parse(name).repo == name for name in names)
    assert all(row.neurons % row.blocks == 0 and row.family for row in known())


def test_the_table_is_what_timm_says(timm):
    from converters.catalog import row

    for known_row in known(["vit_tiny"]) + known(["eva02_tiny"]) + known(["beit_base_patch16_224.in22k_pt"]):
        assert [str(cell or "") for cell in row(timm, known_row.name.removeprefix("timm/"))] == [
            str(cell) for cell in vars(known_row).values()
        ]


def test_the_list_is_given_at_once():
    code = "import sys; from vitjax.cli import main; main(['models']); print({'jax', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize("family", ["CLIP", "SigLIP", "DINOv3", "BEiT 3", "EVA-02", "MAE", "DeiT III"])
def test_every_family_has_a_row(family):
    assert any(row.family == family for row in known([family]))
