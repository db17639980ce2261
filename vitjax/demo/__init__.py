"""The model that comes with vitjax, in the very form of a checkpoint on the hub: `vitjax.load("demo")`."""
