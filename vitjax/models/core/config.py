"""Everything that fixes the shape and the arithmetic of a model, image or text tower, as frozen dataclasses."""

from dataclasses import dataclass, field

from vitjax.errors import InputError, nearest
from vitjax.models.core.preprocess import Preprocess, Sizes

POOLS = ("token", "mean", "attention", "token+mean")
NORMED = ("before", "after", "not")


@dataclass(frozen=True)
class Rotary:
    """Rotary positions: each pair of a head's channels of q and k turns by an angle, patch tokens only.

    Half the pairs turn by the patch's row, half by its column, pair i of n by coordinate · temperature^(-i/n). The
    coordinate is the row's (column's) number + `offset`, rescaled so that the grid covers `reference` (rows, columns)
    if there is one (EVA-02, arXiv 2303.11331); or, if `centred`, 2π times the patch's centre, from -1 to 1 over the
    image (DINOv3, arXiv 2508.10104). A pair is two neighbours or, if `halves`, channels i and i + size / 2. The row's
    pairs come first, or the column's if `columns_first`.
    """

    temperature: float = 10000.0
    centred: bool = False
    reference: tuple[int, int] | None = None
    offset: float = 0.0
    halves: bool = False
    columns_first: bool = False


@dataclass(frozen=True)
class BlockConfig:
    """What a stack of Transformer blocks is made of, whatever its tokens stand for.

    In a `gated` MLP a hidden unit is activation(gate) · up, and `mlp_width` counts hidden units. `qk_norm`, `attn_norm`
    and `mlp_norm` put a LayerNorm over a head's q and k, over all heads before the output projection, and over the
    hidden units before the second dense layer (EVA-02). `norm` names the norms of the residual stream and of these, a
    key of `vitjax.models.parts.norm.NORMS`. In `cosine` attention scores are the cosines of q and k, times a learned
    number of each head (Swin V2). Attention and MLP are `normed` "before" they read the stream, "after" they
    ran (Swin V2), or "not" (LeViT, whose norms are folded into its dense layers).
    """

    width: int = 192
    depth: int = 12
    heads: int = 3
    mlp_width: int = 768
    layer_scale: bool = False
    qkv_bias: bool = True
    qk_norm: bool = False
    attn_norm: bool = False
    mlp_norm: bool = False
    cosine: bool = False
    gated: bool = False
    activation: str = "gelu"
    norm: str = "layer"
    norm_eps: float = 1e-6
    normed: str = "before"

    def __post_init__(self):
        for name in ("width", "depth", "heads", "mlp_width"):
            if not isinstance(value := getattr(self, name), int) or value < 1:
                raise InputError(f"{name} is {value!r}, it must be a whole number of at least 1")
        if self.normed not in NORMED:
            raise InputError(f"unknown normed {self.normed!r}{nearest(self.normed, NORMED)}")
        self._split_into(self.heads)

    def _split_into(self, heads: int) -> None:
        if self.width % heads:
            raise InputError(f"width {self.width} does not split into {heads} heads")

    @property
    def head_width(self) -> int:
        """Channels of one attention head."""
        return self.width // self.heads

    @property
    def norm_heads(self) -> int:
        """Heads of a norm that has statistics for each: as many as attention has."""
        return self.heads


@dataclass(frozen=True)
class TextConfig(BlockConfig):
    """A text tower beside an image tower: CLIP's by its defaults, or SigLIP's.

    It knows `vocabulary` tokens and reads up to `context` of them. Where it is `causal`, a token sees those before it.
    `pooled` is what the first `eos` token has become, or the last token if there is no `eos`. `projection` is the width
    of the embedding that it shares with the image tower, 0 for a tower without.
    """

    width: int = 512
    heads: int = 8
    mlp_width: int = 2048
    activation: str = "quick_gelu"
    norm_eps: float = 1e-5
    vocabulary: int = 49408
    context: int = 77
    causal: bool = True
    eos: int | None = 49407
    projection: int = 512
    projection_bias: bool = False


class Patches(Sizes):
    """How an image is seen in patches, from a config's `image_size`, `patch_size`, `prefix` and `preprocess`."""

    @property
    def tokens(self) -> int:
        """Number of all tokens: patches and those before them."""
        return self.prefix + self.patches


