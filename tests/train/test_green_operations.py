"""Multiply-adds of an image, against the specification's table (E13)."""

import pytest

from experiments.greenmim.simmim import SimMIM
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.train.green.bank import Packing
from vitjax.train.green.mim import GreenConfig, GreenMIM
from vitjax.train.green.operations import multiply_adds


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
    "swin-t w7": (swin(96, 6, 3, 7), swin(96, 6, 3, 6, 192), 4.61, 3.36, 1.346, 1.580),
    "swin-b w7": (swin(128, 18, 4, 7), swin(128, 18, 4, 6, 192), 15.58, 11.39, 4.029, 4.341),
    "swin-b w14": (swin(128, 18, 4, 14), swin(128, 18, 4, 12, 192), 16.47, 11.87, 4.091, 4.341),
    "swin-l w14": (swin(192, 18, 6, 14), swin(192, 18, 6, 12, 192), 36.03, 26.13, 8.794, 9.170),
}


@pytest.mark.parametrize("name", TABLE)
def test_e13_operations_are_those_of_the_table(name):
    large, small, *due = TABLE[name]
    found = [
        multiply_adds(SimMIM(large), (224, 224)),
        multiply_adds(SimMIM(small), (192, 192)),
        multiply_adds(GreenMIM(GreenConfig(large, bank=100)), (224, 224)),
        multiply_adds(GreenMIM(GreenConfig(large, bank=1, packing=Packing("one-group"))), (224, 224)),
    ]
    assert [number / 1e9 for number in found] == pytest.approx(due, rel=0.02)
