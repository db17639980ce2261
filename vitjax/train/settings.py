"""Says what a training is made of, as frozen dataclasses: `Settings` decide what is learned, `Running` only how."""

from dataclasses import dataclass, field, replace
from typing import Any

from vitjax.errors import InputError, nearest
from vitjax.ranges import COUNT, SEED, Range
from vitjax.train.groups import groups

AUTO = "auto"
PRODUCTS = "bfloat16-products"
DTYPES = (AUTO, "float32", "bfloat16", PRODUCTS)
POSITIVE = Range(0, 1e9, above=True)
SHARE = Range(0, 1)
SOME = Range(0, 1, above=True)
BELOW_1 = Range(0, 1 - 1e-9)
FROM_0 = Range(0, 1e9)
LEVEL = Range(0, 10)


MASKS = ("device", "image")


def _check(settings: Any) -> None:
    """Checks each field that has a range, and takes its number as Python's own."""
    for name, part in settings.__dataclass_fields__.items():
        if range := part.metadata["range"]:
            object.__setattr__(settings, name, range.check(name, getattr(settings, name)))


def _field(default: Any, help: str, range: Range | None = None, **more: Any) -> Any:
    return field(default=default, metadata={"help": help, "range": range, **more})


@dataclass(frozen=True)
class Settings:
    """All that decides what a training learns, but for the model, the task and the images; the defaults pretrain.

    The rate of a step is that of 256 images times `batch` / 256; it rises in a line, then falls as half a cosine.
    """

    batch: int = _field(256, "images of a step, over all devices and hosts", COUNT)
    epochs: float = _field(100.0, "passes over the images", POSITIVE)
    warmup: float = _field(10.0, "of these, the first, in which the rate rises from 0", FROM_0)
    rate: float = _field(1.5e-4, "learning rate for 256 images; it grows with the batch", POSITIVE)
    least_rate: float = _field(0.0, "learning rate at the end, as it is", FROM_0)
    beta1: float = _field(0.9, "of AdamW", BELOW_1)
    beta2: float = _field(0.95, "of AdamW", BELOW_1)
    weight_decay: float = _field(0.05, "of AdamW; biases, norms, positions and single tokens have none", FROM_0)
    layer_decay: float = _field(1.0, "the rate of a layer, as a share of that of the layer after it", SHARE)
    groups: str = _field(
        "",
        "parameters with factors of rate and decay of their own, PATTERN=RATE[:DECAY],…, by dotted names, e.g."
        " '*norm*.position=0.1,model.head.*=10:0'",
    )
    clip: float = _field(0.0, "largest norm of a gradient; 0 leaves it as it is", FROM_0)
    accumulate: int = _field(1, "parts of a batch that are computed one after another, to save memory", COUNT)
    average: float = _field(
        0.0, "share of the mean over steps that a step leaves, e.g. 0.9999; 0 takes no mean", BELOW_1
    )
    least_crop: float = _field(
        0.2, "smallest share of a photograph's area that a crop shows; 1: all, not cropped", SHARE
    )
    mirror: bool = _field(True, "mirror every second picture")
    randaugment: float = _field(
        0.0, "RandAugment: magnitude, e.g. 9 of 10, of two changes, each of which half the pictures go through", LEVEL
    )
    jitter: float = _field(0.0, "change brightness, contrast and saturation by up to this share", SHARE)
    erase: float = _field(0.0, "share of the pictures of which a rectangle is erased, 2 to 33 % of it", SHARE)
    repeats: int = _field(1, "views of each image in a batch: repeated augmentation", COUNT)
    dtype: str = _field(
        AUTO,
        "of what is computed; weights stay float32. auto: bfloat16 on TPUs and NVIDIA GPUs since A100, else float32;"
        f" {PRODUCTS} multiplies in bfloat16 and adds in float32, which CPUs with AMX do several times as fast",
        choices=DTYPES,
    )
    seed: int = _field(0, "of weights, order and crops", SEED)

    def __post_init__(self):
        _check(self)
        if self.dtype not in DTYPES:
            raise InputError(f"unknown dtype {self.dtype!r}{nearest(str(self.dtype), DTYPES)}")
        if self.batch % self.accumulate:
            raise InputError(f"a batch of {self.batch} images does not come in {self.accumulate} equal parts")
        if self.batch % self.repeats:
            near = max(1, round(self.batch / self.repeats)) * self.repeats
            raise InputError(
                f"a batch of {self.batch} does not hold each image {self.repeats} times (nearest: {near}):"
                " give another batch, or repeats"
            )
        groups(self.groups)
        if self.warmup > self.epochs:
            raise InputError(
                f"warmup is {self.warmup:g} epochs, more than the {self.epochs:g} that there are: give less, e.g."
                f" {self.epochs / 10:g}"
            )
        for name in ("layer_decay", "least_crop"):
            if not getattr(self, name):
                raise InputError(f"{name} is 0, it must be more")

    def steps(self, images: int) -> int:
        """Counts the steps for so many images."""
        return max(1, round(self.epochs * images / self.batch))

    def warmup_steps(self, images: int) -> int:
        """Counts the steps in which the rate rises."""
        return min(self.steps(images), round(self.warmup * images / self.batch))

    @property
    def peak(self) -> float:
        """The highest rate of all steps."""
        return self.rate * self.batch / 256


