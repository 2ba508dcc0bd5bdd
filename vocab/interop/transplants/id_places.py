"""Ids that a network takes by their place and not by a setting: they follow only where their order stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vocab.errors import SourceError
from vocab.formats.id_map import IdMap

_N_TIMESTAMPS = 1501  # of Whisper: 0.00 to 30.00 s, after the token for none
_OFFSET = "vocab_offset"  # Gemma 3n: the first id that a tower embeds


# Architectures whose positions begin after pad_token_id (1 unless it is set). Source: transformers 5.
_COUNT_FROM_PADDING = {
    *("camembert", "data2vec-text", "esm", "fsmt", "ibert", "kosmos-2", "layoutlmv3", "lilt", "longformer", "luke"),
    *("m2m_100", "markuplm", "mpnet", "nllb-moe", "roberta", "roberta-prelayernorm", "seamless_m4t", "seamless_m4t_v2"),
    *("speech_to_text", "xglm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
}


def check_places(config: Mapping[str, Any], generation: Mapping[str, Any], ids: IdMap, size: int) -> None:
    """Raise SourceError where ids bound by their place do not stay in it.

    Args:
        config: the content of config.json, before.
        generation: the content of generation_config.json, before.
        ids: the id map.
        size: the vocab_size, before.
    """
    for path, offset in _offsets(config, ""):
        raise SourceError(
            f"config.json: {path}.{_OFFSET} gives the ids from {offset:,} to a tower, whatever the tokenizer "
            "says: save the text's model alone and transplant that"
        )
    _check_positions(config, ids)
    none = generation.get("no_timestamps_token_id")
    if type(none) is int:
        _check_timestamps(none, ids, size)


def _offsets(section: Mapping[str, Any], path: str) -> Iterator[tuple[str, int]]:
    for key, value in section.items():
        if isinstance(value, dict):
            yield from _offsets(value, f"{path}.{key}" if path else key)
        elif key == _OFFSET and type(value) is int and value > 0:
            yield path, value


def _check_positions(config: Mapping[str, Any], ids: IdMap) -> None:
    padding, kind = config.get("pad_token_id", 1), config.get("model_type")
    if str(kind) in _COUNT_FROM_PADDING and type(padding) is int and ids.kept.get(padding) != padding:
        raise SourceError(
            f"config.json: pad_token_id is {padding} and would become {ids.kept.get(padding)}, from which a {kind} "
            "model counts positions: it can follow only a vocabulary in which that id stays"
        )


def _check_timestamps(none: int, ids: IdMap, size: int) -> None:
    """Whisper's times are the ids after the token for none, 0.02 s each."""
    if ids.n_old <= none + 1 and size - none > _N_TIMESTAMPS:
        raise SourceError(
            f"{ids.source} has no ids for times, which the model has from {none + 1:,} on: add Whisper's times "
            "(<|0.00|> …) to the tokenizer and prune again"
        )
    first = ids.kept.get(none, -1) + 1
    for step, old in enumerate(range(none + 1, min(ids.n_old, none + 1 + _N_TIMESTAMPS))):
        if ids.kept.get(old) != first + step:
            raise SourceError(
                f"the id {old:,} stands for {step * 0.02:.2f} s by its place after no_timestamps_token_id, which the "
                "new vocabulary changes: keep all times in their order, after that token"
            )
