"""A study's specification: a TOML file, read into frozen records that check themselves."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_type_hints

from vocab.choices import TimedPart
from vocab.errors import StudyError

Mode = Literal["eager", "compiled", "compiled-unpadded"]
Head = Literal["plain", "compiled", "chunked"]
Build = Literal["prune", "scratch", "whole"]
PARTS: tuple[TimedPart, ...] = get_args(TimedPart)
MODES: tuple[Mode, ...] = get_args(Mode)
BUILDS: tuple[Build, ...] = get_args(Build)
# The head of models that a study trains.
RUN_HEAD: Head = "chunked"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One comparison of times: the head alone or a full step, in one mode, for all sizes at one width.

    Attributes:
        part: "head" (projection, loss, and their gradients) or "step" (the whole step of training, with AdamW).
        mode: "eager", "compiled", or "compiled-unpadded" (inductor's padding of shapes switched off).
        preset: shape of the model; its width is the head's.
        width: another width than the preset's; its feed-forward width follows.
        n_tokens: tokens of a call.
        cycles: rows, each with a time for every size.
        rounds: times in a cycle that all sizes are taken in a random order and in its reverse. From 2 on, what slows
            neighbours in time alike is taken out (`vocab.model.timing.interleave`): for machines that others share.
        sizes: those that are timed; all of the study's where none are given.
        head: of `vocab.model.network.head`; all logits at once where none is given, compiled in a compiled mode.
    """

    part: TimedPart
    mode: Mode
    preset: str
    n_tokens: int
    cycles: int
    rounds: int = 1
    width: int | None = None
    sizes: tuple[int, ...] = ()
    head: Head | None = None

    @property
    def name(self) -> str:
        """What rows and tables call it."""
        width = f"-{self.width}" if self.width else ""
        return f"{self.part}-{self.mode}-{self.preset}{width}-{self.n_tokens}"


@dataclass(frozen=True, kw_only=True)
class SpeedSpec:
    """Times over matched sets of vocabulary sizes, to tell Hamming weight from alignment.

    Attributes:
        sets: sizes by the name of the set they stand in.
        timings: what is timed.
        reference: the size that all are compared with, which stands twice in every cycle (the A/A pair).
        margin: a change of time for each bit of Hamming weight within ±margin counts as none (equivalence).
        tile: ids that a tile of the product covers; what is left over in the last is a term of the analysis, if it
            covers more than one.
        waves: tiles that run at once, or 0 where the machine has no such limit.
        seed: of orders and of data.
    """

    sets: Mapping[str, tuple[int, ...]]
    timings: tuple[Timing, ...]
    reference: int
    margin: float
    tile: int = 128
    waves: int = 0
    seed: int = 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """All sizes and the reference, rising, each once."""
        return tuple(sorted({self.reference, *(size for sizes in self.sets.values() for size in sizes)}))


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to a vocabulary, at some sizes.

    Attributes:
        name: what rows and figures call it.
        build: "prune" a source, train from "scratch", or take the "whole" source.
        sizes: ids; the source's own for "whole".
        source: what `vocab.load` takes, or "package:NAME/PATH" for a file that an installed package carries.
        method: of `vocab prune`.
        inference: how text is cut into tokens; "" for the source's.
        style: of `vocab train-tokenizer`, for "scratch".
    """

    name: str
    build: Build
    sizes: tuple[int, ...] = ()
    source: str = "cl100k_base"
    method: str = "distill"
    inference: str = ""
    style: str = ""


@dataclass(frozen=True, kw_only=True)
class LossSpec:
    """Losses of the same model on the same text through different vocabularies.

    Attributes:
        arms: the vocabularies.
        baseline: name and size of the vocabulary that others are compared with.
        seeds: each arm is trained once with each.
        preset: shape of the model.
        choosing_megabytes: MB of text that vocabularies are chosen or trained by.
        megabytes: MB of text that every run trains on, a part of the former.
        marks: evaluations, at equal steps of bytes.
        held_out_megabytes: MB of held-out text scored at each mark, or all that there is.
        batch: sequences of a step.
        seq_len: tokens of a sequence.
        learning_rate: constant after a warm-up, so that every point of a curve is the end of a run of that length.
        micro_batch: sequences held at a time, 0 for the whole batch.
        mode: "eager", or "compiled" for blocks that torch.compile has been through.
        cycles: of the timing of a step at each size, from which seconds are taken.
    """

    arms: tuple[Arm, ...]
    baseline: tuple[str, int]
    seeds: tuple[int, ...]
    preset: str
    choosing_megabytes: float
    megabytes: float
    marks: int
    held_out_megabytes: float
    batch: int
    seq_len: int
    learning_rate: float
    micro_batch: int = 0
    mode: Literal["eager", "compiled"] = "eager"
    cycles: int = 10

    @property
    def step_timing(self) -> Timing:
        """The timing of a step at every size, with the head that runs have; it gives the seconds of runs."""
        return Timing(
            part="step",
            mode=self.mode,
            preset=self.preset,
            n_tokens=self.batch * self.seq_len,
            cycles=self.cycles,
            head=RUN_HEAD,
        )


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A study: one kind of comparison, and the question that it answers."""

    name: str
    question: str
    sha256: str
    speed: SpeedSpec | None = None
    loss: LossSpec | None = None
    notes: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)


