"""How tokens cluster by the object that they show."""

from vitjax.moved import within

__getattr__ = within(__name__)
