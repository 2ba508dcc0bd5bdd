"""The process in which transformers renders chat templates: a template may run without end, and must not stop ours.

Run as a program. It reads a request as JSON from its input and writes rendered texts and their ids as JSON. Once the
tokenizer is loaded, rendering may take so many more seconds of a processor and so many more bytes of memory.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    """Answer one request."""
    answer, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is no part of the answer
    request = json.load(sys.stdin)
    loader = import_module("transformers").AutoTokenizer
    peer = loader.from_pretrained(request["folder"], local_files_only=True, trust_remote_code=False)
    refusal = import_module("jinja2").TemplateError
    _limit(request["seconds"], request["memory_bytes"])
    json.dump([_rendered(peer, task, refusal, request["characters"]) for task in request["tasks"]], answer)


def _rendered(peer: Any, task: dict[str, Any], refusal: type[Exception], most: int) -> dict[str, Any]:
    """Text and ids of a conversation; nothing where the template itself refuses it and may."""
    conversation, options = task["conversation"], task["options"]
    try:
        text = peer.apply_chat_template(conversation, tokenize=False, **options)
    except Exception as error:
        if task["may_refuse"] and type(error) is refusal:
            return {}
        raise
    if len(text) > most:
        raise ValueError(f"a text has {len(text):,} characters, more than the {most:,} that are read")
    ids = peer.apply_chat_template(conversation, tokenize=True, return_dict=False, **options)
    return {"text": text, "ids": list(ids)}


def _limit(seconds: int, memory_bytes: int) -> None:
    """Limit the time and the memory that are still taken, where the system can."""
    try:
        import resource
    except ImportError:  # Windows: the time is limited by the process that waits
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (until, until))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    try:
        main()
    except Exception as failure:  # noqa: BLE001 - whatever jinja2, transformers or the template raises
        sys.exit(f"{type(failure).__name__}: {(str(failure).splitlines() or [''])[0][:500]}")
