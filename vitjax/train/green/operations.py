"""Counts the multiply-adds of masked image modelling of one image, forward: products of matrices and convolutions."""

from math import prod
from typing import NamedTuple

from vitjax.models.core.config import BlockConfig, ViTConfig
from vitjax.models.hierarchical.twins import TwinsConfig
from vitjax.train.green.decoder import MLP_RATIO
from vitjax.train.green.geometry import Encoder, Geometry, StageGeometry
from vitjax.train.green.layout import Shape
from vitjax.train.green.mim import GreenConfig

PEG = 9  # places that Twins' convolution of positions reads


class Count(NamedTuple):
    """Multiply-adds, by part: embedding patches, each stage with its merging, and all that predicts pixels."""

    embed: int
    stages: tuple[int, ...]
    decoder: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.embed + sum(self.stages) + self.decoder


def of_green(config: GreenConfig) -> Count:
    """Those of visible tokens alone, in groups of the shapes that the bank of masks has."""
    layout, grid = config.masks[0], config.geometry.units
    embed, stages = _encoder(config.encoder, layout.visible, layout.shapes)
    width, latent = config.decoder_width, config.geometry.stages[-1].width
    block = BlockConfig(width, config.decoder_depth, config.decoder_heads, MLP_RATIO * width)
    decoder = layout.visible * latent * width + config.decoder_depth * (_dense(block, grid) + 2 * grid**2 * width)
    return Count(embed, stages, decoder + grid * width * _pixels(config.encoder))


def of_simmim(encoder: Encoder) -> Count:
    """Those of all tokens, masked or not, in their windows, and of one linear map to the pixels of each unit."""
    geometry = Geometry.of(encoder)
    whole = [[Shape(prod(cut.counts), prod(cut.size)) for cut in stage.cuts] for stage in geometry.stages]
    predict = geometry.units * geometry.stages[-1].width * _pixels(encoder)
    return Count(*_encoder(encoder, geometry.units, whole), predict)


def _pixels(encoder: Encoder) -> int:
    return prod(Geometry.of(encoder).unit) * encoder.channels


def _encoder(encoder: Encoder, units: int, shapes) -> tuple[int, tuple[int, ...]]:
    """Those of embedding patches, and of each stage; `shapes` are of its groups, None for one of all tokens."""
    stages, found = Geometry.of(encoder).stages, []
    embed = units * stages[0].side ** 2 * prod(encoder.patch_size) * encoder.channels * stages[0].width
    for number, (stage, packed) in enumerate(zip(stages, shapes, strict=True)):
        tokens = units * stage.side**2
        groups = [shape or Shape(1, tokens) for shape in packed]
        merging = tokens * 4 * stages[number - 1].width * stage.width if number else 0
        found.append(merging + _blocks(encoder, number, stage, tokens, groups))
    return embed, tuple(found)


def _blocks(encoder: Encoder, number: int, stage: StageGeometry, tokens: int, groups: list[Shape]) -> int:
    if isinstance(encoder, ViTConfig):
        tokens += encoder.prefix
        return encoder.depth * (_dense(encoder, tokens) + 2 * tokens**2 * encoder.width)
    block = encoder.blocks(number)
    within = [2 * shape.groups * shape.size**2 * block.width for shape in groups]
    if not isinstance(encoder, TwinsConfig):
        return block.depth * _dense(block, tokens) + sum(within[i % len(within)] for i in range(block.depth))
    step = encoder.reductions[number]
    keys = tokens // step**2
    fewer = 2 * (keys - tokens) * block.width**2 + 2 * tokens * keys * block.width
    fewer += tokens * block.width**2 if step > 1 else 0
    kinds = [within[0] if within and i % 2 == 0 else fewer for i in range(block.depth)]
    return block.depth * _dense(block, tokens) + sum(kinds) + PEG * prod(stage.grid) * block.width


def _dense(block: BlockConfig, tokens: int) -> int:
    """Those of a block's dense layers, with q, k and v of as many tokens."""
    return tokens * (4 * block.width**2 + 2 * block.width * block.mlp_width)
