"""The parts that models are put together from: attention, MLPs, norms, positions, patches, pooling."""
