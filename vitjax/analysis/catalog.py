"""The analyses by name, with their options: what the command line offers, known without importing JAX."""

from vitjax.analysis.catalog_ghiasi import GHIASI
from vitjax.analysis.catalog_nguyen import NGUYEN
from vitjax.analysis.entries import Analysis

ANALYSES: dict[str, Analysis] = GHIASI | NGUYEN
