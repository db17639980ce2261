"""The store of an atlas: its manifest, its arrays, and whether all of it is still as written."""

from vitjax.moved import within

__getattr__ = within(__name__)
