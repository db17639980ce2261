"""Swin V2: Swin with cosine attention, norms after attention and MLP, and a bias that an MLP makes of distances.

Source: Liu et al. 2022, arXiv 2111.09883. timm's `swinv2_cr_*` are another model of that paper.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vitjax.errors import InputError
from vitjax.models.core.config import BlockConfig
from vitjax.models.hierarchical.pyramid import Grid
from vitjax.models.hierarchical.swin import Swin, SwinConfig
from vitjax.models.parts.block import Make
from vitjax.models.parts.positions import LogDistanceBias


@dataclass(frozen=True)
class SwinV2Config(SwinConfig):
    """A Swin Transformer V2: `trained_windows` are the windows of each stage whose distances its MLPs know, if others.

    A 0 stands for the stage's own window.
    """

    trained_windows: tuple[int, ...] = (0, 0, 0, 0)

    def __post_init__(self):
        super().__post_init__()
        if len(self.trained_windows) != len(self.widths) or min(self.trained_windows) < 0:
            raise InputError(
                f"trained_windows are {self.trained_windows}: give one, or 0, for each of {len(self.widths)} stages"
            )

    def blocks(self, stage: int) -> BlockConfig:
        """What the blocks of a stage are made of."""
        return replace(super().blocks(stage), cosine=True, normed="after")


class SwinV2(Swin):
    """A Swin Transformer V2 whose every activation can be read and edited by name.

    The taps `attn.q` and `attn.k` are of length 1, the scale of each head is in the scores; `attn.out` and `mlp.out`
    are what is added, so after their norms.
    """

    @staticmethod
    def bias(config: SwinV2Config, stage: int) -> Make:
        """See `Swin.bias`."""
        return lambda rngs: LogDistanceBias(
            config.window(stage), config.heads[stage], rngs, config.trained_windows[stage]
        )

    @property
    def grid_arrays(self) -> Mapping[str, tuple[str, Grid]]:
        """Nothing: its MLPs give the bias of any distance."""
        return {}