PRETRAIN = Settings()
FINETUNE = replace(
    PRETRAIN, epochs=50.0, warmup=5.0, rate=5e-4, least_rate=1e-6, beta2=0.999, layer_decay=0.75, least_crop=0.35
)
TRAIN = replace(  # DeiT's (arXiv 2012.12877) as DTN's authors have it, in batches that hold each image three times
    PRETRAIN, batch=384, epochs=300.0, warmup=5.0, rate=2.5e-4, least_rate=1e-5, beta2=0.999, average=0.99996,
    least_crop=0.08, randaugment=9.0, repeats=3,
)  # fmt: skip


@dataclass(frozen=True)
class Regularization:
    """What keeps a model from learning the classes of its images by heart; the defaults fine-tune."""

    smoothing: float = _field(0.1, "share of the target that is spread over all classes", SHARE)
    drop_path: float = _field(0.0, "how often the last block's branches are left out; less the earlier", BELOW_1)
    mixup: float = _field(0.0, "both parameters of the beta distribution by whose shares two images are mixed", FROM_0)
    cutmix: float = _field(0.0, "the same, of shares that are cut out of one and put into the other", FROM_0)

    def __post_init__(self):
        _check(self)


FROM_SCRATCH = Regularization(drop_path=0.1)


@dataclass(frozen=True)
class Masking:
    """What of masked image modelling a user may set, see `vitjax.train.green.mim.GreenConfig`."""

    mask_ratio: float = _field(0.75, "share of the units that is masked", SHARE)
    mask_per: str = _field("device", "images that share a mask: all of a device in a step, or none", choices=MASKS)
    bank: int = _field(4096, "masks that are drawn in advance", COUNT)
    decoder_width: int = _field(512, "channels of the decoder", COUNT)
    decoder_depth: int = _field(1, "blocks of the decoder", COUNT)
    decoder_heads: int = _field(16, "attention heads of the decoder", COUNT)
    normalised: bool = _field(True, "predict pixels in units of their spread, about their mean, of each unit")

    def __post_init__(self):
        _check(self)


KINDS = ("topk", "batchtopk", "matryoshka", "relu")
WHERE = ("patches", "class", "all")
SCALINGS = ("affine", "rms_norm", "layer_norm")
FULL = 16_384  # latents that `rate` is for


@dataclass(frozen=True)
class DictionarySettings:
    """All that decides what a dictionary of features becomes, but for the model, the tap and the images."""

    width: int = _field(FULL, "latents", COUNT)
    kind: str = _field(
        "batchtopk",
        "what keeps latents few: topk (of each token the largest), batchtopk (of all tokens of a step together, then a"
        " threshold), matryoshka (the same, and the first latents alone have to do as well), relu (with a penalty)",
        choices=KINDS,
    )
    k: int = _field(32, "latents of a token, of all kinds but relu", COUNT)
    penalty: float = _field(0.01, "of relu: weight of the mean over tokens of the sum of their latents", FROM_0)
    tokens: float = _field(1e8, "tokens that are learned from, each once", POSITIVE)
    where: str = _field("patches", "which tokens of an image these are", choices=WHERE)
    norm: str = _field(
        "rms_norm",
        "of tokens: each by its own length, rms_norm or layer_norm, or affine (less their mean, by one scale), with"
        " which a few of huge norm are most of the error and leave most latents dead",
        choices=SCALINGS,
    )
    batch: int = _field(4096, "tokens of a step, in whole images: the nearest multiple of eight of them", COUNT)
    buffer: float = _field(2**20, "tokens that are drawn from, on the devices; at most an eighth of all", POSITIVE)
    rate: float = _field(2e-4, f"learning rate of {FULL} latents; it goes with 1 / sqrt(width)", POSITIVE)
    warmup: float = _field(0.05, "share of the steps in which the rate rises from 0", SHARE)
    decay: float = _field(0.2, "share of the steps, the last, in which the rate falls to 0", SHARE)
    clip: float = _field(1.0, "largest norm of a gradient", POSITIVE)
    revive: float = _field(1 / 32, "weight of what dead latents make of the error (AuxK)", FROM_0)
    dead: float = _field(0.1, "share of the tokens after which a latent that was not active is dead", SOME)
    dtype: str = _field(
        AUTO, f"of products; sums, weights and choices are float32. {', '.join(DTYPES)}, as for models", choices=DTYPES
    )
    seed: int = _field(0, "of the order of images, of what is drawn, and of the first latents", SEED)

    def __post_init__(self):
        _check(self)
        for name, choices in (("kind", KINDS), ("where", WHERE), ("norm", SCALINGS), ("dtype", DTYPES)):
            if (value := getattr(self, name)) not in choices:
                raise InputError(f"unknown {name} {value!r}{nearest(str(value), choices)}; one of {', '.join(choices)}")
        if self.kind != "relu" and self.k > self.width:
            raise InputError(f"k is {self.k}, more than the {self.width} latents that there are")

    @property
    def peak(self) -> float:
        """The highest rate of all steps."""
        return self.rate * (FULL / self.width) ** 0.5


@dataclass(frozen=True)
class Running:
    """How a training is carried out, which may be another each time that it goes on."""

    save: int = _field(500, "steps between two checkpoints", COUNT)
    keep: int = _field(2, "checkpoints that are kept, the last ones", COUNT)
    log: int = _field(20, "steps between two rows of the curve", COUNT)
    look: int = _field(1000, "steps between two looks: pictures, accuracy, or the dictionary so far", COUNT)
    shard_parameters: bool = _field(False, "split weights and optimizer over all devices, where each has a copy else")
    tensorboard: bool = _field(True, "write the curve for TensorBoard as well (vitjax[train])")
    wandb: str = _field("", "project of Weights & Biases that the curve goes to as well (vitjax[wandb])")

    def __post_init__(self):
        _check(self)
