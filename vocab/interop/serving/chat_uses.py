"""Tokens that bear loss in conversations: those of the assistant, by the model's own chat template.

transformers renders the template in jinja2's sandbox, in a process of its own with limits of time and memory.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from vocab.errors import CorpusError, SourceError
from vocab.formats import load_lossless
from vocab.formats.companions import chat_template
from vocab.interop.conversion.runtime_check import has_package
from vocab.interop.serving import answers_child
from vocab.interop.serving.conversations import Conversation, read_conversations
from vocab.interop.serving.token_uses import Counts, TokenUses, uses_by_domain
from vocab.number_words import number_of
from vocab.vocabulary import Vocabulary

# What a template may take for one conversation, and how long a rendered one may be.
_SECONDS, _MEMORY_BYTES, _MAX_CHARACTERS = 20, 1 << 30, 1 << 22


def uses_of_chats(directory: str | Path, chats: Sequence[str | Path], by: str | None = None) -> TokenUses:
    """Uses of each id in what the assistant says, a tenth of the conversations held out.

    A template with `{% generation %}` says itself which tokens these are. Else an answer is what a conversation up to
    it has after the same conversation before it, where the model is asked to go on. White space after the token that
    ends the turn is left out, because no model goes on there.

    Args:
        directory: folder of the model or its tokenizer, with a chat template and `tokenizer.json`.
        chats: files of conversations, as `read_conversations` takes them.
        by: the field of a row that names its domain; None for the file's name.

    Raises:
        SourceError: there is no chat template, or it cannot be rendered.
        CorpusError: a file cannot be read, has no roles, or nobody answers in it.
    """
    directory = Path(directory)
    source = load_lossless(directory)
    if not (directory / "tokenizer.json").is_file() or chat_template(source) is None:
        raise SourceError(f"{directory} has no chat template beside a tokenizer.json, which conversations need")
    if not (has_package("transformers") and has_package("jinja2")):
        raise SourceError("conversations are rendered by transformers and jinja2: pip install transformers jinja2")
    answer = _counted(directory, (one for path in chats for one in read_conversations(path, by)))
    notes = _notes(answer)
    named: Mapping[str, Any] = answer["uses"]
    rows = {name: (_row(sides["counted"], source), _row(sides["held_out"], source)) for name, sides in named.items()}
    return uses_by_domain(source, rows, notes)


def _notes(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences on what was left out; raises CorpusError where nothing is left."""
    refused, why = int(answer["refused"]), answer["why"]
    if refused and not any(sides["counted"] or sides["held_out"] for sides in answer["uses"].values()):
        raise CorpusError(f"the chat template refuses all {refused:,} conversations, first {why}")
    notes = []
    if refused:
        notes.append(f"the template refuses {number_of(refused, 'conversation')}, which are left out: first {why}")
    if others := answer["other_roles"]:
        roles = ", ".join(f"{role!r} in {number_of(n, 'message')}" for role, n in list(others.items())[:5])
        notes.append(f"roles that no template is known for are rendered and never counted: {roles}")
    return tuple(notes)


def _row(counts: Mapping[str, int], source: Vocabulary) -> Counts:
    row = np.zeros(source.max_id + 1, dtype=np.int64)
    for id_, n in counts.items():
        if not 0 <= int(id_) < row.size:
            raise SourceError(f"transformers gives the id {int(id_):,}, and {source.name} has {row.size:,}")
        row[int(id_)] = n
    return row


def _counted(directory: Path, conversations: Iterable[Conversation]) -> dict[str, Any]:
    """What the process answers; raises SourceError with what went wrong in it."""
    with tempfile.TemporaryFile() as log, tempfile.TemporaryFile() as answer:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", str(answers_child.__file__)], stdin=subprocess.PIPE, stdout=answer, stderr=log
        )
        try:
            _send(process, directory, conversations)
        finally:
            if process.stdin and not process.stdin.closed:
                process.kill()
            process.wait()
        if process.returncode:
            raise SourceError(f"the chat template of {directory} cannot be rendered: {_reason(process, log)}")
        answer.seek(0)
        found: dict[str, Any] = json.loads(answer.read())
        return found


def _send(process: subprocess.Popen[bytes], directory: Path, conversations: Iterable[Conversation]) -> None:
    limits = {"seconds": _SECONDS, "memory_bytes": _MEMORY_BYTES, "characters": _MAX_CHARACTERS}
    stream: Any = process.stdin
    try:
        stream.write(_line({"folder": str(directory.absolute()), **limits}))
        for one in conversations:
            named = {"where": one.where, "domain": one.domain, "messages": one.messages, "held_out": one.is_held_out}
            stream.write(_line(named))
        stream.close()
    except BrokenPipeError:  # it has ended and says why
        with contextlib.suppress(BrokenPipeError):
            stream.close()


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _reason(process: subprocess.Popen[bytes], log: IO[bytes]) -> str:
    if process.returncode < 0:
        return f"a conversation takes more than {_SECONDS} seconds or {_MEMORY_BYTES:,} bytes of memory"
    log.seek(0)
    return (log.read().decode(errors="replace").splitlines() or ["its process ended"])[-1]
