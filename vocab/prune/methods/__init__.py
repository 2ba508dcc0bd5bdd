"""Methods that choose tokens, and the prices they go by."""
