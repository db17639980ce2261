"""An atlas that is planned: the batches of the job itself, what they take of a device, and nothing written."""

from collections import Counter
from dataclasses import dataclass, field, replace

import pytest

from tests.support import small
from tests.support.plain import PLAIN, QUICK
from vitjax.atlas.job.job import chosen
from vitjax.atlas.plan.device import Here
from vitjax.atlas.plan.plan import plan, told
from vitjax.atlas.records.series import Series
from vitjax.bench.compiled import forecast
from vitjax.bench.compiled.chips import chip
from vitjax.bench.compiled.estimate import Kernel
from vitjax.bench.compiled.target import Built
from vitjax.cli import main
from vitjax.errors import InputError
from vitjax.models.registry import abstract
from vitjax.optimize import cost, memory
from vitjax.optimize.memory import Room
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import choose
from vitjax.optimize.schedule.plan import plan as schedule

MODEL = abstract(small.CONFIG)
RECIPE = choose("fast", steps=4, **PLAIN)
UNITS = chosen(MODEL, ["blocks.*.mlp.hidden:0-8", "blocks.1.attn.q:0.0-3"], None)


@dataclass
class Known:
    """A device of which all is known: a batch takes as many seconds as its tap's name has letters."""

    asked: list = field(default_factory=list)

    def useful(self):
        return 128

    def room(self, tap):
        return Room(7, 2e6, 3e6)

    def batches(self, taps, slots):
        self.asked.append((taps, slots))
        return {tap: float(len(tap)) for tap in taps}

    def said(self, operations):
        return f"{operations:.3g} operations"


def test_it_has_the_batches_of_the_job():
    made = plan(MODEL, UNITS, RECIPE, device := Known(), seeds=(0, 3))
    assert made.slots == 5  # nine units of a tap: two equal batches, as of at most seven
    batches = Series("seed-0", RECIPE, 0, UNITS, 5, (32, 32)).batches
    assert {one.tap: one.batches for one in made.taps} == {
        tap: 2 * count for tap, count in Counter(batch.tap for batch in batches).items()
    }
    assert sum(one.pictures for one in made.taps) == 2 * len(UNITS)
    assert device.asked == [([one.tap for one in made.taps], 5)]
    assert made.hours == sum(one.batches * len(one.tap) for one in made.taps) / 3600
    assert made.operations == 2 * sum(cost.picture_flops(small.CONFIG, unit.tap, RECIPE) for unit in UNITS)
    text = told(made, device)
    assert "2 MB a slot, 3 MB beside; 7 slots at most" in text and f"chip-hours in the loop: {made.hours:.3g}" in text

    parts = [plan(MODEL, UNITS, RECIPE, Known(), seeds=(0, 3), slots=5, shard=(part, 3)) for part in range(3)]
    assert sum(part.hours for part in parts) == pytest.approx(made.hours)
    assert plan(MODEL, UNITS[:1], RECIPE, Known(), shard=(1, 2)).hours == 0
    assert made.disk.store > plan(MODEL, UNITS, RECIPE, Known()).disk.store > 0


def test_without_a_chip_there_are_operations_and_no_hours():
    here = Here(MODEL, RECIPE, rate=1e9)
    made = plan(MODEL, UNITS, RECIPE, here)
    fixed, each = memory.need(MODEL, UNITS[-1].tap, RECIPE)
    assert made.room == Room(4, each, fixed + memory.weights(MODEL)) and made.hours is None
    assert f"{made.operations / 1e9 / 3600:.3g} hours at least" in told(made, here)


def test_what_no_atlas_can_be_made_of_is_not_planned():
    with pytest.raises(InputError, match="one picture a unit"):
        plan(MODEL, UNITS, replace(RECIPE, variants=2), Known())
    with pytest.raises(InputError, match="seed"):
        plan(MODEL, UNITS, RECIPE, Known(), seeds=(-1,))


def test_blocks_between_the_first_and_the_last_are_reckoned_by_their_operations(monkeypatch):
    steps = {tap: cost.step_flops(small.CONFIG, tap, RECIPE) for tap in MODEL.taps() if tap.endswith("mlp.hidden")}
    asked = []

    def built(chip, config, tap, recipe, slots, dtype, execution):
        asked.append((tap, slots))
        kernel = Kernel("dot_general", "", "", 1, 1e-3 + 1e-12 * steps[tap], 0, 0)
        unknown = Kernel("pallas_call", "", "tpu_custom_call", 3, 0.0, 0, 0)
        return Built(slots * 10**8, 10**9 + slots * 10**7, "", [kernel, unknown])

    monkeypatch.setattr(forecast, "built", built)
    one = forecast.Forecast(chip("v5e"), small.CONFIG, RECIPE, "bfloat16")
    room = one.room("blocks.3.mlp.hidden")
    assert (room.each, room.beside, room.most) == (1.1e8, 1e9, 112) and [slots for _, slots in asked] == [2, 4]
    asked.clear()
    found = one.batches(list(steps), 8)
    assert [tap for tap, _ in asked] == [min(steps, key=steps.get), max(steps, key=steps.get)] and len(steps) > 2
    assert found == pytest.approx({tap: 4 * (1e-3 + 1e-12 * count) for tap, count in steps.items()})
    assert "v5e, 197 TFLOP/s, 16 GB" in one.said(1e15)
    assert "without tpu_custom_call (3 times a step), of which it tells no time" in one.said(1e15)


@pytest.mark.exhaustive
def test_stages_of_a_recipe_are_forecast_each_by_itself(monkeypatch):
    staged = choose("fast", steps=10, stages=[{"size": 0.5, "steps": 3, "shallow": 1}, {"steps": 2}])
    taps = [tap for tap in MODEL.taps() if tap.endswith("mlp.hidden")]
    asked = []

    def built(chip, config, tap, recipe, slots, dtype, execution):
        asked.append((config.image_size, tap))
        return Built(slots, 0, "", [Kernel("dot_general", "", "", 1, float(config.image_size[0]), 0, 0)])

    monkeypatch.setattr(forecast, "built", built)
    found = forecast.Forecast(chip("v5e"), small.CONFIG, staged, "bfloat16").batches(taps, 8)
    assert len(asked) == 4 and {size for size, _ in asked} == {(16, 16), (32, 32)}
    for tap in taps:
        assert found[tap] == sum(
            leg.recipe.steps * leg.config.image_size[0] for leg in schedule(staged, small.CONFIG, UnitActivation(tap))
        )


def test_on_the_command_line_nothing_is_written(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = ["atlas", "--model", str(checkpoint), *QUICK, "--units", "blocks.1.mlp.hidden:0-8"]
    assert main([*given, "--plan"]) == 0
    said = capsys.readouterr().out
    assert "9 pictures for units of 1 taps, in 3 batches of 3 slots" in said and "on disk: about" in said
    assert main([*given, "--compile-for", "v5e"]) == 2 and "goes with --plan" in capsys.readouterr().err
    assert main([*given, "--plan", "--compile-for", "v5x"]) == 2 and "did you mean v5p" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
