"""A folder's chat template, rendered and tokenised by transformers, and the same rendered text encoded by ours.

A template is a program. transformers renders it in jinja2's sandbox, from which it reaches no file and no other object
of Python. It runs in a process of its own, with limits of time and memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vocab.errors import SourceError
from vocab.formats.companions import chat_template
from vocab.interop.conversion import chat_child
from vocab.interop.conversion.runtime_check import RuntimeCheck, has_package
from vocab.vocabulary import Vocabulary

Message = dict[str, str]

# What rendering may take, and what it takes with loading on a busy machine.
_SECONDS, _MEMORY_BYTES, _LONGEST_SECONDS = 20, 1 << 30, 300
_MAX_CHARACTERS = 1 << 20  # of a rendered text; ordinary ones have hundreds
_SYSTEM = {"role": "system", "content": "You answer in one word."}
_FIRST = {"role": "user", "content": "  Hello, 世界! Don't 123456 — naïve 👩‍👩‍👧?\n"}
_CONVERSATIONS = [
    [_FIRST],
    [_FIRST, {"role": "assistant", "content": "Yes.\n\tx = 1"}, {"role": "user", "content": "And then?"}],
    [_SYSTEM, _FIRST],
]
# For named templates: the one for tools and the one for retrieval want something to show.
_TOOL = {"type": "object", "properties": {"x": {"type": "string", "description": "a text"}}, "required": ["x"]}
_NAMED = {"name": "f", "description": "Returns x."}
# Cohere's templates read a tool in a form of their own.
_OF_COHERE = {"parameter_definitions": {"x": {"type": "str", "description": "a text", "required": True}}}
_MORE = {
    "tools": [{"type": "function", "function": {**_NAMED, "parameters": _TOOL}, **_NAMED, **_OF_COHERE}],
    "documents": [{"title": "One", "text": "A text."}],
}


def verify_chat(directory: Path, vocabulary: Vocabulary) -> RuntimeCheck | None:
    """Compare transformers' ids of rendered conversations with ours; None where there is no chat template.

    Every template is tried on three conversations. The one with a system message is left out where the template itself
    refuses it. A template that cannot be rendered is a failure. Without the packages nothing is rendered, and
    `n_texts` is 0.
    """
    template = chat_template(vocabulary)
    if template is None:
        return None
    if not (has_package("transformers") and has_package("jinja2") and (directory / "tokenizer.json").is_file()):
        return RuntimeCheck("chat template", "", vocabulary.n_ids)
    check = RuntimeCheck("chat template", version("transformers"), vocabulary.n_ids)
    names = [None] if isinstance(template, str) else [part["name"] for part in template]
    tasks = [_task(name, conversation) for name in names for conversation in _CONVERSATIONS]
    try:
        rendered = _rendered(directory, tasks)
    except SourceError as error:
        check.failure = f"cannot be rendered: {error}"
        return check
    for one in rendered:
        if one:
            _compare(check, one["text"], one["ids"], vocabulary)
    return check


def _task(name: str | None, conversation: list[Message]) -> dict[str, Any]:
    """A conversation for a template, and what is given with it."""
    more = {} if name in (None, "default") else {"chat_template": name, **_MORE}
    options = {**more, "add_generation_prompt": conversation[-1]["role"] == "user"}
    return {"conversation": conversation, "options": options, "may_refuse": _SYSTEM in conversation}


def _rendered(directory: Path, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Texts and ids by a process of its own; raises SourceError with what went wrong."""
    limits = {"seconds": _SECONDS, "memory_bytes": _MEMORY_BYTES, "characters": _MAX_CHARACTERS}
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-P", str(chat_child.__file__)],
            input=json.dumps({"folder": str(directory.absolute()), "tasks": tasks, **limits}),
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SourceError(f"it takes more than {_LONGEST_SECONDS} seconds") from None
    if done.returncode < 0:
        raise SourceError(f"it takes more than {_SECONDS} seconds or {_MEMORY_BYTES:,} bytes of memory")
    if done.returncode:
        raise SourceError((done.stderr.splitlines() or ["its process ended"])[-1])
    answer: list[dict[str, Any]] = json.loads(done.stdout)
    return answer


def _compare(check: RuntimeCheck, text: str, theirs: list[int], vocabulary: Vocabulary) -> None:
    check.n_texts += 1
    check.n_bytes += len(text.encode(errors="replace"))
    if theirs != vocabulary.encode(text, allow_special=True):
        check.n_different += 1
        check.first_different = check.first_different or text
