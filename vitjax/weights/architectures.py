"""The architectures of timm that are known: {name: arguments}, without importing JAX."""

from typing import Any

from vitjax.weights.convnet_architectures import CONVNETS
from vitjax.weights.timm_architectures import ARCHITECTURES
from vitjax.weights.timm_eva_architectures import EVA_ARCHITECTURES

KNOWN: dict[str, dict[str, Any]] = ARCHITECTURES | EVA_ARCHITECTURES | CONVNETS
