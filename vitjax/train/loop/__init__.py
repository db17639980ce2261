"""What a training does in a step, on however many devices: optimizer, state, one compiled step."""
