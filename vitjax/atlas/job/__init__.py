"""An atlas as a job: what is to be made, who makes it, and when it ends."""

from vitjax.moved import within

__getattr__ = within(__name__)
