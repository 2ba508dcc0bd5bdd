"""Kernels of a first run of pruning, half of which a child process compiles beside it.

Pruning compiles its kernels in the order in which it needs them. The child compiles those needed last. A kernel that
both want is compiled once, because who comes second waits for it (`vocab.compilation.kernel_cache`).
"""

from __future__ import annotations

import atexit
import subprocess
import sys
from pathlib import Path

from vocab.compilation.cache_folder import cache_folder
from vocab.threads import n_cores

# The child ends when this process does, however that ends: then nobody holds the other end of its input.
_CODE = f"""
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
from {__name__} import compile_last_kernels
compile_last_kernels()
os._exit(0)
"""


def compile_ahead() -> None:
    """Let a child process compile the kernels that pruning needs last.

    Not where they are kept already or cannot be kept, nor with one core.
    """
    from vocab.encoding import id_cache_kernels

    folder = cache_folder(id_cache_kernels.__file__)
    if folder is None or n_cores() < 2 or any(Path(folder).rglob("id_cache_kernels.encode_pieces-*.nbi")):
        return
    child = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", _CODE], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    atexit.register(_end, child)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()


def compile_last_kernels() -> None:
    """Encode a text, count its tokens under least-tokens and drop leaves, all with a vocabulary of few tokens."""
    import numpy as np

    from vocab.analysis.evaluation import Evaluator
    from vocab.corpus.counting import CorpusCounts, CorpusPart
    from vocab.pretokens.counts import PretokenCounts
    from vocab.prune.methods.baselines import by_leaf
    from vocab.splitting import CL100K_REGEX, SplitPattern
    from vocab.vocabulary import Vocabulary

    tokens = [bytes([byte]) for byte in range(256)] + [b"th", b"the"]
    vocabulary = Vocabulary.from_tokens(tokens, SplitPattern(CL100K_REGEX))
    vocabulary.encode("the end")
    counts = PretokenCounts.from_mapping({b"the": 1, b" end": 1}, vocabulary.pattern.sha256)
    evaluator = Evaluator(vocabulary.encoder.trie, CorpusCounts((CorpusPart("text", counts, counts),)))
    every = np.ones(vocabulary.n_tokens, dtype=np.bool_)
    evaluator.evaluate(every, "least-tokens")
    by_leaf(vocabulary, vocabulary.encoder.trie, np.ones(every.size, dtype=np.int64), every, every.size - 1)
