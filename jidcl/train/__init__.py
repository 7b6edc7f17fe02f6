"""Training: state, step, sharding, loop, checkpoints."""
