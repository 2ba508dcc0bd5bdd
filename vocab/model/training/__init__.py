"""Training runs: settings, loop, held-out loss, checkpoints, logs, reports."""
