"""The origin of a row: settings, commit, versions and machine."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import vocab
from vocab.environment import versions
from vocab.experiments.study import Study
from vocab.model.hardware.machine import machine, training_versions


def origin(study: Study, device: str) -> dict[str, Any]:
    """The part of a row's origin that all rows of a study on one machine share."""
    return {
        "spec_sha256": study.sha256,
        "settings": study.settings,
        "commit": commit(),
        "versions": training_versions(),
        "machine": dict(machine(device)),
    }


def commit() -> str:
    """The commit of the source tree, with "+" where files differ from it; outside a clone the version."""
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
