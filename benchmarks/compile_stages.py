"""What a unit in each stage costs: seconds to compile a step of the loop, its operations, and the memory it takes.

    python benchmarks/compile_stages.py [--recipe default] [--only SUBSTRING] [--json FILE.json]

The smallest model of each hierarchical family at its real size, one picture, a neuron of each stage's last block; and
for comparison models without stages, in three blocks. Nothing is run, so weights are shapes alone. Seconds are of the
processor, all threads together. Operations are counted by `vitjax.models.flops`, as `vitjax bench` does, and beside
them by XLA on the program before it is optimised, with every block unrolled: XLA counts elementwise operations too, and
a scan's body once.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp

from vitjax.models.convit import ConvitConfig
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.execution import Execution
from vitjax.models.core.vocabulary import split_tap
from vitjax.models.flops import operations
from vitjax.models.hierarchical.pvt import PvtConfig
from vitjax.models.hierarchical.t2t import T2tConfig
from vitjax.models.mixer import MixerConfig
from vitjax.models.registry import Config, abstract
from vitjax.optimize import loop
from vitjax.optimize.cost import step_flops
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import Recipe, choose
from vitjax.units.units import matching
from vitjax.weights.families.timm.models import TIMM

OF_TIMM = (
    *("swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256", "twins_svt_small", "twins_pcpvt_small", "pvt_v2_b1"),
    *("coat_lite_tiny", "coat_tiny", "levit_128s", "pit_ti_224"),
)
OTHERS = {
    "vit_tiny_patch16_224": ViTConfig(),
    "convit_tiny": ConvitConfig(),
    "mixer_s16_224": MixerConfig(width=512, depth=8, token_width=256, mlp_width=2048),
    "pvt_tiny": PvtConfig(),
    "t2t_vit_7": T2tConfig(widths=(64, 64, 256), depths=(1, 1, 7), heads=(1, 1, 4), mlp_widths=(64, 64, 512)),
}
UNROLLED = Execution(recompute=False, unroll=True)
COLUMNS = "model stage tap seconds gflop xla_gflop megabytes".split()


def of_timm(name: str) -> Config:
    """The config of one of timm's architectures."""
    stated = {"architecture": name, "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    return TIMM.config(stated, {mark: (1, 3, 1, 1) for mark in TIMM.marks})


def chosen(config: Config) -> list[str]:
    """The last neurons of each stage; of a model without stages those of a first, a middle and the last block."""
    model = abstract(config)
    found = matching(model.neurons, model.taps())
    stages = {split_tap(tap).stage: tap for tap in found}
    return list(stages.values()) if None not in stages else [found[0], found[len(found) // 2], found[-1]]


def lowered(config: Config, tap: str, recipe: Recipe) -> jax.stages.Lowered:
    """One step of the loop of one picture, traced."""
    model, program = abstract(config), loop.Program(recipe, UnitActivation(tap), chunk=1)
    aims = loop.Targets(jnp.zeros(1, jnp.int32), jnp.zeros(1, jnp.uint32), jnp.uint32(0))
    slots = jax.eval_shape(partial(loop.start, recipe=recipe), model, aims)
    return loop.advance.lower(model, slots, aims, program=program)


def counts(config: Config, tap: str, images: int) -> tuple[float, float]:
    """Operations of the gradient of a tap at images, ours and XLA's of the same, unrolled."""
    model = abstract(config)
    before = list(model.taps())
    before = [name for name in before[: before.index(tap)] if name.endswith("resid_post")]

    def total(images, model, reads):
        return model(images, reads, execution=UNROLLED)[tap].astype(jnp.float32).sum()

    image = jax.ShapeDtypeStruct((images, *config.image_size, config.channels), jnp.float32)
    ours = operations(jax.grad(partial(total, reads=(tap,))), image, model)
    xla = jax.jit(jax.grad(partial(total, reads=(tap, *before)))).lower(image, model).cost_analysis()["flops"]
    return ours, xla


def row(name: str, config: Config, tap: str, recipe: Recipe) -> dict[str, object]:
    """What a neuron of a tap costs."""
    clock = time.process_time()
    compiled = lowered(config, tap, recipe).compile()
    seconds = time.process_time() - clock
    ours, xla = counts(config, tap, recipe.views)
    found = step_flops(config, tap, recipe)
    values = (
        *(name, split_tap(tap).stage, tap, round(seconds, 1)),
        *(round(found / 1e9, 2), round(found * xla / ours / 1e9, 2)),
        round(compiled.memory_analysis().temp_size_in_bytes / 1e6, 1),
    )
    print(*(f"{value!s:30}" if isinstance(value, str) else f"{value!s:>8}" for value in values), flush=True)
    return dict(zip(COLUMNS, values, strict=True))


def main() -> None:
    """Prints the table, and writes it where that is asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recipe", default="default", help="of the pictures (default: default)")
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="models whose name has it (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE.json", help="write the rows, beside those of other models")
    args = parser.parse_args()
    recipe = choose(args.recipe, stages=())
    models = {**OTHERS, **{name: of_timm(name) for name in OF_TIMM}}
    for name in filter(lambda name: args.only in name, models):
        rows = [row(name, models[name], tap, recipe) for tap in chosen(models[name])]
        if args.json:
            keep(args.json, args.recipe, rows)


def keep(path: Path, recipe: str, rows: list[dict[str, object]]) -> None:
    """Writes the rows of a model to the file, in place of older ones."""
    facts = {"recipe": recipe, "jax": jax.__version__}
    held = json.loads(path.read_text()) if path.exists() else facts
    if {name: held.get(name) for name in facts} != facts:
        held = facts
    others = [row for row in held.get("rows", ()) if row["model"] != rows[0]["model"]]
    path.write_text(json.dumps({**facts, "rows": [*others, *rows]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
