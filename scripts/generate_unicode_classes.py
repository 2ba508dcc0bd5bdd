"""Write vocab/splitting/unicode_classes.txt: the character classes of the engine that tiktoken splits with.

Each line holds the first code point of a run in hexadecimal and the class of every code point in the run, a sum
of the bits named in vocab/splitting/classes.py. tiktoken is asked rather than a Unicode database, because the
splits of a tokenizer must agree with its own engine's version of Unicode, not with the newest one.

    python scripts/generate_unicode_classes.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tiktoken

from vocab.splitting.classes import CASELESS, DIGIT, LETTER, LOWER, N_CODE_POINTS, NEWLINE, SPACE, UPPER

SURROGATES = range(0xD800, 0xE000)
PROPERTIES = {
    r"\p{L}": LETTER,
    r"\p{N}": DIGIT,
    r"\s": SPACE,
    r"[\r\n]": NEWLINE,
    r"[\p{Lu}\p{Lt}]": UPPER,
    r"\p{Ll}": LOWER,
    r"[\p{Lm}\p{Lo}\p{M}]": CASELESS,
}


def members(pattern: str, text: str) -> np.ndarray:
    """Code points of `text` that `pattern` matches: what does not match produces no token in tiktoken."""
    encoding = tiktoken.Encoding(
        "bytes", pat_str=pattern, mergeable_ranks={bytes([b]): b for b in range(256)}, special_tokens={}
    )
    matched = bytes(encoding.encode_ordinary(text)).decode()
    return np.array([ord(character) for character in matched], dtype=np.int64)


def main() -> None:
    text = "".join(chr(c) for c in range(N_CODE_POINTS) if c not in SURROGATES)
    classes = np.zeros(N_CODE_POINTS, dtype=np.uint8)
    for pattern, bit in PROPERTIES.items():
        classes[members(pattern, text)] |= bit
    starts = np.flatnonzero(np.diff(classes, prepend=255))
    lines = [f"{start:x} {classes[start]}\n" for start in starts]
    target = Path(__file__).parents[1] / "vocab" / "splitting" / "unicode_classes.txt"
    target.write_text("".join(lines), encoding="ascii")


if __name__ == "__main__":
    main()
