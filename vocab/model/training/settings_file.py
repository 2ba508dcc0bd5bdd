"""Settings of training from a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, get_type_hints

from vocab.errors import TrainingError
from vocab.model.training.settings import TrainSettings

_PLAIN = (bool, int, float, str)


def read_settings(path: Path) -> dict[str, Any]:
    """Fields of `TrainSettings` from a file such as `weight_decay = 0.05`, a field a line.

    Raises:
        TrainingError: for a file that cannot be read, an unknown field, or a value of another type.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise TrainingError(f"{path} is not TOML: {error}") from None
    hints = get_type_hints(TrainSettings)
    known = sorted(name for name in hints if name in TrainSettings.__dataclass_fields__)
    for name, value in content.items():
        if name not in known:
            raise TrainingError(f"{path}: {name} is not a setting; the settings are: {', '.join(known)}")
        content[name] = _of_type(value, hints[name], f"{path}: {name}")
    return content


def _of_type(value: Any, hint: Any, where: str) -> Any:
    """The value, of its field's type; a whole number is a float too. Choices are strings."""
    wanted = hint if hint in _PLAIN else str
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise TrainingError(f"{where} must be {wanted.__name__}, not {value!r}")
    return value
