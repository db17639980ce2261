"""timm's checkpoints, by which of its classes of models each is of."""

from collections.abc import Callable, Mapping
from typing import Any

from vitjax.errors import InputError
from vitjax.models.core.config import ViTConfig
from vitjax.models.registry import Config
from vitjax.weights.families.family import Family, Settings, Shapes, stated_licence
from vitjax.weights.families.timm import convnets, plain
from vitjax.weights.families.timm.architectures import KNOWN
from vitjax.weights.families.timm.arguments import arguments, name_of
from vitjax.weights.families.timm.convnet_architectures import CONVNETS
from vitjax.weights.families.timm.eva import eva_config, eva_table
from vitjax.weights.families.timm.eva_architectures import EVA_ARCHITECTURES
from vitjax.weights.families.timm.hierarchical.coat import COAT_CLASS
from vitjax.weights.families.timm.hierarchical.convit import convit_config, convit_table
from vitjax.weights.families.timm.hierarchical.levit import LEVIT_CLASS
from vitjax.weights.families.timm.hierarchical.mixer import MIXER_CLASS, RESMLP_CLASS
from vitjax.weights.families.timm.hierarchical.pit import PIT_CLASS
from vitjax.weights.families.timm.hierarchical.swin import SWIN_CLASS, SWIN_V2_CLASS
from vitjax.weights.families.timm.hierarchical.twins_pvt import PVT_V2_CLASS, TWINS_CLASS
from vitjax.weights.families.timm.model_class import MARK, Arguments, ModelClass
from vitjax.weights.families.timm.plain_architectures import ARCHITECTURES
from vitjax.weights.families.timm.tables.coat_architectures import COAT
from vitjax.weights.families.timm.tables.convit_architectures import CONVIT
from vitjax.weights.families.timm.tables.levit_architectures import LEVIT
from vitjax.weights.families.timm.tables.mixer_architectures import MIXER, RESMLP
from vitjax.weights.families.timm.tables.pit_architectures import PIT
from vitjax.weights.families.timm.tables.pvt_architectures import PVT_V2
from vitjax.weights.families.timm.tables.swin_architectures import SWIN, SWIN_V2
from vitjax.weights.families.timm.tables.twins_architectures import TWINS
from vitjax.weights.rules.channels import channels_of
from vitjax.weights.rules.resize import Resampling


def _vit(make: Callable[[Arguments, int], ViTConfig]) -> Callable[[Arguments, Shapes], ViTConfig]:
    """A function that makes the config of a Vision Transformer and holds it against the tensors."""

    def config(args: Arguments, shapes: Shapes) -> ViTConfig:
        found = make(args, channels_of(shapes, MARK))
        _agree(found, 0 if args.get("no_embed_class", True) else found.prefix, shapes)
        return found

    return config


def _covered(config: ViTConfig, shapes: Shapes) -> int:
    positions = shapes.get("pos_embed", ())
    return positions[1] - config.patches if len(positions) == 3 else 0


PLAIN = ModelClass(_vit(plain.plain_config), lambda config, args: plain.table(config), _covered)
EVA = ModelClass(_vit(eva_config), eva_table, _covered)
CONVNET = ModelClass(convnets.convnet_config, lambda config, args: convnets.table(config, convnets.BY_TIMM))
CONVIT_CLASS = ModelClass(_vit(convit_config), lambda config, args: convit_table(config))
TABLES: tuple[tuple[Mapping[str, Any], ModelClass], ...] = (  # architectures by name, and what they are ported by
    (ARCHITECTURES, PLAIN),
    (EVA_ARCHITECTURES, EVA),
    (CONVNETS, CONVNET),
    (CONVIT, CONVIT_CLASS),
    (PIT, PIT_CLASS),
    (SWIN, SWIN_CLASS),
    (SWIN_V2, SWIN_V2_CLASS),
    (TWINS, TWINS_CLASS),
    (PVT_V2, PVT_V2_CLASS),
    (COAT, COAT_CLASS),
    (LEVIT, LEVIT_CLASS),
    (MIXER, MIXER_CLASS),
    (RESMLP, RESMLP_CLASS),
)
CLASSES: dict[str, ModelClass] = {name: found for names, found in TABLES for name in names}


def class_of(config_json: Settings) -> ModelClass:
    """Finds the class of models of a checkpoint, by its architecture, of which `arguments` says whether it is known."""
    return CLASSES.get(name_of(config_json), PLAIN)


def config(config_json: Settings, shapes: Shapes) -> Config:
    """Reads the model's config off timm's `config.json` and holds it against the tensors.

    No pooling (`global_pool` empty) or no classes mean a model without a head.

    Raises:
        InputError: an unknown architecture, argument or value, or sizes that the tensors contradict.
    """
    return class_of(config_json).config(arguments(config_json), shapes)


def by_name(name: str) -> Config:
    """Gives the config of an architecture without a checkpoint, for reckoning with: its colours are no checkpoint's.

    Raises:
        InputError: an unknown architecture.
    """
    return config({"architecture": name, "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}, {})


def architecture(config_json: Settings) -> str:
    """Gives the architecture's name in timm, with what may stand after its dot."""
    return str(config_json["architecture"])


def licence(config_json: Settings) -> str:
    """Gives the licence, which stands at the top or in `pretrained_cfg`."""
    return stated_licence(config_json) or stated_licence(config_json.get("pretrained_cfg") or {})


def _agree(config: ViTConfig, covered: int, shapes: Shapes) -> None:
    """Raises if a size in the tensors is not the config's, naming both."""
    blocks = {name.split(".")[1] for name in shapes if name.startswith("blocks.")}
    if blocks and len(blocks) != config.depth:
        raise InputError(f"the config says {config.depth} blocks, the tensors hold {len(blocks)}")
    sizes = [
        ("patch_embed.proj.weight", 0, "width (embed_dim)", config.width),
        ("patch_embed.proj.weight", 2, "patch height", config.patch_size[0]),
        ("patch_embed.proj.weight", 3, "patch width", config.patch_size[1]),
        ("blocks.0.mlp.fc1.weight", 0, "MLP width (mlp_ratio)", config.mlp_width * (1 + config.gated)),
        ("reg_token", 1, "number of registers (reg_tokens)", config.registers),
        ("pos_embed", 1, "number of positions (img_size, no_embed_class)", config.patches + covered),
        ("head.weight", 0, "number of classes", config.classes),
    ]
    for name, axis, what, said in sizes:
        shape = shapes.get(name, ())
        if axis < len(shape) and shape[axis] != said and said:
            raise InputError(f"the config says {what} {said}, but {name} has shape {tuple(shape)}")


TIMM = Family(
    name="timm",
    match=lambda config_json: "architecture" in config_json,
    config=config,
    table=lambda config, config_json, shapes: class_of(config_json).table(config, arguments(config_json)),
    covered=lambda config, config_json, shapes: class_of(config_json).covered(config, shapes),
    tensors=lambda tensors, config_json: class_of(config_json).tensors(tensors, arguments(config_json)),
    resampling=lambda config_json: Resampling(
        "bilinear" if architecture(config_json).startswith("flexivit") else "bicubic"
    ),
    marks={**{found.mark: () for _, found in TABLES if found is not CONVNET}, **convnets.marks(convnets.BY_TIMM)},
    names=KNOWN,
    licence=licence,
    architecture=architecture,
    referee="timm",
)
