"""Writes converted models into folders and publishes them, with where they came from."""

from vitjax.moved import within

__getattr__ = within(__name__)
