"""`evaluate_model`: tasks of lm-evaluation-harness from local files, and bits per byte of text."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vocab.corpus.document_corpus import DocumentCorpus
from vocab.errors import MissingExtraError, TrainingError
from vocab.model.hardware.parallel import choose_device
from vocab.model.pretrained.causal_model import CausalModel, load_causal_model
from vocab.model.pretrained.local_tasks import read_task, sandboxed_templates
from vocab.model.pretrained.score import ModelScore, score_model

_RUN_MODEL = "model"  # in the folder of a training run


@dataclass(frozen=True)
class TaskScore:
    """One figure of a task.

    Attributes:
        task: its name.
        metric: what was measured, such as "acc".
        filtered: the filter of answers, "none" for none.
        value: the figure.
        error: its standard error; None where lm-eval gives none.
        n_documents: documents asked.
        few_shot: examples before each.
    """

    task: str
    metric: str
    filtered: str
    value: float
    error: float | None
    n_documents: int
    few_shot: int


@dataclass(frozen=True)
class ModelEvaluation:
    """What a model reaches.

    Attributes:
        model: its name.
        n_parameters: numbers in all weights.
        tasks: figures of the tasks.
        text: bits per byte of the text, if there was any.
        lm_eval: version of lm-eval.
    """

    model: str
    n_parameters: int
    tasks: tuple[TaskScore, ...]
    text: ModelScore | None
    lm_eval: str

    def for_report(self) -> dict[str, Any]:
        """The same as JSON types."""
        return asdict(self) | {"text": self.text.for_report() if self.text else None}


def evaluate_model(
    model: str | Path,
    tasks: Sequence[Path | str],
    *,
    corpus: DocumentCorpus | None = None,
    few_shot: int | None = None,
    limit: int | None = None,
    batch: int = 8,
    seed: int = 0,
    device: str = "auto",
) -> ModelEvaluation:
    """Evaluate a causal model on tasks by lm-eval, and on text. Nothing is loaded over the network.

    Args:
        model: a folder with config.json, safetensors and a tokenizer, or the folder of a training run.
        tasks: task files, as `read_task` takes them.
        corpus: text of which to give bits per byte, as `score_model` does.
        few_shot: examples before each document; None for what the task says.
        limit: documents of each task at most.
        batch: sequences computed at once.
        seed: of the choice of examples.
        device: "auto", "cpu" or "cuda".

    Raises:
        MissingExtraError: lm-eval is not installed.
        TrainingError: a model or a task that cannot be used.
    """
    if find_spec("lm_eval") is None:
        raise MissingExtraError("evaluating a model on tasks", "lm_eval", "evaluate")
    folder = Path(model, _RUN_MODEL) if Path(model, _RUN_MODEL).is_dir() else Path(model)
    configs = [read_task(Path(task)) for task in tasks]
    names = [config["task"] for config in configs]
    if len(set(names)) < len(names):
        raise TrainingError("two task files have one name: give each its own `task`")
    loaded = load_causal_model(folder, choose_device(device))
    scores = _run(loaded, configs, few_shot, limit, batch, seed) if configs else ()
    text = score_model(loaded, corpus, tokenizer=folder, device=device) if corpus else None
    return ModelEvaluation(str(model), loaded.n_parameters, scores, text, version("lm_eval"))


def _run(
    model: CausalModel, configs: list[dict[str, Any]], few_shot: int | None, limit: int | None, batch: int, seed: int
) -> tuple[TaskScore, ...]:
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model.name, trust_remote_code=False)
    with tempfile.TemporaryDirectory() as cache, sandboxed_templates(), _quiet():
        for config in configs:
            config["dataset_kwargs"]["cache_dir"] = cache
        try:
            found = simple_evaluate(
                HFLM(pretrained=model.network, tokenizer=tokenizer, batch_size=batch),
                tasks=configs,
                num_fewshot=few_shot,
                limit=limit,
                log_samples=False,
                bootstrap_iters=1000,
                task_manager=TaskManager(include_defaults=False),
                random_seed=seed,
                numpy_random_seed=seed,
                torch_random_seed=seed,
                fewshot_random_seed=seed,
            )
        except Exception as error:  # noqa: BLE001 - lm-eval and Jinja raise errors of every kind for a wrong task file
            reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise TrainingError(f"lm-eval cannot run the tasks: {reason[0]}") from None
    return tuple(_scores(found))


def _scores(found: Any) -> Iterator[TaskScore]:
    for task, figures in found["results"].items():
        n_documents = found["n-samples"][task]["effective"]
        for key, value in figures.items():
            metric, comma, filtered = key.partition(",")
            if not comma or metric.endswith("_stderr") or not isinstance(value, int | float):
                continue
            error = figures.get(f"{metric}_stderr,{filtered}")
            shown = float(error) if isinstance(error, int | float) else None
            yield TaskScore(task, metric, filtered, float(value), shown, n_documents, found["n-shot"].get(task, 0))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without lm-eval's own lines, warnings of models aside."""
    logger = logging.getLogger("lm_eval")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
