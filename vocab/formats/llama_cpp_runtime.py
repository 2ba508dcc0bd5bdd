"""llama.cpp as the program that encodes: the package xllamacpp in a process of its own, on a GGUF file's tokenizer.

xllamacpp gives Python no tokenizer, only the server of llama.cpp, whose `/tokenize` and `/detokenize` are called here.
Source: ggml-org/llama.cpp `tools/server` (a prompt may be texts and ids in turn; ids come back as they are).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vocab.errors import SourceError
from vocab.formats import gguf_shell, llama_cpp_child
from vocab.formats.gguf_tokenizer import UNUSED, GgufTokenizer
from vocab.formats.runtime_tokenizer import batches, counted

PACKAGE = "xllamacpp"
_BETWEEN = -1  # an id that no token has, between texts that are sent together
_BATCH_TEXTS, _BATCH_CHARACTERS = 1 << 12, 1 << 20
_SECONDS = 600.0


def is_installed() -> bool:
    """Whether llama.cpp can be run."""
    return find_spec(PACKAGE) is not None


class LlamaCppRuntime:
    """llama.cpp on the tokenizer of a file."""

    name = "llama.cpp"

    def __init__(self, tokenizer: GgufTokenizer) -> None:
        """Start it; raises SourceError where llama.cpp does not load the tokenizer."""
        self._path = tokenizer.path
        self._drops_space = tokenizer.model == "llama" and tokenizer.get("add_space_prefix", bool, True)
        self.n_ids = sum(kind != UNUSED for kind in tokenizer.kinds)
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "tokenizer.gguf"
            gguf_shell.write_shell(tokenizer, model)
            self._connection = self._started(model)

    def _started(self, model: Path) -> HTTPConnection:
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(  # noqa: S603 - our own program, and a path that we made
                [sys.executable, "-P", str(llama_cpp_child.__file__), str(model)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "GGML_NO_BACKTRACE": "1"},
            )
            self._finalizer = weakref.finalize(self, _end, process)
            for line in process.stdout or ():
                if line.startswith(llama_cpp_child.LISTENS.encode()):
                    address = line.decode().strip().removeprefix(llama_cpp_child.LISTENS)
                    return HTTPConnection(address.removeprefix("http://"), timeout=_SECONDS)
            log.seek(0)
            reason = _reason(log.read().decode(errors="replace"))
        raise SourceError(f"llama.cpp does not load the tokenizer of {self._path}{reason}")

    def count_all(self, texts: Iterable[str], unknown: int | None) -> Iterator[tuple[int, int]]:
        return counted(self.encode_all(texts), unknown)

    def encode_all(self, texts: Iterable[str]) -> Iterator[list[int]]:
        for batch in batches(texts, _BATCH_TEXTS, _BATCH_CHARACTERS):
            content = [part for text in batch for part in (text, _BETWEEN)]
            yield from _parts(self._tokenized(content, special=False))

    def encode_with_special(self, text: str) -> list[int]:
        return self._tokenized(text, special=True)

    def encode_by_default(self, text: str) -> list[int]:
        """Ids of a text, special tokens recognised, with those that are put around it."""
        return self._tokenized(text, special=True, around=True)

    def decode(self, ids: list[int]) -> str:
        text = str(self._asked("/detokenize", {"tokens": ids})["content"])
        return text.removeprefix(" ") if self._drops_space else text

    def _tokenized(self, content: Any, *, special: bool, around: bool = False) -> list[int]:
        request = {"content": content, "parse_special": special, "add_special": around}
        tokens: list[int] = self._asked("/tokenize", request)["tokens"]
        return tokens

    def _asked(self, address: str, content: Any) -> Any:
        try:
            self._connection.request("POST", address, json.dumps(content), {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            raw = answer.read()
        except OSError as error:
            raise SourceError(f"llama.cpp ended while it encoded with {self._path}: {error}") from None
        if answer.status != 200:
            raise SourceError(f"llama.cpp refuses to encode with {self._path}: {raw.decode(errors='replace')[:200]}")
        return json.loads(raw)


def _end(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _reason(log: str) -> str:
    """What llama.cpp says of a failure, as the end of a sentence."""
    said = [line.split("error loading model")[-1].strip(": ") for line in log.splitlines() if "error" in line.lower()]
    return f": {said[0][:200]}" if said else ""


def _parts(ids: list[int]) -> Iterator[list[int]]:
    """The ids of each text, where one that no token has follows each."""
    part: list[int] = []
    for id_ in ids:
        if id_ == _BETWEEN:
            yield part
            part = []
        else:
            part.append(id_)
