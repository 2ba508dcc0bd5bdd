"""How long a training step takes, and on what machine."""
