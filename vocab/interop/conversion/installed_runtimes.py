"""Programs that load a folder: those that are installed and find a file of theirs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from vocab.formats.companions import CONFIG, MODEL_CONFIG, read_object
from vocab.formats.frame import around
from vocab.formats.rwkv_file import read_rwkv
from vocab.formats.sentencepiece_model import FILE_NAME as SENTENCEPIECE
from vocab.formats.tekken import FILE_NAME as TEKKEN
from vocab.formats.tiktoken_file import ENDING, read_tiktoken
from vocab.formats.tokenizer_class import class_of
from vocab.formats.vocab_and_merges import MERGES
from vocab.formats.wordpiece_list import FILE_NAME as PIECES
from vocab.interop.conversion.default_calls import DefaultCalls
from vocab.interop.conversion.llama_cpp_peer import ENDING as GGUF
from vocab.interop.conversion.llama_cpp_peer import llama_cpp
from vocab.interop.conversion.peer_runtime import PeerRuntime
from vocab.interop.conversion.runtime_check import auto_tokenizer, has_package
from vocab.reading import parse_json


def installed_runtimes(directory: Path) -> Iterator[tuple[str, str, Callable[[], PeerRuntime]]]:
    """Installed runtimes that find a file of theirs: name, package, and the function that loads it."""
    ranks = sorted(directory.glob("*" + ENDING))
    ggufs = [directory] if directory.is_file() else sorted(directory.glob("*" + GGUF))
    rwkvs = sorted(directory.glob("rwkv_vocab*.txt"))
    model, tekken = directory / SENTENCEPIECE, directory / TEKKEN
    has_json = (directory / "tokenizer.json").is_file()
    has_lists = (directory / PIECES).is_file() or (directory / MERGES).is_file()
    by_class = has_lists and class_of(read_object(directory / CONFIG), read_object(directory / MODEL_CONFIG)) != ""
    is_pieces = model.is_file() and model.read_bytes()[:1] == b"\n"
    known = [
        ("tiktoken", "tiktoken", len(ranks) == 1, lambda: _tiktoken(ranks[0])),
        ("tokenizers", "tokenizers", has_json, lambda: _tokenizers(directory)),
        ("AutoTokenizer", "transformers", has_json or by_class, lambda: _transformers(directory)),
        ("sentencepiece", "sentencepiece", is_pieces, lambda: _sentencepiece(model)),
        ("mistral-common", "mistral-common", tekken.is_file(), lambda: _mistral(tekken)),
        ("rwkv", "rwkv", len(rwkvs) == 1, lambda: _rwkv(rwkvs[0])),
        ("llama.cpp", "xllamacpp", len(ggufs) == 1, lambda: llama_cpp(ggufs[0])),
    ]
    for name, package, has_file, load_runtime in known:
        if has_file and has_package(package):
            yield name, package, load_runtime


def _tiktoken(path: Path) -> PeerRuntime:
    """From the file of ranks and the JSON beside it, as the model card says."""
    import tiktoken

    read = read_tiktoken(path)
    settings = parse_json(path.with_suffix(".json").read_bytes())
    encoding = tiktoken.Encoding(**settings, mergeable_ranks=read.token_ids)
    special_id = encoding._special_tokens.get
    return PeerRuntime(encoding.encode_ordinary_batch, encoding.decode, special_id, encoding.encode, read.n_ids)


def _tokenizers(directory: Path) -> PeerRuntime:
    from tokenizers import Tokenizer

    peer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    peer.no_truncation()
    peer.no_padding()
    calls = DefaultCalls(
        lambda texts: [list(encoding.ids) for encoding in peer.encode_batch_fast(texts)],
        lambda ids: str(peer.decode(ids)),
        *_around(peer),
    )
    return PeerRuntime(
        lambda texts: [list(encoding.ids) for encoding in peer.encode_batch_fast(texts, add_special_tokens=False)],
        lambda ids: str(peer.decode(ids, skip_special_tokens=False)),
        peer.token_to_id,
        _as_it_is(directory),
        peer.get_vocab_size(),
        calls,
    )


def _as_it_is(directory: Path) -> Callable[[str], list[int]]:
    """The encoding of tokenizer.json with its truncation and padding."""
    from tokenizers import Tokenizer

    load = cache(lambda: Tokenizer.from_file(str(directory / "tokenizer.json")))
    return lambda text: list(load().encode(text).ids)


def _around(peer: Any) -> tuple[list[int], list[int]]:
    """Ids that a `tokenizers.Tokenizer` puts before and after a text by default."""
    settings = json.loads(peer.post_processor.__getstate__()) if peer.post_processor else None
    return around(settings)


def _transformers(directory: Path) -> PeerRuntime:
    peer = auto_tokenizer(directory)
    calls = DefaultCalls(
        lambda texts: [list(ids) for ids in peer(texts)["input_ids"]],
        lambda ids: str(peer.decode(ids, skip_special_tokens=True)),
        *_around(peer.backend_tokenizer),
        cleans_up=bool(peer.clean_up_tokenization_spaces),
    )
    return PeerRuntime(
        lambda texts: [list(ids) for ids in peer(texts, add_special_tokens=False)["input_ids"]],
        lambda ids: str(peer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)),
        peer.get_vocab().get,
        lambda text: list(peer(text)["input_ids"]),
        len(peer),
        calls,
    )


def _sentencepiece(path: Path) -> PeerRuntime:
    import sentencepiece

    peer = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return PeerRuntime(peer.encode, peer.decode, peer.piece_to_id, peer.encode, peer.vocab_size())


def _mistral(path: Path) -> PeerRuntime:
    module: Any = import_module("mistral_common.tokens.tokenizers.tekken")
    peer: Any = module.Tekkenizer.from_file(path)
    names = {peer.id_to_piece(k): k for k in range(peer.num_special_tokens)}

    def encode(texts: list[str]) -> list[list[int]]:
        return [list(peer.encode(text, bos=False, eos=False)) for text in texts]

    def decode(ids: list[int]) -> str:
        return str(peer.decode(ids, special_token_policy=module.SpecialTokenPolicy.IGNORE))

    return PeerRuntime(encode, decode, names.get, lambda text: encode([text])[0], peer.n_words)


def _rwkv(path: Path) -> PeerRuntime:
    """The package runs each line of the file as Python, so it is read here first: no line may be more than a literal.

    Its ids begin at 1, and 0 ends a text.
    """
    read_rwkv(path)
    peer: Any = import_module("rwkv.rwkv_tokenizer").TRIE_TOKENIZER(str(path))
    return PeerRuntime(
        lambda texts: [list(peer.encode(text)) for text in texts],
        lambda ids: str(peer.decodeBytes(ids).decode(errors="replace")),
        lambda text: None if 0 in peer.idx2token else 0,
        lambda text: list(peer.encode(text)),
        len(peer.idx2token) + (0 not in peer.idx2token),
    )
