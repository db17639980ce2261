"""Tokens of huge norm: where they stand, what they are for and what they cost."""

from vitjax.moved import within

__getattr__ = within(__name__)
