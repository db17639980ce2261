"""What units of the residual stream see of an image, and where attention takes its information from."""

from vitjax.moved import within

__getattr__ = within(__name__)
