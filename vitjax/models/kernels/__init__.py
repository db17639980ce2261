"""Attention in one kernel, by who makes it; which one runs where is said in `vitjax.models.core.execution`."""
