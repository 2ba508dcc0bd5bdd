"""`vocab train`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vocab.choices import Optimizer, PrecisionOrAuto, Preset, Schedule
from vocab.cli.corpora import (
    ColumnOption,
    DocumentsOption,
    EncodingErrorsOption,
    OnErrorOption,
    ThreadsOption,
    WithoutOption,
    read_options,
)
from vocab.cli.grouped_help import COMPUTING, LOOKING, OPTIMISER
from vocab.cli.screen import progress, stopped
from vocab.cli.shared_options import Result
from vocab.cli.torch_threads import use_torch_threads
from vocab.cli.training_screen import announce, record_bar, show
from vocab.cli.training_shards import encode_parts, shard_folders

if TYPE_CHECKING:
    from vocab.model.network.config import ModelConfig
    from vocab.model.pretrained.initial_model import InitialModel
    from vocab.model.training.settings import Cadence, TrainSettings
    from vocab.vocabulary import Vocabulary


# LokiLM distils every fourth batch (arXiv 2407.08370).
_DISTILL_EVERY = 4


def _optimiser_option(name: str, text: str) -> Any:
    return typer.Option(name, rich_help_panel=OPTIMISER, help=text)


def _computing_option(name: str, text: str) -> Any:
    return typer.Option(name, rich_help_panel=COMPUTING, help=text)


def train(
    vocabulary: Annotated[str, typer.Option("--vocab", help="Vocabulary: a tiktoken name, a file or a folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the run: log, checkpoints, model, report.")],
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            "--corpus",
            metavar="PATH[:WEIGHT]",
            help="Text to train on, as for `vocab count`. With weights it is a mixture by share of the bytes: --corpus "
            "web/:7 --corpus code/:3.",
        ),
    ] = None,
    shards: Annotated[
        list[str] | None,
        typer.Option(
            "--shards",
            metavar="PATH[:WEIGHT]",
            help="Folder made by `vocab shards`, in place of text.",
        ),
    ] = None,
    preset: Annotated[Preset, typer.Option("--preset", help="Shape of the model.")] = "micro",
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="FIELD=VALUE", help="Set a field of the shape, like n_layers=6."),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            "--init",
            metavar="MODEL",
            help="Begin with this Hugging Face checkpoint of Llama's architecture: a folder, .gguf file or repository. "
            "The shape is its own; batch and rate are those of --preset.",
        ),
    ] = None,
    n_tokens: Annotated[
        int | None, typer.Option("--tokens", min=1, help="Tokens to train on. [default: --epochs]")
    ] = None,
    epochs: Annotated[float | None, typer.Option("--epochs", min=0.0, help="Times to see the corpus. [default: 1]")] = (
        None
    ),
    seq_len: Annotated[
        int | None, typer.Option("--seq", min=1, help="Tokens of a sequence. [default: the longest of the preset]")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option("--batch", min=1, help="Sequences of one step, over all processes. [default: by --preset]"),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="The highest learning rate. [default: by --preset]")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of weights and order. [default: 0]")] = None,
    masked: Annotated[
        bool | None,
        typer.Option("--mask-documents/--no-mask-documents", help="Attention stays inside documents. [default: no]"),
    ] = None,
    optimizer: Annotated[
        Optimizer | None,
        _optimiser_option(
            "--optimizer", "AdamW, or Muon for the matrices of the blocks and AdamW for the rest. [default: adamw]"
        ),
    ] = None,
    schedule: Annotated[
        Schedule | None, _optimiser_option("--schedule", "Cosine, or warm-up, stable, decay. [default: cosine]")
    ] = None,
    warmup: Annotated[
        float | None, _optimiser_option("--warmup", "Share of the tokens over which the rate rises. [default: 0.02]")
    ] = None,
    decay: Annotated[
        float | None, _optimiser_option("--decay", "Share of the tokens over which wsd falls. [default: 0.2]")
    ] = None,
    final: Annotated[
        float | None, _optimiser_option("--final", "The last rate as a share of the highest. [default: 0.1]")
    ] = None,
    batch_warmup: Annotated[
        float | None,
        _optimiser_option("--batch-warmup", "Share of the tokens over which the batch grows. [default: 0]"),
    ] = None,
    embedding_rate: Annotated[
        float | None,
        _optimiser_option("--embedding-rate", "Learning rate of the embedding, relative to the rest. [default: 1]"),
    ] = None,
    weight_decay: Annotated[
        float | None, _optimiser_option("--weight-decay", "What a step at rate 1 takes off matrices. [default: 0.1]")
    ] = None,
    beta1: Annotated[float | None, _optimiser_option("--beta1", "Decay of AdamW's mean. [default: 0.9]")] = None,
    beta2: Annotated[
        float | None, _optimiser_option("--beta2", "Decay of AdamW's mean square. [default: 0.95]")
    ] = None,
    muon_momentum: Annotated[
        float | None, _optimiser_option("--muon-momentum", "Decay of Muon's mean. [default: 0.95]")
    ] = None,
    clip: Annotated[
        float | None,
        _optimiser_option("--clip", "Largest norm of the gradient; a larger one is scaled down. [default: 1]"),
    ] = None,
    spike: Annotated[
        float | None, _optimiser_option("--spike", "Nats above the median that make a loss a spike. [default: 1]")
    ] = None,
    spike_window: Annotated[
        int | None, _optimiser_option("--spike-window", "Steps whose losses are recent. [default: 100]")
    ] = None,
    max_rollbacks: Annotated[
        int | None, _optimiser_option("--max-rollbacks", "Spikes after which training goes back. [default: 10]")
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            "--teacher", metavar="MODEL", help="Distil from this Hugging Face causal model. May be given several times."
        ),
    ] = None,
    distill_every: Annotated[
        int | None,
        typer.Option("--distill-every", min=1, help="Steps from one distilled step to the next. [default: 4]"),
    ] = None,
    id_map: Annotated[
        Path | None,
        typer.Option("--id-map", help="id_map.json of `vocab prune`, when teachers use the unpruned vocabulary."),
    ] = None,
    micro_batch: Annotated[
        int | None,
        typer.Option(
            "--micro-batch",
            rich_help_panel=COMPUTING,
            min=1,
            help="Sequences that a process holds at a time. [default: by --preset]",
        ),
    ] = None,
    attention: Annotated[str | None, _computing_option("--attention", "Attention back end. [default: auto]")] = None,
    head: Annotated[
        str | None,
        _computing_option("--head", "Head: chunked, plain, compiled, torch, liger or cce. [default: chunked]"),
    ] = None,
    precision: Annotated[
        PrecisionOrAuto | None,
        _computing_option("--precision", "auto: bfloat16 on a GPU, float32 elsewhere. [default: auto]"),
    ] = None,
    compile: Annotated[  # noqa: A002 - the setting's name
        bool | None,
        _computing_option("--compile/--no-compile", "Run the blocks through torch.compile. [default: on a GPU]"),
    ] = None,
    activation_checkpointing: Annotated[
        bool | None,
        _computing_option(
            "--activation-checkpointing/--no-activation-checkpointing",
            "Save memory; computes activations twice. [default: no]",
        ),
    ] = None,
    device: Annotated[str, _computing_option("--device", "auto, cpu or cuda.")] = "auto",
    threads: ThreadsOption = None,
    checkpoint_steps: Annotated[
        int,
        typer.Option("--checkpoint-steps", rich_help_panel=LOOKING, min=1, help="Steps between checkpoints."),
    ] = 500,
    eval_bytes: Annotated[
        int,
        typer.Option(
            "--eval-bytes", rich_help_panel=LOOKING, min=1, help="Bytes of training text between evaluations."
        ),
    ] = 2_000_000,
    sample_steps: Annotated[
        int,
        typer.Option(
            "--sample-every", rich_help_panel=LOOKING, min=0, help="Steps between samples of text; 0 for none."
        ),
    ] = 0,
    prompt: Annotated[
        str,
        typer.Option(
            "--prompt", rich_help_panel=LOOKING, help="What samples continue. [default: the start of a document]"
        ),
    ] = "",
    track: Annotated[
        list[str] | None,
        typer.Option(
            "--track",
            metavar="[tensorboard|wandb|trackio]",
            rich_help_panel=LOOKING,
            help="Who gets the figures, none over the network unless told by its own settings. May be given several "
            "times. [default: tensorboard, if it is installed]",
        ),
    ] = None,
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    without: WithoutOption = None,
    force: Annotated[bool, typer.Option("--force", help="Start over, replacing an earlier run in the folder.")] = False,
) -> Result | None:
    """Train a decoder on text encoded with a vocabulary; repeat the command to resume an interrupted run.

    Loss is reported in bits per byte of source text, which compares across vocabularies.
    """
    given = locals()
    from vocab.formats import load_lossless
    from vocab.model import PRESETS, require_torch
    from vocab.model.training.run_folder import run_folder

    require_torch("training")
    from vocab.model.hardware.parallel import join

    _set_up(corpus, shards, threads)
    chosen, cadence = _chosen(given), _cadence(given)
    workers = join(device)
    loaded = load_lossless(vocabulary)
    initial = _initial(init, loaded, model)
    shape = initial.config if initial else _shape(preset, loaded, model)
    if initial:
        chosen.setdefault("seq_len", min(shape.max_seq_len, PRESETS[preset].max_seq_len))
    options = read_options(column, documents, encoding_errors, on_error, without)
    with run_folder(out, force=force) if workers.is_first else nullcontext():
        if workers.is_first:
            encode_parts(loaded, corpus or [], out, options, threads)
        workers.wait_for_first()
        folders = shard_folders(corpus or [], shards or [], out)
        settings = _settings(preset, shape, folders, chosen)
        report = _train(loaded, folders, out, shape, settings, cadence, device, teacher or [], id_map, initial)
    if not workers.is_first:
        return None
    show(report, out)
    return Result(report)


def _set_up(corpus: list[str] | None, shards: list[str] | None, threads: int | None) -> None:
    """Check what can be checked before anything is loaded, and set torch's threads."""
    from vocab.errors import TrainingError

    if (not shards) == (not corpus):
        raise TrainingError("name either text with --corpus or shards with --shards")
    use_torch_threads(threads)