def load_spec(name_or_path: str | Path) -> Spec:
    """A study by the name of one that comes along ("hamming-cpu") or from a TOML file.

    Raises StudyError for a file that is missing or no TOML, an unknown or missing key, and values that cannot be.
    """
    path = Path(name_or_path)
    packed = resources.files("vocab.experiments") / "specs" / f"{name_or_path}.toml"
    try:
        raw = path.read_bytes() if path.is_file() else packed.read_bytes()
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file, nor a study that comes along ({', '.join(names())})") from None
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        content = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StudyError(f"{path} is not TOML: {error}") from None
    return parse_spec(content, str(path))


def names() -> list[str]:
    """Studies that come along."""
    folder = resources.files("vocab.experiments") / "specs"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def parse_spec(content: Mapping[str, Any], where: str) -> Spec:
    """A study from a TOML document; errors say `where`."""
    allowed = {"name", "question", "notes", "speed", "loss"}
    if unknown := sorted(set(content) - allowed):
        raise StudyError(f"{where} has the unknown key {unknown[0]!r}; there are {', '.join(sorted(allowed))}")
    if ("speed" in content) == ("loss" in content):
        raise StudyError(f"{where} must have a table [speed] or a table [loss], and not both")
    for key in ("name", "question"):
        if not isinstance(content.get(key), str) or not content[key]:
            raise StudyError(f"{where} lacks the text {key!r}")
    parts: dict[str, Any] = {}
    if "speed" in content:
        parts["speed"] = _checked_speed(_record(SpeedSpec, content["speed"], f"{where} [speed]"), where)
    else:
        parts["loss"] = _checked_loss(_record(LossSpec, content["loss"], f"{where} [loss]"), where)
    settings = json.loads(json.dumps({key: asdict(part) for key, part in parts.items()}))
    return Spec(
        name=content["name"],
        question=content["question"],
        notes=content.get("notes", ""),
        sha256=hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
        settings=settings,
        **parts,
    )


_NESTED = {"timings": Timing, "arms": Arm}


def _record(kind: type[Any], content: Any, where: str) -> Any:
    """A record of `kind` from a TOML table; every key must be a field and of its type."""
    if not isinstance(content, dict):
        raise StudyError(f"{where} must be a table")
    known = {entry.name: entry for entry in fields(kind)}
    if unknown := sorted(set(content) - set(known)):
        raise StudyError(f"{where} has the unknown key {unknown[0]!r}; there are {', '.join(known)}")
    needed = [name for name, f in known.items() if f.default is MISSING and f.default_factory is MISSING]
    if missing := [name for name in needed if name not in content]:
        raise StudyError(f"{where} lacks {missing[0]!r}")
    hints = get_type_hints(kind)
    return kind(**{name: _value(hints[name], name, value, where) for name, value in content.items()})


