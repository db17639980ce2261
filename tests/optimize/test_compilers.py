"""The loop of every kind of model, by the compilers of TPUs and NVIDIA GPUs, where these are installed."""

import re
from dataclasses import replace

import pytest

from tests.models.test_contract import CASES
from vitjax.bench.compiled import hlo, target
from vitjax.bench.compiled.chips import CUDA, chip
from vitjax.bench.compiled.environment import ENVIRONMENT
from vitjax.errors import InputError
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.execution import Execution
from vitjax.models.registry import abstract
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
# What would leave the chip, or wait for another one.
ELSEWHERE = re.compile(r"all-\w+|reduce-scatter|collective-\w+|infeed|outfeed|send|recv")


@pytest.fixture
def there(monkeypatch, request):
    """A chip that is not here; a skip, by its name, without its compiler."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("XLA_FLAGS", raising=False)  # a TPU's compiler ends the process at those of others
    monkeypatch.setitem(target.OPTIONS, CUDA, UNTRIED)
    found = chip(request.param)
    try:
        target.check(found)
    except InputError as error:
        pytest.skip(str(error))
    return found


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("there", ["v5e", "h100"], indirect=True)
def test_the_loop_stays_on_the_chip_and_fits(there, name, dtype):
    config = MODELS[name]
    model = abstract(config)
    tap = matching(model.neurons, model.taps())[-1]
    made = target.built(there, config, tap, RECIPE, 2, dtype, Execution())
    assert 0 < made.whole < there.memory
    ran = [one for here in hlo.read(made.text).computations.values() for one in here.values()]
    assert not [one.opcode for one in ran if ELSEWHERE.fullmatch(one.opcode) or "callback" in one.target]
    if there.platform == CUDA and name.startswith("heads of"):
        taken = any("fmhaSoftmaxBackward" in one.target for one in ran)
        assert taken == (name.startswith("heads of 64") and dtype == "bfloat16")
        if taken:  # once in each block, not again for its gradient
            assert sum(one.target.endswith("fmhaSoftmax") for one in ran) == config.depth