def _shape(preset: str, vocabulary: Vocabulary, fields: list[str] | None) -> ModelConfig:
    from vocab.model.network.config import preset as preset_shape

    return preset_shape(preset, n_ids=vocabulary.max_id + 1).with_fields(_fields(fields or []))


def _initial(name: str | None, vocabulary: Vocabulary, fields: list[str] | None) -> InitialModel | None:
    """The checkpoint to begin with, if one is named."""
    from vocab.errors import TrainingError
    from vocab.model.pretrained.initial_model import load_initial_model

    if name and fields:
        raise TrainingError("--init takes the shape of its model: leave out --model")
    return load_initial_model(name, vocabulary) if name else None


def _cadence(given: dict[str, Any]) -> Cadence:
    """How often to look and save."""
    from vocab.model.training.settings import Cadence
    from vocab.model.training.trackers import check_trackers

    check_trackers(given["track"] or ())
    names = ("checkpoint_steps", "eval_bytes", "sample_steps", "prompt")
    track = None if given["track"] is None else tuple(given["track"])
    return Cadence(**{name: given[name] for name in names}, track=track)


def _chosen(given: dict[str, Any]) -> dict[str, Any]:
    """What `settings_for` is told: those options of the command that the user named."""
    from dataclasses import fields

    from vocab.model.training.settings import TrainSettings

    names = [*(field.name for field in fields(TrainSettings)), "epochs", "device"]
    chosen = {"distill_every": _DISTILL_EVERY, **{name: given[name] for name in names if given[name] is not None}}
    return chosen if given["teacher"] else chosen | {"distill_every": 0}


