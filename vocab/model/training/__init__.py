"""The training loop and what a run needs: settings, optimiser, checkpoints, logs."""
