"""Studies of training speed against vocabulary size."""
