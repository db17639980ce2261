"""Keeps converted models, in a cache, in folders and on the hub, with where they came from."""

from vitjax.moved import within

__getattr__ = within(__name__)
