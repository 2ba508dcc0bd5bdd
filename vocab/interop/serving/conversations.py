"""Conversations in files: JSON lines of messages with roles, as OpenAI's `messages` or ShareGPT's `conversations`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

from vocab.corpus.column_paths import kind_of
from vocab.corpus.unpacking import UnpackedFile
from vocab.errors import CorpusError
from vocab.reading import parse_json, why_no_json

_KEYS = ("messages", "conversations", "conversation")
# Names of ShareGPT's rows and of Gemini's.
_ROLES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant"}
_MAX_LINE, _MAX_ARRAY, _BLOCK = 64 << 20, 1 << 30, 1 << 20
_HELD_OUT = 10  # one conversation in so many

Message = dict[str, Any]


@dataclass(frozen=True)
class Conversation:
    """A conversation.

    Attributes:
        where: file and row, for messages.
        domain: what its coverage is stated under.
        messages: each with `role`, and `content` or what else the template reads.
    """

    where: str
    domain: str
    messages: list[Message]

    @property
    def is_held_out(self) -> bool:
        """Whether it is one of the tenth that coverage is measured on, by a digest of its messages."""
        raw = json.dumps(self.messages, sort_keys=True).encode()
        return int.from_bytes(hashlib.sha256(raw).digest()[:8], "big") % _HELD_OUT == 0

    @property
    def has_answer(self) -> bool:
        """Whether the assistant says something in it."""
        return any(message["role"] == "assistant" for message in self.messages)


def read_conversations(path: str | Path, by: str | None = None) -> Iterator[Conversation]:
    """Conversations of a file of JSON lines or of one JSON array, plain or packed (.gz, .zst, .bz2, .xz).

    Args:
        path: the file.
        by: the field of a row that names its domain, such as `language`; None for the file's name.

    Raises:
        CorpusError: the file cannot be read, a row is not JSON or has no messages with roles, or nobody answers in it.
    """
    path = Path(path)
    roles: set[str] = set()
    has_answers = False
    for number, row in _rows(path):
        where = f"{path} row {number:,}"
        conversation = Conversation(where, _domain(row, by, path, where), _messages(row, where))
        roles |= {message["role"] for message in conversation.messages}
        has_answers = has_answers or conversation.has_answer
        yield conversation
    if not roles:
        raise CorpusError(f"{path} holds no conversations")
    if not has_answers:
        raise CorpusError(f"{path} has no message of the assistant: its roles are {', '.join(sorted(roles))[:200]}")


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    with UnpackedFile(path) as stream:
        if stream.head.lstrip().startswith(b"["):
            yield from enumerate(_parsed(_whole(stream, path), f"{path}"), 1)
            return
        for number, line in enumerate(_lines(stream, path), 1):
            if line.strip():
                yield number, _parsed(line, f"{path} line {number:,}")


def _whole(stream: UnpackedFile, path: Path) -> bytes:
    parts, n_bytes = [], 0
    while block := stream.read(_BLOCK):
        n_bytes += len(block)
        if n_bytes > _MAX_ARRAY:
            raise CorpusError(f"{path} is one JSON array of more than {_MAX_ARRAY:,} bytes: write one row a line")
        parts.append(block)
    return b"".join(parts)


def _lines(stream: UnpackedFile, path: Path) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(_BLOCK):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
        if len(rest) > _MAX_LINE:
            raise CorpusError(f"{path} has a line of more than {_MAX_LINE:,} bytes, which is no conversation")
    if rest:
        yield rest


def _parsed(raw: bytes, where: str) -> Any:
    try:
        return parse_json(raw)
    except ValueError as error:
        raise CorpusError(f"{where} {why_no_json(error)}") from None


def _domain(row: Any, by: str | None, path: Path, where: str) -> str:
    if by is None:
        return path.name.partition(".")[0]
    value = row.get(by) if isinstance(row, dict) else None
    if not isinstance(value, str) or not value:
        raise CorpusError(f"{where} has no text under {by!r}, by which domains are told apart")
    return value[:80]


def _messages(row: Any, where: str) -> list[Message]:
    found = next((row[key] for key in _KEYS if key in row), None) if isinstance(row, dict) else row
    if isinstance(row, dict) and found is None:
        raise CorpusError(
            f"{where} has no messages: it has {shorten(', '.join(row), 200) or 'nothing'}, not `messages`"
        )
    if not isinstance(found, list):
        raise CorpusError(
            f"{where} is {kind_of(found)} and no conversation, which is a list of messages with `role` and `content`"
        )
    if not found:
        raise CorpusError(f"{where} has an empty list of messages: leave the row out")
    return [_message(one, f"{where}, message {number:,},") for number, one in enumerate(found, 1)]


def _message(one: Any, where: str) -> Message:
    role = (one.get("role") or one.get("from")) if isinstance(one, dict) else None
    if not isinstance(role, str):
        raise CorpusError(f"{where} has no role: each message needs `role` and `content`")
    kept = {key: value for key, value in one.items() if key not in ("role", "from", "value")}
    content = one.get("content", one.get("value"))
    if content is None and not any(kept.values()):
        raise CorpusError(f"{where} has no content: give it a text, or leave the row out")
    if not (content is None or isinstance(content, str | list | dict)):
        raise CorpusError(f"{where} has {kind_of(content)} as its content, where a text belongs")
    return {**kept, "role": _ROLES.get(role, role), "content": content}
