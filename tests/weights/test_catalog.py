"""`vitjax models`: what is known by name, without the network, and true of the models themselves."""

import subprocess
import sys
from pathlib import Path

import pytest

from vitjax.cli import main
from vitjax.weights.catalog import known
from vitjax.weights.find.source import parse

ROOT = Path(__file__).resolve().parents[2]


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
    assert all(row.neurons >= row.blocks > 0 and row.family for row in known())


def test_the_table_is_what_timm_says(timm):
    from converters.catalog import row

    for known_row in (
        known(["vit_tiny"])
        + known(["eva02_tiny"])
        + known(["beit_base_patch16_224.in22k_pt"])
        + known(["resnet50.tv_in1k"])
    ):
        assert [str(cell or "") for cell in row(timm, known_row.name.removeprefix("timm/"))] == [
            str(cell) for cell in vars(known_row).values()
        ]


TWINS = {  # the same weights by transformers and by timm
    "google/vit-base-patch16-224": "timm/vit_base_patch16_224.augreg2_in21k_ft_in1k",
    "facebook/deit-small-distilled-patch16-224": "timm/deit_small_distilled_patch16_224.fb_in1k",
    "facebook/deit-base-patch16-384": "timm/deit_base_patch16_384.fb_in1k",
    "facebook/dino-vits8": "timm/vit_small_patch8_224.dino",
    "facebook/dinov2-large": "timm/vit_large_patch14_dinov2.lvd142m",
    "facebook/dinov2-giant": "timm/vit_giant_patch14_dinov2.lvd142m",
    "facebook/dinov2-with-registers-small": "timm/vit_small_patch14_reg4_dinov2.lvd142m",
    "facebook/vit-mae-huge": "timm/vit_huge_patch14_224.mae",
    "microsoft/beit-base-patch16-224-pt22k-ft22k": "timm/beit_base_patch16_224.in22k_ft_in22k",
    "google/siglip-so400m-patch14-384": "timm/vit_so400m_patch14_siglip_384.webli",
    "google/siglip2-giant-opt-patch16-256": "timm/vit_giantopt_patch16_siglip_256.v2_webli",
}


def test_the_same_weights_by_both_libraries_have_one_size():
    table = {row.name: row for row in known()}
    for ours, theirs in TWINS.items():
        facts = [(row.family, row.parameters, row.image_size, row.neurons) for row in (table[ours], table[theirs])]
        assert facts[0] == facts[1], ours


def test_what_is_stated_of_transformers_is_what_timm_states():
    """But for those whose licence or head timm has otherwise, see `converters/catalog.py`."""
    facts = lambda row: (row.family, row.parameters, row.image_size, row.blocks, row.neurons, row.licence)
    timm = {facts(row) for row in known(["timm/"])}
    others = [row for row in known() if not row.name.startswith("timm/")]
    alone = [row.name for row in others if facts(row) not in timm]
    assert len(alone) == 12 and all(
        any(part in name for part in ("openai/clip", "facebook/vit-mae", "-in21k")) for name in alone
    )


def test_the_table_is_what_the_rows_of_transformers_make():
    import csv

    from converters.catalog import TRANSFORMERS, row_of_transformers

    table = {row.name: row for row in known()}
    with open(TRANSFORMERS, newline="") as file:
        stated = list(csv.DictReader(file))
    for row in stated[::9]:
        assert tuple(vars(table[row["name"]]).values()) == row_of_transformers(row)
    assert {row["name"] for row in stated} == {name for name in table if not name.startswith("timm/")}


def test_the_list_is_given_at_once():
    code = "import sys; from vitjax.cli import main; main(['models']); print({'jax', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize("family", ["CLIP", "SigLIP", "DINOv3", "BEiT 3", "EVA-02", "MAE", "DeiT III", "DenseNet"])
def test_every_family_has_a_row(family):
    assert any(row.family == family for row in known([family]))
