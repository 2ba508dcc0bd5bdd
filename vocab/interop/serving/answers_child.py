"""The process in which transformers renders conversations and their answers are counted; a template is a program.

Run as a program. The first line of its input is a request, each other one a conversation; at the end of its input it
writes how often each id bears loss. A template may take so many seconds of a processor for one conversation, and so
many bytes of memory for all.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

_MARKED = re.compile(r"\{%-?\s*generation\b")  # templates that say themselves which text is the assistant's
_KNOWN_ROLES = {
    *("system", "developer", "user", "assistant", "tool", "function"),
    *("ipython", "observation", "tool_response", "environment"),
}


class Answers:
    """Counts of the tokens that the assistant says."""

    def __init__(self, request: dict[str, Any]) -> None:
        loader = import_module("transformers").AutoTokenizer
        self.peer = loader.from_pretrained(request["folder"], local_files_only=True, trust_remote_code=False)
        self.refusal = import_module("jinja2").TemplateError
        template = self.peer.get_chat_template()
        self.is_marked = bool(_MARKED.search(template))
        self.most = request["characters"]
        added = self.peer.added_tokens_decoder.items()
        self.special = {*self.peer.all_special_ids, *(k for k, token in added if token.special)}
        self.uses: dict[str, dict[str, Counter[int]]] = {}
        self.n_refused, self.why = 0, ""
        self.other_roles: Counter[str] = Counter()

    def add(self, conversation: dict[str, Any]) -> None:
        """Count one conversation; one that the template refuses is left out."""
        sides = self.uses.setdefault(conversation["domain"], {"counted": Counter(), "held_out": Counter()})
        try:
            answers = self.answers(conversation["messages"])
        except self.refusal as error:
            if type(error) is not self.refusal:  # what the template says itself, by raise_exception
                raise
            self.n_refused += 1
            self.why = self.why or f"{conversation['where']}: {first_line(error)}"
            return
        self.other_roles.update(m["role"] for m in conversation["messages"] if m["role"] not in _KNOWN_ROLES)
        for ids in answers:
            sides["held_out" if conversation["held_out"] else "counted"].update(ids)

    def answers(self, messages: list[dict[str, Any]]) -> list[list[int]]:
        """Ids of each answer."""
        if self.is_marked:
            return [self.marked(messages)]
        return [self.answer(messages, k) for k, message in enumerate(messages) if message["role"] == "assistant"]

    def marked(self, messages: list[dict[str, Any]]) -> list[int]:
        """Ids that the template marks."""
        self.rendered(messages)
        done = self.peer.apply_chat_template(
            messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        pairs = zip(done["input_ids"], done["assistant_masks"], strict=True)
        return [id_ for id_, bears_loss in pairs if bears_loss]

    def answer(self, messages: list[dict[str, Any]], k: int) -> list[int]:
        """Ids of what follows where the model is asked to go on, up to the token that ends the turn."""
        given = self.rendered(messages[:k], add_generation_prompt=True)
        whole = self.rendered(messages[: k + 1])
        if not whole.startswith(given):
            raise ValueError("the template does not put the answer after what it has where the model goes on")
        encoded = self.peer(whole, add_special_tokens=False, return_offsets_mapping=True)
        pairs = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        ids = [(id_, whole[max(a, len(given)) : b]) for id_, (a, b) in pairs if b > len(given)]
        last = max((place for place, (id_, _) in enumerate(ids) if id_ in self.special), default=len(ids) - 1)
        if any(text.strip() for _, text in ids[last + 1 :]):
            last = len(ids) - 1
        return [id_ for id_, _ in ids[: last + 1]]

    def rendered(self, messages: list[dict[str, Any]], **options: Any) -> str:
        """A conversation as text."""
        text: str = self.peer.apply_chat_template(messages, tokenize=False, **options)
        if len(text) > self.most:
            raise ValueError(f"a text has {len(text):,} characters, more than the {self.most:,} that are read")
        return text


def main() -> None:
    """Answer one request."""
    answer, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is no part of the answer
    request = json.loads(sys.stdin.readline())
    answers = Answers(request)
    _limit_memory(request["memory_bytes"])
    for line in sys.stdin:
        conversation = json.loads(line)
        _limit_time(request["seconds"])
        try:
            answers.add(conversation)
        except Exception as error:  # noqa: BLE001 - whatever jinja2, transformers or the template raises
            raise ValueError(f"{conversation['where']}: {type(error).__name__}: {first_line(error)}") from None
    more = {"refused": answers.n_refused, "why": answers.why, "other_roles": answers.other_roles}
    json.dump({"uses": answers.uses, **more}, answer)


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    return (str(error).splitlines() or [""])[0][:500]


def _limit_time(seconds: int) -> None:
    """Limit the processor's time that is still taken, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds, hard))


def _limit_memory(memory_bytes: int) -> None:
    """Limit the memory that is still taken, where the system can."""
    if sys.platform != "linux":
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + memory_bytes
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    try:
        main()
    except Exception as failure:  # noqa: BLE001 - whatever jinja2, transformers or the template raises
        sys.exit(first_line(failure) or type(failure).__name__)
