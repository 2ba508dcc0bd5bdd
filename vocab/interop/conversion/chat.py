"""A folder's chat template, rendered and tokenised by transformers, and the same rendered text encoded by ours.

A template is a program. transformers renders it in jinja2's sandbox, from which it reaches no file and no other object
of Python; nothing limits its time.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vocab.formats.companions import chat_template
from vocab.interop.conversion.runtime_check import RuntimeCheck, auto_tokenizer, has_package, reason_of
from vocab.vocabulary import Vocabulary

Message = dict[str, str]

_SYSTEM = {"role": "system", "content": "You answer in one word."}
_FIRST = {"role": "user", "content": "  Hello, 世界! Don't 123456 — naïve 👩‍👩‍👧?\n"}
_CONVERSATIONS = [
    [_FIRST],
    [_FIRST, {"role": "assistant", "content": "Yes.\n\tx = 1"}, {"role": "user", "content": "And then?"}],
    [_SYSTEM, _FIRST],
]
# For named templates: the one for tools and the one for retrieval want something to show.
_TOOL = {"type": "object", "properties": {"x": {"type": "string", "description": "a text"}}, "required": ["x"]}
_MORE = {
    "tools": [{"type": "function", "function": {"name": "f", "description": "Returns x.", "parameters": _TOOL}}],
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
    try:
        peer = auto_tokenizer(directory)
        for name in names:
            for conversation in _CONVERSATIONS:
                _compare(check, peer, name, conversation, vocabulary)
    except Exception as error:  # noqa: BLE001 - whatever jinja2, transformers or the template raises
        check.failure = f"cannot be rendered: {reason_of(error)}"
    return check


def _compare(
    check: RuntimeCheck, peer: Any, name: str | None, conversation: list[Message], vocabulary: Vocabulary
) -> None:
    more = {} if name in (None, "default") else {"chat_template": name, **_MORE}
    more["add_generation_prompt"] = conversation[-1]["role"] == "user"
    try:
        text = peer.apply_chat_template(conversation, tokenize=False, **more)
    except Exception as error:
        if _SYSTEM in conversation and _is_refusal(error):
            return
        raise
    theirs = peer.apply_chat_template(conversation, tokenize=True, return_dict=False, **more)
    check.n_texts += 1
    check.n_bytes += len(text.encode(errors="replace"))
    if list(theirs) != vocabulary.encode(text, allow_special=True):
        check.n_different += 1
        check.first_different = check.first_different or text


def _is_refusal(error: Exception) -> bool:
    """Whether a template raised this itself, by its function raise_exception."""
    return type(error) is import_module("jinja2").TemplateError
