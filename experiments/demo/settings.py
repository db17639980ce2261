"""What a training is made of, and which models it makes."""

from dataclasses import dataclass

from experiments.demo import tiny_imagenet
from vitjax.models.core.config import Preprocess, ViTConfig
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.models.registry import Config


@dataclass(frozen=True)
class Training:
    """What a run is made of; the defaults are the committed run's of `demo`, those of others are in `DEFAULTS`."""

    model: str = "vit"  # a key of `MODELS`
    width: int = 192  # of the first stage, as are its heads
    depth: int = 6  # of the deepest stage
    heads: int = 3
    patch: int = 8
    steps: int = 3500
    batch: int = 256
    learning_rate: float = 3e-3
    warmup: int = 150  # steps in which the rate rises
    fall: float = 0.6  # share of the steps, at the end, in which it falls
    weight_decay: float = 0.05
    average: float = 0.99  # of the weights over steps: what the mean keeps at each
    smoothing: float = 0.1
    shift: int = 4  # pixels that a picture is moved by at most
    colours: float = 0.3  # brightness, contrast and saturation change by up to this share
    keep: float = 0.25  # share of the patch tokens kept in the first part
    full: float = 0.06  # share of the steps, at the end, that see all tokens
    distill: float = 1.0  # weight of each of the teacher's losses
    teacher_size: int = 128
    seed: int = 0
    chunk: int = 25  # steps between two looks at the loss
    looked_at: int = 1000  # validation images that the accuracy on the way is of

    @property
    def config(self) -> Config:
        """Of the model."""
        both = {
            "image_size": (tiny_imagenet.SIDE, tiny_imagenet.SIDE),
            "patch_size": (self.patch, self.patch),
            "classes": 200,
            "preprocess": Preprocess(crop=1.0),
        }
        return MODELS[self.model](self, both)

    @property
    def kept(self) -> int:
        """Patches that a picture keeps in the first part."""
        return int(self.config.patches * self.keep)

    @property
    def taught(self) -> tuple[int, int] | None:
        """(rows, columns) of the patches that learn a teacher's tokens; None of a model that merges its patches."""
        return self.config.grid if isinstance(self.config, ViTConfig) else None


def vit(training: Training, both: dict) -> ViTConfig:
    """One stage."""
    sizes = {"width": training.width, "depth": training.depth, "heads": training.heads}
    return ViTConfig(mlp_width=4 * training.width, **sizes, **both)


def swin(training: Training, both: dict) -> SwinConfig:
    """Three stages, the middle one the deepest, in windows of 4."""
    widths, heads = ([times * of for times in (1, 2, 4)] for of in (training.width, training.heads))
    mlp_widths, depths = [4 * width for width in widths], (2, training.depth, 2)
    return SwinConfig(
        widths=tuple(widths),
        depths=depths,
        heads=tuple(heads),
        mlp_widths=tuple(mlp_widths),
        windows=(4, 4, 4),
        **both,
    )


MODELS = {"vit": vit, "swin": swin}
DEFAULTS = {"swin": {"width": 48, "depth": 4, "heads": 3, "patch": 4, "keep": 1.0, "full": 0.0, "batch": 128}}
