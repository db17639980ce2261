"""The architectures of timm that are known: {name: arguments}, without importing JAX."""

from typing import Any

from vitjax.weights.families.timm.convnet_architectures import CONVNETS
from vitjax.weights.families.timm.eva_architectures import EVA_ARCHITECTURES
from vitjax.weights.families.timm.plain_architectures import ARCHITECTURES
from vitjax.weights.families.timm.tables.coat_architectures import COAT
from vitjax.weights.families.timm.tables.convit_architectures import CONVIT
from vitjax.weights.families.timm.tables.levit_architectures import LEVIT
from vitjax.weights.families.timm.tables.mixer_architectures import MIXER, MIXER_UNSUPPORTED, RESMLP
from vitjax.weights.families.timm.tables.pit_architectures import PIT
from vitjax.weights.families.timm.tables.pvt_architectures import PVT_V2
from vitjax.weights.families.timm.tables.swin_architectures import SWIN, SWIN_UNSUPPORTED, SWIN_V2
from vitjax.weights.families.timm.tables.twins_architectures import TWINS

KNOWN: dict[str, dict[str, Any]] = {
    **ARCHITECTURES,
    **EVA_ARCHITECTURES,
    **CONVIT,
    **SWIN,
    **SWIN_V2,
    **TWINS,
    **PVT_V2,
    **COAT,
    **LEVIT,
    **MIXER,
    **RESMLP,
    **PIT,
    **CONVNETS,
}
RELATIVES: dict[str, str] = (
    SWIN_UNSUPPORTED | MIXER_UNSUPPORTED
)  # of hierarchical ones that are known: what they are instead
