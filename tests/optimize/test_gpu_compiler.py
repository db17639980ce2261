"""The loop of every kind of model, by the compiler for NVIDIA GPUs, where it is installed: no GPU is needed."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import pytest

from tests.models.test_contract import CASES
from tests.support.compilers import h100
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.execution import Execution
from vitjax.models.core.surroundings import standard
from vitjax.models.registry import Config, abstract
from vitjax.optimize import loop
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import Recipe
from vitjax.units.units import matching

# Kernels are tried out on a GPU alone, and untried ones of Triton's fail on products as small as these.
UNTRIED = {"xla_gpu_autotune_level": 0, "xla_gpu_enable_triton_gemm": False}
RECIPE = Recipe(steps=2, views=2)
# Heads as wide as published models have them, of which the other cases have none: 17 tokens, of which cuDNN takes 18.
WIDE = ViTConfig(image_size=(32, 32), patch_size=(8, 8), width=128, depth=3, heads=2, mlp_width=32, classes=4)
MODELS = {name: case.config for name, case in CASES.items()} | {
    "heads of 64": WIDE,
    "heads of 64, attention's taps": replace(WIDE, qk_norm=True, pool="attention"),
    "heads of 256": replace(WIDE, width=256, heads=1),
    "heads of 20": replace(WIDE, width=40),
}


@standard()
def compiled(config: Config, dtype: jnp.dtype) -> str:
    """The compiled loop of the model's last neurons, as text."""
    place = h100()
    model = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), abstract(config))
    tap = matching(model.neurons, model.taps())[-1]
    aims = loop.Targets(jnp.zeros(2, jnp.int32), jnp.zeros(2, jnp.uint32), jnp.uint32(0))
    slots = jax.eval_shape(partial(loop.start, recipe=RECIPE), model, aims)
    placed = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)
    program = loop.program(RECIPE, UnitActivation(tap), execution=Execution().on("gpu"))
    lowered = loop.advance.lower(*jax.tree.map(placed, (model, slots, aims)), program=program)
    return lowered.compile(UNTRIED).as_text()


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", MODELS)
def test_it_compiles_for_an_h100(name, dtype):
    text = compiled(MODELS[name], dtype)
    assert "xla_ffi_python_gpu_callback" not in text and "all-reduce" not in text
    taken = "fmhaSoftmaxBackward" in text
    if name.startswith("heads of"):
        assert taken == (name.startswith("heads of 64") and dtype == jnp.bfloat16)
