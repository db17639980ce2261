"""What a unit in a stage costs: the stages up to it, and nothing of those after it."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from tests.models.test_contract import CASES
from vitjax.models.core.network import Network
from vitjax.models.core.vocabulary import split_tap
from vitjax.models.flops import count
from vitjax.models.registry import abstract
from vitjax.units.units import matching

# One of each kind of model with stages.
STAGED = {type(case.config): name for name, case in reversed(CASES.items()) if hasattr(case.config, "widths")}


def counted(model: Network, tap: str) -> tuple[float, float]:
    """Operations of the gradient of a tap at an image, of all that is traced: by our count, and by XLA's.

    XLA counts a scan's body once.
    """

    def gradient(images, model):
        return jax.grad(lambda images: model(images, tap)[tap].astype(jnp.float32).sum())(images)

    image = jax.ShapeDtypeStruct((1, *model.config.image_size, model.config.channels), jnp.float32)
    traced = jax.jit(gradient).trace(image, model)
    return count(traced.jaxpr.jaxpr), traced.lower().cost_analysis()["flops"]


@pytest.mark.parametrize("name", STAGED.values())
def test_a_later_stage_costs_more_and_an_earlier_one_nothing_of_it(name):
    model = abstract(CASES[name].config)
    taps = {split_tap(tap).stage: tap for tap in matching(model.neurons, model.taps())}
    costs = [counted(model, tap) for tap in taps.values()]
    assert [ours for ours, _ in costs] == sorted({ours for ours, _ in costs})
    for stage, cost in enumerate(costs[:-1]):
        cut = abstract(CASES[name].config)
        cut.stages = nnx.List(list(cut.stages)[: stage + 1])
        assert counted(cut, taps[stage]) == cost, taps[stage]
