"""Normalizers beside LayerNorm; `vitjax.models.parts.norm` is the door that configs name them at."""