def _settings(
    preset: str, config: ModelConfig, shards: Mapping[Path, float | None], given: dict[str, Any]
) -> TrainSettings:
    """Settings from the options and the preset's recipe; announces the run."""
    from vocab.model.data.shards import read_metadata
    from vocab.model.training.recipe import settings_for

    stored = [read_metadata(folder) for folder in shards]
    settings = settings_for(preset, config, sum(one.n_tokens("train") for one in stored), **given)
    announce(config, settings, preset, sum(one.n_bytes("train") for one in stored))
    return settings


def _fields(texts: list[str]) -> dict[str, Any]:
    """Fields of a shape from FIELD=VALUE."""
    import json

    from vocab.errors import TrainingError

    fields = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise TrainingError(f"--model takes FIELD=VALUE, not {text!r}")
        try:
            fields[name] = json.loads(value)
        except ValueError:
            fields[name] = value
    return fields


def _train(
    vocabulary: Vocabulary,
    shards: Mapping[Path, float | None],
    out: Path,
    config: ModelConfig,
    settings: TrainSettings,
    cadence: Cadence,
    device: str,
    teachers: list[str],
    id_map: Path | None,
    initial: InitialModel | None,
) -> dict[str, Any]:
    """The report of a run under a progress bar."""
    from vocab.model.hardware.parallel import join
    from vocab.model.training.distillation import distiller_of
    from vocab.model.training.run_folder import CHECKPOINTS
    from vocab.model.training.training_run import train as train_model

    try:
        with progress() as bar:
            workers = join(device)
            shown = record_bar(bar, config, settings, workers)
            distill = distiller_of(teachers, id_map, config.n_ids, workers.device) if teachers else None
            return train_model(
                *(vocabulary, shards, out, config, settings),
                cadence=cadence,
                device=device,
                on_record=shown,
                distill=distill,
                initial=initial,
            ).report
    except KeyboardInterrupt:  # in training, or while the model is evaluated and written at its end
        if not any((out / CHECKPOINTS).glob("step-*")):
            raise
        stopped(f"a checkpoint is kept in {out}")
