"""What pictures can be optimised for: objectives, sums of them, functions of one's own, and what a picture pays."""