def _value(hint: Any, name: str, value: Any, where: str) -> Any:
    if name in _NESTED:
        if not isinstance(value, list) or not value:
            raise StudyError(f"{where}: {name} must be tables [[…{name}]]")
        return tuple(_record(_NESTED[name], entry, f"{where} {name} {k}") for k, entry in enumerate(value, 1))
    if name == "sets":
        if not isinstance(value, dict) or not value:
            raise StudyError(f"{where}: sets must be a table of lists of sizes")
        return {key: _sizes(sizes, f"{where} sets.{key}") for key, sizes in value.items()}
    if name in ("sizes", "seeds"):
        return _sizes(value, f"{where} {name}", least=0 if name == "seeds" else 1)
    if name == "baseline":
        if not isinstance(value, list) or [type(part) for part in value] != [str, int]:
            raise StudyError(f"{where}: baseline must be the name of an arm and a size")
        return tuple(value)
    return _scalar(hint, name, value, where)


def _scalar(hint: Any, name: str, value: Any, where: str) -> Any:
    if NoneType in get_args(hint):
        hint = get_args(hint)[0]
    choices = get_args(hint)
    if choices and all(isinstance(choice, str) for choice in choices):
        if value not in choices:
            raise StudyError(f"{where}: {name} is {' or '.join(choices)}, not {value!r}")
        return value
    wanted = float if hint is float else str if hint is str else int
    if isinstance(value, bool) or not isinstance(value, (int, float) if wanted is float else wanted):
        raise StudyError(f"{where}: {name} must be {'text' if wanted is str else 'a number'}, not {value!r}")
    return float(value) if wanted is float else value


def _sizes(value: Any, where: str, least: int = 1) -> tuple[int, ...]:
    if not isinstance(value, list) or not value or any(type(n) is not int or n < least for n in value):
        raise StudyError(f"{where} must be a list of whole numbers from {least}")
    if len(set(value)) < len(value):
        raise StudyError(f"{where} holds a number twice")
    return tuple(value)


def _checked_speed(spec: SpeedSpec, where: str) -> SpeedSpec:
    if not 0 < spec.margin < 1:
        raise StudyError(f"{where}: margin is a share of time above 0 and below 1, not {spec.margin:g}")
    if spec.tile < 1 or spec.waves < 0 or spec.reference < 1:
        raise StudyError(f"{where}: tile and reference are at least 1, waves at least 0")
    for timing in spec.timings:
        if timing.cycles < 2 or timing.n_tokens < 1 or timing.rounds < 1:
            raise StudyError(f"{where}: timing {timing.name} needs at least 2 cycles, 1 round and 1 token")
        if timing.width is not None and timing.width < 1:
            raise StudyError(f"{where}: timing {timing.name} needs a width of at least 1")
        if unknown := sorted(set(timing.sizes) - set(spec.sizes)):
            raise StudyError(f"{where}: timing {timing.name} has size {unknown[0]}, which is in no set")
    _check_once([timing.name for timing in spec.timings], f"{where}: timing")
    return spec


def _checked_loss(spec: LossSpec, where: str) -> LossSpec:
    _check_once([arm.name for arm in spec.arms], f"{where}: arm")
    for arm in spec.arms:
        if (arm.build == "whole") == bool(arm.sizes):
            raise StudyError(f"{where}: arm {arm.name} needs sizes, unless it takes the whole source")
        if (arm.build == "scratch") != bool(arm.style):
            raise StudyError(f"{where}: arm {arm.name} needs a style where it is built from scratch, and only there")
    name, size = spec.baseline
    if not any(arm.name == name and (size in arm.sizes or not arm.sizes) for arm in spec.arms):
        raise StudyError(f"{where}: the baseline {name} at {size} is none of the arms")
    for key in ("choosing_megabytes", "megabytes", "held_out_megabytes", "learning_rate"):
        if not getattr(spec, key) > 0:
            raise StudyError(f"{where}: {key} must be above 0")
    if spec.megabytes > spec.choosing_megabytes:
        raise StudyError(f"{where}: megabytes is a part of choosing_megabytes, so it cannot be more")
    for key in ("marks", "batch", "seq_len"):
        if getattr(spec, key) < 1:
            raise StudyError(f"{where}: {key} must be at least 1")
    if spec.cycles < 2:
        raise StudyError(f"{where}: cycles must be at least 2")
    return spec


def _check_once(found: list[str], what: str) -> None:
    twice = [name for name in found if found.count(name) > 1]
    if twice:
        raise StudyError(f"{what} {twice[0]} stands there twice")
