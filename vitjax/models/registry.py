"""Makes the model that a config describes, with values at random or with shapes in their place."""

from functools import cache

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.models.convit import Convit, ConvitConfig
from vitjax.models.convnets.base import ConvNetConfig
from vitjax.models.convnets.densenet import DenseNet, DenseNetConfig
from vitjax.models.convnets.mobilenet import MobileNetV2, MobileNetV2Config
from vitjax.models.convnets.resnet import ResNet, ResNetConfig
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import key, standard
from vitjax.models.hierarchical.coat import Coat, CoatConfig
from vitjax.models.hierarchical.levit import Levit, LevitConfig
from vitjax.models.hierarchical.pit import Pit, PitConfig
from vitjax.models.hierarchical.pvt import Pvt, PvtConfig
from vitjax.models.hierarchical.pvt_v2 import PvtV2, PvtV2Config
from vitjax.models.hierarchical.pyramid import PyramidConfig
from vitjax.models.hierarchical.swin import Swin, SwinConfig
from vitjax.models.hierarchical.swin_v2 import SwinV2, SwinV2Config
from vitjax.models.hierarchical.t2t import T2t, T2tConfig
from vitjax.models.hierarchical.twins import Twins, TwinsConfig
from vitjax.models.mixer import Mixer, MixerConfig
from vitjax.models.parts.block import OneKey
from vitjax.models.vit import ViT

Config = ViTConfig | PyramidConfig | MixerConfig | ConvNetConfig

KINDS: dict[type[Config], type[Network]] = {
    ViTConfig: ViT,
    ConvitConfig: Convit,
    SwinConfig: Swin,
    SwinV2Config: SwinV2,
    CoatConfig: Coat,
    LevitConfig: Levit,
    MixerConfig: Mixer,
    PitConfig: Pit,
    T2tConfig: T2t,
    TwinsConfig: Twins,
    PvtConfig: Pvt,
    PvtV2Config: PvtV2,
    ResNetConfig: ResNet,
    MobileNetV2Config: MobileNetV2,
    DenseNetConfig: DenseNet,
}


@standard()
def abstract(config: Config, dtype: str = "float32") -> Network:
    """The model with shapes in place of values, to be filled by a converter: costs no initialisation."""
    shapes, structure = _traced(config)
    return jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(shape, jnp.dtype(dtype)) for shape in shapes])


@cache
def _traced(config: Config) -> tuple[list[tuple[int, ...]], jax.tree_util.PyTreeDef]:
    """The shapes of a model's leaves and its structure: tracing takes most of the time in which a model is built."""
    leaves, structure = jax.tree.flatten(jax.eval_shape(lambda: KINDS[type(config)](config, OneKey(key(0)))))
    return [leaf.shape for leaf in leaves], structure


@standard()
def random(config: Config, seed: int = 0) -> Network:
    """A freshly initialised model, float32."""
    return jax.jit(_random, static_argnums=0)(config, seed)


def _random(config: Config, seed: int) -> Network:
    return KINDS[type(config)](config, nnx.Rngs(key(seed)))
