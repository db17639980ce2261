"""The parts of `vitjax atlas`: exporting its page, and atlases of activations."""
