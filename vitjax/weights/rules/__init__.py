"""Rule tables, and what else is done to tensors on their way into a model's arrays."""

from vitjax.moved import within

__getattr__ = within(__name__)
