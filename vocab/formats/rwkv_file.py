"""RWKV's own file, `rwkv_vocab_v20230424.txt`: a line for each token, with its id, a Python literal and its length.

Source: rwkv 0.8.32, `rwkv_tokenizer.py`: the longest token at each place of a text, from the left, without pre-tokens.
Here text is cut where no token goes over, which changes no token: each token is white space, then digits, then signs,
then letters, any of them none. So a text is cut wherever a character comes before the one to its left in that order. A
few tokens are a sign and the line end after it; such signs are named in the pattern. The id 0, which no line has, is
the end of a text.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vocab.errors import SourceError
from vocab.special_texts import END_OF_TEXT
from vocab.splitting import SplitPattern
from vocab.splitting.regex_ends import compiled
from vocab.utf8 import is_utf8
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import write_text

FORMAT = "rwkv"
FILE_NAME = "rwkv_vocab.txt"
# A literal without prefixes but b, so that Python reads it as a constant and nothing else.
_LINE = re.compile(r"(\d{1,9}) (b?(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")) (\d{1,9})")
_WHITE, _DIGIT, _LETTER = r" \t\r\n", r"\p{N}", r"\p{L}\p{M}"
_WHITE_SPACE = frozenset(" \t\r\n")
_SIGN = rf"[^{_WHITE}{_DIGIT}{_LETTER}]"
_HEAD = rf"(?=[\s\S])[{_WHITE}]*{_DIGIT}*{_SIGN}*"


def read_rwkv(path: Path) -> Vocabulary:
    """A vocabulary from such a file; raises SourceError for a line that is wrong, and for tokens of another order."""
    raw = path.read_bytes()
    tokens = _tokens(raw, path)
    pattern = _pattern([token.decode() for token in tokens.values() if is_utf8(token)])
    if (token := _crossing(tokens.values(), pattern)) is not None:
        raise SourceError(
            f"{path} has the token {token!r}, whose white space, digits, signs and letters are in another order than "
            "in RWKV's own file, so that no place to cut text is known: it is not read"
        )
    ids = sorted(tokens)
    special = {END_OF_TEXT[0]: 0} if ids[0] > 0 else {}
    name = path.parent.resolve().name if path.name == FILE_NAME else path.stem
    provenance = Provenance(name, hashlib.sha256(raw).hexdigest(), FORMAT)
    found = Vocabulary.from_tokens([tokens[k] for k in ids], pattern, special, "longest-prefix", provenance, ids[0])
    return found if found.rank_ids.tolist() == ids else replace(found, ids=np.array(ids, dtype=np.int64))


def _tokens(raw: bytes, path: Path) -> dict[int, bytes]:
    tokens: dict[int, bytes] = {}
    for number, line in enumerate(raw.decode().replace("\r\n", "\n").removesuffix("\n").split("\n"), 1):
        found = _LINE.fullmatch(line)
        token = _token(found[2]) if found else None
        if not found or not token or len(token) != int(found[3]) or int(found[1]) in tokens:
            raise SourceError(f"{path} is damaged: line {number} is no id of its own, token and length in bytes")
        tokens[int(found[1])] = token
    return tokens


def _token(literal: str) -> bytes | None:
    try:
        value = ast.literal_eval(literal)
        return value if isinstance(value, bytes) else str(value).encode()
    except (SyntaxError, ValueError):  # a lone surrogate is no text
        return None


def _pattern(texts: Iterable[str]) -> SplitPattern:
    """The split between tokens; `texts` are those that are whole characters."""
    joined = {a for text in texts for a, b in itertools.pairwise(text) if b in _WHITE_SPACE and a not in _WHITE_SPACE}
    marks = "".join(re.escape(c) for c in sorted(joined))
    on_the_next_line = rf"(?:(?<=[{marks}])[{_WHITE}]+{_DIGIT}*{_SIGN}*)*" if marks else ""
    return SplitPattern(rf"{_HEAD}{on_the_next_line}[{_LETTER}]*")


def _crossing(tokens: Iterable[bytes], pattern: SplitPattern) -> bytes | None:
    """The first token that the pattern cuts somewhere in some text; None without one.

    A part of a character may stand alone or after white space.
    """
    whole = compiled(pattern.regex)
    return next((token for token in tokens if not (_is_part(token) or _matches(token, whole))), None)


def _is_part(token: bytes) -> bool:
    """Whether a token is white space, or none, and a part of one character."""
    rest = token.lstrip(b" \t\r\n")
    return bool(rest) and rest[0] >= 0x80 and len(rest) < 4 and not rest.decode(errors="ignore")


def _matches(token: bytes, whole: Any) -> bool:
    return is_utf8(token) and whole.fullmatch(token.decode()) is not None


def can_hold(vocabulary: Vocabulary) -> bool:
    """Whether such a file says all of a vocabulary: its longest tokens are taken, and only the id 0 is special."""
    is_longest = vocabulary.inference == "longest-prefix" and vocabulary.pattern.regex.startswith(_HEAD)
    is_whole = is_longest and set(vocabulary.special_tokens.values()) <= {0}
    return is_whole and _crossing(vocabulary.tokens(), vocabulary.pattern) is None


def write_rwkv(vocabulary: Vocabulary, path: Path) -> None:
    """Write such a file."""
    tokens = sorted(vocabulary.tokens_by_id.items())
    write_text(path, "".join(f"{id_} {_literal(token)} {len(token)}\n" for id_, token in tokens))


def _literal(token: bytes) -> str:
    return repr(token.decode()) if is_utf8(token) else repr(token)
