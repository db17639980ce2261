"""Makes an atlas as a job over a store: looks at photographs, paints, grades, paints again, compares."""

from vitjax.moved import within

__getattr__ = within(__name__)
