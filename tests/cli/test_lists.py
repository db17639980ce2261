"""Lists: taps of like blocks in one line, recipes and what their fields mean, what a shell completes."""

import dataclasses
import subprocess

import pytest

import vitjax
from vitjax.cli import main
from vitjax.models.core.tap_site import Site, grouped
from vitjax.models.registry import abstract
from vitjax.optimize.recipes import ABOUT, RECIPES, Recipe
from vitjax.optimize.settings.meanings import meanings
from vitjax.optimize.settings.stage import Stage
from vitjax.units.units import matching
from vitjax.weights.families.timm.models import by_name


def printed(capsys, *words: str) -> list[str]:
    assert main(words) == 0
    return capsys.readouterr().out.splitlines()


def test_patterns_mean_each_tap_once():
    taps = abstract(by_name("swin_tiny_patch4_window7_224")).taps()
    meant = [tap for pattern in grouped(taps) for tap in matching(pattern, taps)]
    assert sorted(meant) == sorted(taps) and len(grouped(taps)) < len(taps) / 2


def test_what_some_blocks_have_stands_after_its_host():
    channels, latents = Site((5, 4), ("token", "channel")), Site((5, 9), ("token", "latent"))
    taps = {f"blocks.{i}.{name}": channels for i in range(4) for name in ("resid_pre", "resid_post")}
    taps = {tap: channels for tap in taps} | {"norm": channels}
    for block in (1, 3):
        taps[f"blocks.{block}.resid_pre.sae"] = latents
    order = ["embed", *sorted(tap for tap in taps if tap != "norm"), "norm"]
    order.sort(key=lambda tap: (tap == "norm", tap != "embed", tap.replace("pre", "a").replace("post", "z")))
    assert list(grouped({tap: taps.get(tap, channels) for tap in order})) == [
        "embed", "blocks.0-3.resid_pre", "blocks.1,3.resid_pre.sae", "blocks.0-3.resid_post", "norm",
    ]  # fmt: skip


def test_taps_are_listed_by_layer_or_one_by_one(checkpoint, capsys):
    short, whole = (printed(capsys, "taps", "--model", str(checkpoint), *more) for more in ([], ["--all"]))
    assert "blocks.0-1.mlp.hidden   [5, 96]     token, channel" in short
    assert whole[-1].split() == ["logits", "[10]", "class"]
    assert f"{len(whole)} taps" in short[-1] and any(line.startswith("blocks.1.mlp.hidden ") for line in whole)


def test_every_field_of_a_recipe_has_a_meaning(capsys):
    assert ABOUT.keys() == RECIPES.keys()
    for kind in (Recipe, Stage):
        assert [field.name for field in dataclasses.fields(kind) if not meanings(kind).get(field.name)] == []
    text = "\n".join(printed(capsys, "recipes"))
    assert all(name in text for name in (*RECIPES, *Recipe.__dataclass_fields__.keys() - {"stages"}))


def test_recipes_stand_side_by_side(capsys):
    lines = printed(capsys, "recipes", "fast", "best")
    assert lines[0].split() == ["fast", "best"]
    assert {line.split()[1] for line in lines if line.startswith("*")} == {
        "steps", "learning_rate", "stages.0.steps", "stages.1.steps", "stages.1.total_variation",
    }  # fmt: skip
    assert main(["recipes", "fest"]) == 2 and "did you mean fast, best" in capsys.readouterr().err


def test_a_shell_completes_commands_and_options(capsys, tmp_path):
    script = tmp_path / "vitjax.bash"
    script.write_text("\n".join(printed(capsys, "completion", "bash")))
    ask = 'source "$1"; COMP_WORDS=("${@:2}"); COMP_CWORD=$(($# - 2)); _shtab_vitjax; echo "${COMPREPLY[@]}"'
    for words, found in {("rec",): "recipes", ("analyze", "exempl"): "exemplars", ("taps", "--al"): "--all"}.items():
        done = subprocess.run(["bash", "-c", ask, "-", script, "vitjax", *words], capture_output=True, text=True)
        assert done.stdout.strip() == found, done.stderr
    for option in ("scores___encoder", "match___other", "report_card___embedding", "scores___data", "scores___out"):
        assert f"_shtab_vitjax_analyze_{option}_COMPGEN=_shtab_compgen_files" in script.read_text()


def test_a_goal_that_begins_with_a_minus_is_no_option(checkpoint, capsys):
    """`-TAP:INDEX` is what `- TAP:INDEX` is; what is no goal is still said to be no argument."""
    for goal in ("-bloks.1.mlp.hidden:5", "-after(bloks.1.mlp.hidden:5)", "-(bloks.1.mlp.hidden:5 + logits:1)"):
        assert main(["visualize", "--model", str(checkpoint), goal]) == 2
        assert "did you mean blocks.1.mlp.hidden" in capsys.readouterr().err
    assert main(["visualize", "--model", str(checkpoint), "-nowhere/x.npz:4"]) == 2
    assert "nowhere/x.npz does not exist" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["visualize", "-x"])


def test_the_top_level_names_what_notebooks_need():
    assert "Recipe" in dir(vitjax) and vitjax.Recipe is Recipe
