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


def image(model: Network) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, *model.config.image_size, model.config.channels), jnp.float32)


def cost(model: Network, tap: str) -> float:
    """Operations of the gradient of a tap at an image."""

    def gradient(images, model):
        return jax.grad(lambda images: model(images, tap)[tap].astype(jnp.float32).sum())(images)

    return count(jax.make_jaxpr(gradient)(image(model), model).jaxpr)


def computed(model: Network, tap: str) -> list[str]:
    """All that is traced for a tap, one after another: each with the shapes of what it gives and all its settings."""
    traced = jax.make_jaxpr(lambda images, model: model(images, tap)[tap])(image(model), model)
    return list(map(str, traced.jaxpr.eqns))


@pytest.mark.representatives("Swin", "PVT", "T2T-ViT, kernels", "LeViT")
@pytest.mark.parametrize("name", STAGED.values())
def test_a_later_stage_costs_more_and_an_earlier_one_nothing_of_it(name):
    model = abstract(CASES[name].config)
    taps = [*{split_tap(tap).stage: tap for tap in matching(model.neurons, model.taps())}.values()]
    costs = [cost(model, tap) for tap in taps]
    assert costs == sorted(set(costs))
    for stage, tap in enumerate(taps[:-1]):
        cut = abstract(CASES[name].config)
        cut.stages = nnx.List(list(cut.stages)[: stage + 1])
        assert computed(cut, tap) == computed(model, tap), tap
