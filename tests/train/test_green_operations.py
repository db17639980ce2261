"""Multiply-adds of an image, against the specification's table and against what is traced (E13)."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from experiments.greenmim.simmim import SimMIM
from tests.support import green
from vitjax.models.core.surroundings import key
from vitjax.models.flops import operations
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.train.green.bank import Packing
from vitjax.train.green.mim import GreenConfig, GreenMIM
from vitjax.train.green.operations import of_green, of_simmim


def swin(width: int, depth: int, heads: int, window: int, side: int = 224) -> SwinConfig:
    widths = tuple(width * 2**stage for stage in range(4))
    return SwinConfig(
        (side, side),
        widths=widths,
        depths=(2, 2, depth, 2),
        heads=tuple(heads * 2**stage for stage in range(4)),
        mlp_widths=tuple(4 * width for width in widths),
        windows=(window,) * 4,
        classes=0,
    )


TABLE = {  # 10⁹ multiply-adds: SimMIM at 224 and at 192 pixels, green, green with one group a stage
    "swin-t w7": ((96, 6, 3), 7, 4.61, 3.36, 1.346, 1.580),
    "swin-b w7": ((128, 18, 4), 7, 15.58, 11.39, 4.029, 4.341),
    "swin-b w14": ((128, 18, 4), 14, 16.47, 11.87, 4.091, 4.341),
    "swin-l w14": ((192, 18, 6), 14, 36.03, 26.13, 8.794, 9.170),
}


@pytest.mark.parametrize("name", TABLE)
def test_e13_operations_are_those_of_the_table(name):
    sizes, window, *due = TABLE[name]
    config = swin(*sizes, window)
    found = [
        of_simmim(config),
        of_simmim(config.scaled((192, 192))),
        of_green(GreenConfig(config, bank=100)),
        of_green(GreenConfig(config, bank=1, packing=Packing("one-group"))),
    ]
    assert [count.total / 1e9 for count in found] == pytest.approx(due, rel=0.02)


@pytest.mark.parametrize("encoder", [green.SWIN, green.TWINS, green.VIT], ids=["swin", "twins", "vit"])
def test_e13_what_is_counted_is_what_is_computed(encoder):
    config = GreenConfig(encoder, bank=3, decoder_width=16, decoder_heads=2)
    assert of_green(config).total == traced(GreenMIM(config), encoder)
    if encoder is not green.VIT:
        assert of_simmim(encoder).total == traced(SimMIM(encoder), encoder)


def traced(task, encoder) -> float:
    learned = jax.eval_shape(lambda: task.start(nnx.Rngs(key(0))))
    batch = {"images": jax.ShapeDtypeStruct((1, *encoder.image_size, 3), jnp.float32)}
    return operations(lambda learned, batch: task.loss(learned, batch, key(0))[0], learned, batch) / 2
