"""The sources of checkpoints: how each says what it holds, and what it calls its tensors."""

from vitjax.moved import within

__getattr__ = within(__name__)
