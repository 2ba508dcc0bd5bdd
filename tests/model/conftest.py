"""Without torch, test modules that import it are left out, and the others run."""

from importlib.util import find_spec
from pathlib import Path

IMPORTS_TORCH = ("import torch\n", "from torch", "from transformers import", "from helpers.models import")


def needs_torch(path: Path) -> bool:
    """Whether a module imports torch at its top, itself or by what it imports."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return any(line.startswith(IMPORTS_TORCH) for line in lines)


if find_spec("torch") is None:
    collect_ignore = [path.name for path in Path(__file__).parent.glob("test_*.py") if needs_torch(path)]
