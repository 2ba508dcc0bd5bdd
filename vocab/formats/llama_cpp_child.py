"""The process in which llama.cpp runs: it ends itself on what it does not like, and must not end ours.

Run as a program, with a model as its argument. It prints where its server listens, and ends when its input does.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

LISTENS = "listens on "


def main() -> None:
    """Load the model and serve until the input ends."""
    library: Any = import_module("xllamacpp")
    settings = library.CommonParams()
    settings.model.path = sys.argv[1]
    settings.n_ctx, settings.n_parallel, settings.n_gpu_layers, settings.verbosity = 64, 1, 0, 1
    settings.warmup = settings.fit_params = False
    server = library.Server(settings)
    sys.stdout.write(f"{LISTENS}{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
