"""Keeps bytes, JSON and pictures in a folder or in the cloud, whole, checked, and for one process at a time."""

from vitjax.moved import within

__getattr__ = within(__name__)
