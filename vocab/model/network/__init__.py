"""The decoder: shapes, layers, attention, and the head with its loss."""
