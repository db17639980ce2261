"""The `.pth.tar` files that T2T-ViT was published as.

They come without a config: all but the heads stands in the tensors' shapes. These have 64 channels, but in the model
that is compared with a ResNeXt, which its file's name says. What was published squeezes channels, shares maps among
layers or is dense (`_se`, `_ghost`, `_dense`) has tensors that are not known here. Source of the facts:
yitu-opensource/T2T-ViT at 0f63dc9, `models/t2t_vit.py`, `models/token_performer.py`, `models/token_transformer.py`,
`main.py`, `utils.py`.
"""

from math import isqrt, prod
from pathlib import Path

from vitjax.errors import InputError
from vitjax.models.core.preprocess import Preprocess
from vitjax.models.hierarchical.t2t import UNFOLDED, T2tConfig
from vitjax.weights.families.family import Family, Settings, Shapes
from vitjax.weights.families.timm.hierarchical.stage_rules import block_rules
from vitjax.weights.formats.tensors import Tensors
from vitjax.weights.rules.layouts import KERNEL, Layout, Rule, Shape, drop, linear, merge, norm, same
from vitjax.weights.rules.resize import Resampling

KEY = "t2t"  # the setting that holds the name of the file
MARK = "tokens_to_token.project.weight"
HEAD_WIDTH = 64
MANY = {"resnext": 32}  # heads of models that have another number, by a part of their names
PATCH = (16, 16)
PREPROCESS = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), crop=0.9, interpolation="bicubic")

_QUERY_FIRST = [1, 0, 2]  # of k, q, v
KEY_FIRST = Layout(
    lambda ours: (prod(ours[1:]), ours[0]),
    lambda tensor: tensor.reshape(3, -1, tensor.shape[-1])[_QUERY_FIRST].reshape(tensor.shape).T,
)
KEY_FIRST_BIAS = Layout(
    lambda ours: (prod(ours),), lambda tensor: tensor.reshape(3, -1)[_QUERY_FIRST].reshape(tensor.shape)
)


def settings_of(path: Path, tensors: Tensors) -> Settings | None:
    """Knows a file by the layer after its token layers."""
    return {KEY: path.name.removesuffix(".tar").removesuffix(".pth")} if MARK in tensors else None


def config(settings: Settings, shapes: Shapes) -> T2tConfig:
    """Reads the model's config off its tensors' shapes.

    Raises:
        InputError: a tensor that every T2T-ViT has is missing or of another rank, a width that heads do not divide,
            or positions that do not fill a square.
    """

    def shape(name: str, rank: int) -> Shape:
        if len(found := shapes.get(name, ())) != rank:
            raise InputError(f"no tensor {name} of {rank} axes: this is no T2T-ViT, or one of a kind that is not known")
        return found

    layers = [f"tokens_to_token.attention{number}" for number in (1, 2)]
    performer = f"{layers[0]}.w" in shapes
    narrow = [shape(f"{layer}.{'' if performer else 'attn.'}proj.weight", 2)[0] for layer in layers]
    hidden = [shape(f"{layer}.mlp.{'0' if performer else 'fc1'}.weight", 2)[0] for layer in layers]
    width, mlp_width = shape(MARK, 2)[0], shape("blocks.0.mlp.fc1.weight", 2)[0]
    pixels, patches = shape(f"{layers[0]}.norm1.weight", 1)[0], shape("pos_embed", 3)[1] - 1
    side, window = isqrt(max(patches, 0)), UNFOLDED[0][0] ** 2
    if side * side != patches:
        raise InputError(f"{patches} positions do not fill a square")
    heads = next((count for word, count in MANY.items() if word in settings[KEY].lower()), width // HEAD_WIDTH)
    if not heads or width % heads:
        raise InputError(
            f"width {width} does not split into heads of {HEAD_WIDTH} channels, which those of T2T-ViT have"
        )
    if pixels % window:
        raise InputError(f"the first tokens have {pixels} values, which is no multiple of {window} pixels")
    return T2tConfig(
        image_size=(PATCH[0] * side, PATCH[1] * side),
        patch_size=PATCH,
        widths=(*narrow, width),
        depths=(1, 1, len({name.split(".")[1] for name in shapes if name.startswith("blocks.")})),
        heads=(1, 1, heads),
        mlp_widths=(*hidden, mlp_width),
        classes=shape("head.weight", 2)[0] if "head.weight" in shapes else 0,
        token_layers="performer" if performer else "transformer",
        features=shape(f"{layers[0]}.w", 2)[0] if performer else T2tConfig.features,
        preprocess=PREPROCESS,
    )


def table(config: T2tConfig) -> list[Rule]:
    """Lists the rules; the class token's position stands apart from it."""
    rows = config.patches + 1
    whole = lambda ours: (1, rows, ours[-1])
    rules = [
        *(rule for stage in (0, 1) for rule in _token_layer(config, stage)),
        *linear("tokens_to_token.project", "stages.2.project"),
        *same("cls_token", "stages.2.prefix", leading=1),
        Rule("pos_embed", "stages.2.prefix_position", Layout(whole, lambda tensor: tensor[0, :1])),
        Rule("pos_embed", "stages.2.position", Layout(whole, lambda tensor: tensor[0, 1:])),
        *block_rules("blocks.{i}", "stages.2.blocks"),
        *norm("norm", "norm"),
        *linear("head", "head"),
    ]
    return rules if config.classes else [*rules, *drop("head.weight", "head.bias")]


def _token_layer(config: T2tConfig, stage: int) -> list[Rule]:
    theirs, ours = f"tokens_to_token.attention{stage + 1}", f"stages.{stage}.blocks.0"
    rules = [*norm(f"{theirs}.norm1", f"{ours}.norm1"), *norm(f"{theirs}.norm2", f"{ours}.norm2")]
    if config.token_layers == "performer":
        return [
            *rules,
            Rule(f"{theirs}.kqv.weight", f"{ours}.attn.qkv.kernel", KEY_FIRST),
            Rule(f"{theirs}.kqv.bias", f"{ours}.attn.qkv.bias", KEY_FIRST_BIAS),
            *merge(f"{theirs}.proj", f"{ours}.attn.proj"),
            *same(f"{theirs}.w", f"{ours}.attn.directions"),
            *linear(f"{theirs}.mlp.0", f"{ours}.mlp.fc1"),
            *linear(f"{theirs}.mlp.2", f"{ours}.mlp.fc2"),
        ]
    return [
        *rules,
        Rule(f"{theirs}.attn.qkv.weight", f"{ours}.attn.qkv.kernel", KERNEL),
        *merge(f"{theirs}.attn.proj", f"{ours}.attn.proj"),
        *linear(f"{theirs}.mlp.fc1", f"{ours}.mlp.fc1"),
        *linear(f"{theirs}.mlp.fc2", f"{ours}.mlp.fc2"),
    ]


T2T = Family(
    name="t2t",
    match=lambda settings: KEY in settings,
    config=config,
    table=lambda config, settings, shapes: table(config),
    resampling=lambda settings: Resampling("plain bicubic"),
    files=settings_of,
    marks={MARK: ()},
    architecture=lambda settings: settings[KEY],
)
