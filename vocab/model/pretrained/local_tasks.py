"""Task files of lm-evaluation-harness with data in the same folder: no network, and no code of the file's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from vocab.errors import TrainingError

# Fields that say how documents are read, shown and scored. Others load code, other files or data from elsewhere.
_FIELDS = frozenset(
    {
        "dataset_kwargs",
        "dataset_name",
        "dataset_path",
        "description",
        "doc_to_choice",
        "doc_to_decontamination_query",
        "doc_to_target",
        "doc_to_text",
        "fewshot_delimiter",
        "fewshot_split",
        "filter_list",
        "gen_prefix",
        "generation_kwargs",
        "metadata",
        "metric_list",
        "num_fewshot",
        "output_type",
        "repeats",
        "should_decontaminate",
        "tag",
        "target_delimiter",
        "task",
        "task_alias",
        "test_split",
        "training_split",
        "validation_split",
    }
)
_MOST_BYTES = 1 << 20


def read_task(path: Path) -> dict[str, Any]:
    """Read a task file, its data files with their whole paths.

    Args:
        path: YAML as lm-eval has it, with `dataset_path: json` and `dataset_kwargs: {data_files: …}` beside the file.

    Raises:
        TrainingError: it cannot be read, runs code, reads anything else than local JSON, or its data are missing.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise TrainingError(f"{path} is too large for a task file: name its YAML")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror or error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = "it runs code of its own (!function)" if "!function" in str(error) else "it is not YAML"
        raise TrainingError(f"{path} is no task file that can be used: {reason}") from None
    if not isinstance(content, dict) or not isinstance(content.get("task"), str):
        raise TrainingError(f"{path} is no task file: it names no `task`")
    if unknown := sorted(map(str, content.keys() - _FIELDS)):
        raise TrainingError(f"{path} has the field {unknown[0]}, which can load code or data from elsewhere")
    return content | {"dataset_kwargs": {"data_files": _data_files(path, content)}}


def _data_files(path: Path, content: dict[str, Any]) -> dict[str, str]:
    """The data files by split."""
    kwargs = content.get("dataset_kwargs")
    named = kwargs.get("data_files") if isinstance(kwargs, dict) else None
    if content.get("dataset_path") != "json" or not named or len(kwargs or ()) > 1:
        raise TrainingError(f"{path} must read local files: dataset_path json, and data_files in dataset_kwargs")
    for metric in content.get("metric_list") or ():
        if isinstance(metric, dict) and metric.get("hf_evaluate"):
            raise TrainingError(f"{path} has a metric of the package evaluate, which is code from elsewhere")
    files = {"test": named} if isinstance(named, str) else named
    if not isinstance(files, dict) or not all(isinstance(name, str) for name in files.values()):
        raise TrainingError(f"{path} must name one data file a split")
    found = {split: path.parent / name for split, name in files.items()}
    if missing := next((file for file in found.values() if not file.is_file()), None):
        raise TrainingError(f"{path} names the data file {missing}, which is not there")
    return {str(split): str(file.resolve()) for split, file in found.items()}


@contextmanager
def sandboxed_templates() -> Iterator[None]:
    """Let lm-eval render templates of task files in Jinja's sandbox, from which they reach no code."""
    import lm_eval.utils
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    usual = lm_eval.utils.env
    sandbox = ImmutableSandboxedEnvironment(undefined=usual.undefined, keep_trailing_newline=True)
    sandbox.filters.update(usual.filters)
    lm_eval.utils.env = sandbox
    try:
        yield
    finally:
        lm_eval.utils.env = usual
