"""Studies of loss against vocabulary."""
