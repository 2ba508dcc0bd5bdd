"""Where a row comes from: spec, commit, versions and machine."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import vocab
from vocab.environment import versions
from vocab.experiments.spec import Spec
from vocab.model.timing.machine import machine, training_versions


def origin(spec: Spec, device: str) -> dict[str, Any]:
    """What every row of a run says of itself."""
    return {
        "spec_sha256": spec.sha256,
        "settings": dict(spec.settings),
        "commit": commit(),
        "versions": training_versions(),
        "machine": dict(machine(device)),
    }


def commit() -> str:
    """The commit of the source tree, "+" where files differ from it; the version where this is no clone."""
    root = Path(vocab.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return f"vocabkit {versions().get('vocabkit', 'of no version')}"
    head = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", "vocab")
    return f"{head}+" if changed else head


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed arguments
    return done.stdout.strip()
