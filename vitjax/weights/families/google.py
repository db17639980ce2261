"""Google's `.npz` files: ViT as first published, and AugReg.

Everything about the model stands in the arrays' shapes, heads too: kernels are [in, head, channel]. What does not is
how pictures were prepared: mean and std 0.5, resized to 8/7 of the model's size before the crop. GELU is the exact
one, as timm and transformers run the same weights; Google's own code approximates it by tanh, which changes logits by
3e-4 of the largest. Source of the facts: google-research/vision_transformer, `vit_jax/models_vit.py`, and timm 1.0.31,
`_load_weights` in `models/vision_transformer.py`.
"""

from dataclasses import replace
from math import isqrt

from vitjax.errors import InputError
from vitjax.models.core.config import Preprocess, ViTConfig
from vitjax.weights.families.family import Family, Settings, Shapes
from vitjax.weights.rules.channels import per_channel
from vitjax.weights.rules.layouts import Layout, Rule, Shape, parted, same
from vitjax.weights.rules.resize import Resampling

KEY = "npz"  # the one setting of files that come without a config: their name
PREPROCESS = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), crop=0.875, interpolation="bilinear")

_BLOCK = "Transformer/encoderblock_{i}"
_ATTENTION = f"{_BLOCK}/MultiHeadDotProductAttention_1"
AS_IS = Layout(lambda ours: ours)


def table(config: ViTConfig, settings: Settings, shapes: Shapes) -> list[Rule]:
    """Lists the rules."""
    return [
        *dense("embedding", "patch", Layout(lambda ours: (*config.patch_size, config.channels, ours[1]))),
        *same("cls", "tokens.class", leading=1),
        *same("Transformer/posembed_input/pos_embedding", "tokens.position", leading=1),
        *norm(f"{_BLOCK}/LayerNorm_0", "blocks.norm1"),
        *(
            rule
            for index, name in enumerate(("query", "key", "value"))
            for rule in parted(dense(f"{_ATTENTION}/{name}", "blocks.attn.qkv"), index)
        ),
        *dense(f"{_ATTENTION}/out", "blocks.attn.proj"),
        *norm(f"{_BLOCK}/LayerNorm_2", "blocks.norm2"),
        *dense(f"{_BLOCK}/MlpBlock_3/Dense_0", "blocks.mlp.fc1"),
        *dense(f"{_BLOCK}/MlpBlock_3/Dense_1", "blocks.mlp.fc2"),
        *norm("Transformer/encoder_norm", "norm"),
        *dense("pre_logits", "pre_logits"),
        *dense("head", "head"),
    ]


def config(settings: Settings, shapes: Shapes) -> ViTConfig:
    """Reads the model's config off its arrays' shapes.

    Raises:
        InputError: an array that every ViT has is missing or of another rank, or positions do not fill a square.
    """

    def shape(name: str, rank: int) -> Shape:
        found = shapes.get(name)
        if found is None:
            raise InputError(f"no array {name}: this is not a Vision Transformer of Google's")
        if len(found) != rank:
            raise InputError(f"{name} is {found}, in a Vision Transformer it has {rank} axes")
        return found

    *patch, channels, width = shape("embedding/kernel", 4)
    patches = shape("Transformer/posembed_input/pos_embedding", 3)[1] - 1
    side = isqrt(max(patches, 0))
    if side * side != patches:
        raise InputError(f"{patches} positions are not a square of patches")
    blocks = {name.split("/")[1] for name in shapes if name.startswith(_BLOCK[:-3])}
    optional = {name: shape(f"{name}/kernel", 2)[1] for name in ("pre_logits", "head") if f"{name}/kernel" in shapes}
    return ViTConfig(
        image_size=(side * patch[0], side * patch[1]),
        patch_size=tuple(patch),
        width=width,
        depth=len(blocks),
        heads=shape(f"{_ATTENTION.format(i=0)}/query/kernel", 3)[1],
        mlp_width=shape(f"{_BLOCK.format(i=0)}/MlpBlock_3/Dense_0/kernel", 2)[1],
        classes=optional.get("head", 0),
        pre_logits=optional.get("pre_logits", 0),
        preprocess=preprocess(channels),
    )


def preprocess(channels: int) -> Preprocess:
    """Says how pictures are prepared, grey ones by the same mean and std as each colour."""
    each = {name: per_channel(getattr(PREPROCESS, name), channels, name) for name in ("mean", "std")}
    return replace(PREPROCESS, **each)


def dense(source: str, target: str, kernel: Layout = AS_IS) -> list[Rule]:
    """Lists the rules of a dense layer, whose axes are as they are here."""
    return [Rule(f"{source}/kernel", f"{target}.kernel", kernel), Rule(f"{source}/bias", f"{target}.bias", AS_IS)]


def norm(source: str, target: str) -> list[Rule]:
    """Lists the rules of a LayerNorm, its scale and bias."""
    return [Rule(f"{source}/{name}", f"{target}.{name}", AS_IS) for name in ("scale", "bias")]


GOOGLE = Family(
    name="google",
    match=lambda settings: KEY in settings,
    config=config,
    table=table,
    covered=lambda config, settings, shapes: 1,
    resampling=lambda settings: Resampling("bilinear"),  # as timm; Google's own code holds the corners fast
    files=lambda path, tensors: {KEY: path.stem} if path.suffix == ".npz" else None,
    marks={"embedding/kernel": ()},
    architecture=lambda settings: settings[KEY],
    referee="timm",
)