@dataclass(frozen=True)
class ViTConfig(Patches, BlockConfig):
    """A plain Vision Transformer: sizes in pixels and channels, in the semantics of timm.

    `image_size` and `patch_size` are (height, width). Prefix tokens stand before the patch tokens in the order class
    token, distillation token, registers. `pool` says what the head reads: the class token, the mean over patch tokens,
    one latent query attending to the patch tokens (SigLIP; with `pool_heads` heads if not as many as a block has), or
    class token and mean side by side (DINOv2's classifiers). `final_norm` says where the last LayerNorm stands: over
    all tokens ("tokens"), after pooling ("pooled"), or nowhere ("none"). `pre_logits` is the width of a dense layer
    with tanh between pooling and head (ViT as first published), 0 for none. `projection` is the width of the embedding
    that CLIP's image tower shares with its text tower, 0 for none.

    Besides the learned positions added to the tokens, which are zeros in models without, positions may be `rotary`, or
    a bias of the attention scores that is learned for each block, head and distance between two patches
    (`relative_bias`: BEiT). Through the first `joins` blocks patches go alone, and the prefix tokens join before the
    next (DTN); 0 for from the start.
    """

    image_size: tuple[int, int] = (224, 224)
    patch_size: tuple[int, int] = (16, 16)
    classes: int = 1000
    class_token: bool = True
    distilled: bool = False
    registers: int = 0
    pool: str = "token"
    pool_heads: int = 0
    pool_prefix: bool = False
    final_norm: str = "tokens"
    pre_norm: bool = False
    patch_bias: bool = True
    rotary: Rotary | None = None
    relative_bias: bool = False
    pre_logits: int = 0
    projection: int = 0
    preprocess: Preprocess = field(default_factory=Preprocess)
    joins: int = 0

    def __post_init__(self):
        super().__post_init__()
        self._split_into(self.pool_heads or self.heads)
        check_patches(self.image_size, self.patch_size)
        if self.pool not in POOLS:
            raise InputError(f"unknown pool {self.pool!r}{nearest(self.pool, POOLS)}")
        if self.distilled and not self.class_token:
            raise InputError("a distilled model reads the class token beside its own, but class_token=False")
        if self.pool.startswith("token") and not self.class_token:
            raise InputError(f"pool={self.pool!r} reads the class token, but class_token=False")
        if self.rotary and self.head_width % 4:
            raise InputError(f"rotary positions turn channels by fours, a head has {self.head_width}")
        if self.relative_bias and self.prefix != 1:
            raise InputError(f"relative_bias knows patches and one token before them, not {self.prefix}")
        if not 0 <= self.joins < self.depth or (self.joins and not self.prefix):
            raise InputError(
                f"joins is {self.joins}: of {self.depth} blocks as many come before the tokens that join patches,"
                f" of which there are {self.prefix}"
            )
        if self.joins and self.relative_bias:
            raise InputError("relative_bias knows the token before the patches in all blocks, so joins is 0")

    @property
    def prefix(self) -> int:
        """Number of tokens before the patches: class token, distillation token, registers."""
        return self.class_token + self.distilled + self.registers

    @property
    def alone(self) -> int:
        """How many of the first blocks patches go through alone, before the prefix tokens join."""
        return self.joins

    @property
    def pooled_width(self) -> int:
        """Channels of what the head or the projection reads."""
        return self.pre_logits or self.width * (2 if self.pool == "token+mean" else 1)


def whole(size: tuple[int, int], patch: tuple[int, int]) -> tuple[int, int]:
    """(height, width) without the pixels beyond the last whole patch, which a convolution leaves out."""
    return tuple(side - side % p for side, p in zip(size, patch, strict=True))


def check_patches(image_size: tuple[int, int], patch_size: tuple[int, int]) -> None:
    """Checks that an image, (height, width), is cut into whole patches.

    Raises:
        InputError: a side that is not, with the nearest that is.
    """
    for side, patch, what in zip(image_size, patch_size, ("height", "width"), strict=True):
        if side < patch or side % patch:
            near = max(patch, round(side / patch) * patch)
            raise InputError(f"image {what} {side} is not divisible by the patch {what} {patch} (nearest: {near})")
