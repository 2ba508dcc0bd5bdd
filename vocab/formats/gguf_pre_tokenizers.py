r"""Pre-tokenizers of llama.cpp by their names in GGUF (`tokenizer.ggml.pre`): how each splits text, as it runs there.

Source: ggml-org/llama.cpp `src/llama-vocab.cpp` (names, splits, look-up of whole words, begin of text) and
`src/unicode.cpp` (splits that are written out there). For some models its splits are only near those of the model's own
tokenizer: it has no `\p{Lu}` and no `\p{Ll}`, so that capital letters are told by ASCII alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vocab.splitting import CL100K_REGEX, LLAMA3_REGEX, O200K_REGEX, TEKKEN_REGEX, SplitPattern
from vocab.splitting.known_patterns import GPT2_OLD_REGEX, QWEN2_REGEX
from vocab.splitting.regex_ends import Behavior
from vocab.splitting.split_step import SplitStep
from vocab.splitting.steps import SplitSteps

_BEHAVIORS: dict[Behavior, str] = {"isolated": "Isolated", "merged_with_previous": "MergedWithPrevious"}


@dataclass(frozen=True)
class PreTokenizer:
    """How llama.cpp splits text under one name.

    Attributes:
        steps: the splits, in order, in the words of tokenizer.json.
        looks_up_words: whether a piece that is a token needs no merges.
        adds_bos: whether texts begin with the begin of text where a file does not say so.
    """

    steps: tuple[SplitStep, ...]
    looks_up_words: bool = False
    adds_bos: bool = False

    def to_json(self) -> dict[str, Any]:
        """The same as a pre-tokenizer of tokenizer.json."""
        splits = [
            {
                "type": "Split",
                "pattern": {"Regex": step.regex},
                "behavior": _BEHAVIORS[step.behavior],
                "invert": False,
            }
            for step in self.steps
        ]
        as_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
        return {"type": "Sequence", "pretokenizers": [*splits, as_bytes]}


def _of(*regexes: str, looks_up_words: bool = False, adds_bos: bool = False) -> PreTokenizer:
    return PreTokenizer(tuple(map(SplitStep, regexes)), looks_up_words, adds_bos)


_CONTRACTION = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_PUNCTUATED = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
_DEEPSEEK_WORDS = rf"{_PUNCTUATED}|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+| ?[\p{{P}}\p{{S}}]+"
_SLASHED = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"
_MARKED = rf"[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+{_CONTRACTION}?"
_DOUBLED_SPACES = "|".join(rf"\s{{{n}}}(?!\S)" for n in (512, 256, 128, 64, 32, 16, 8, 4))


def _cased(letter: str, contraction: str) -> str:
    """Words of capital letters before small ones, as told without the case of letters beyond ASCII."""
    capital, small = rf"(?:(?={letter})[^a-z])", rf"(?:(?={letter})[^A-Z])"
    first = r"[^\r\n\p{L}\p{N}]?"
    return f"{first}{capital}*{small}+{contraction}|{first}{capital}+{small}*{contraction}"


_FALCON_SIGNS = r"[\p{P}\$\+<=>\^~\|`]+"
_FALCON_DIGITS = "[0-9][0-9][0-9]"
_KANA = "[一-龥぀-ゟ゠-ヿ]+"
_HAN = "[一-龥ࠀ-一가-퟿]+"
_DIGITS_FROM_RIGHT = SplitStep(r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))", "merged_with_previous")
_AFMOE_SCRIPTS = "[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+"
# Letters of alphabets with two cases, as DeepSeek LLM lists them.
_DEEPSEEK_LETTERS = (
    "\\s?["
    "A-Za-z\xb5\xc0-\xd6\xd8-\xf6\xf8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377"
    "\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f"
    "\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77"
    "\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d"
    "\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb"
    "\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128"
    "\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4"
    "\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf"
    "\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3"
    "\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943"
    "]+"
)
_BLOOM = r" ?[^(\s|.,!?…。，、।۔،)]+"
_KIMI = "|".join(
    [
        r"\p{Han}+",
        rf"[^\r\n\p{{L}}\p{{N}}]?(?:(?!\p{{Han}})\p{{L}})+{_CONTRACTION}?",
        r"\p{N}{1,3}",
        _SIGNS,
        _SPACES,
    ]
)

_GPT2 = _of(GPT2_OLD_REGEX)
_DIGITS_GPT2 = _of(r"\p{N}", GPT2_OLD_REGEX)
_LLAMA3 = _of(LLAMA3_REGEX, looks_up_words=True, adds_bos=True)
_LLAMA3_MERGED = _of(LLAMA3_REGEX)
_QWEN2 = _of(QWEN2_REGEX)
_GPT4O = _of(
    "|".join([_cased(r"\p{L}", _CONTRACTION + "?"), r"\p{N}{1,3}", _SLASHED, _SPACES]),
)
_TEKKEN = _of(
    "|".join([_cased(r"\p{L}", ""), r"\p{N}", _SLASHED, _SPACES]),
    looks_up_words=True,
    adds_bos=True,
)
_DEEPSEEK3 = _of(r"\p{N}{1,3}", _KANA, rf"{_DEEPSEEK_WORDS}[\r\n]*|{_SPACES}")
_BAILING = _of(
    rf"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|{_WORD}|\p{{N}}|{_SIGNS}|\s*[\r\n]|\s+(?!\S)|\s+",
)

DEFAULT = _of(r"[\p{P}\$\+<=>\^~\|]+", GPT2_OLD_REGEX, r"\p{N}+", _FALCON_DIGITS)

# Of several names of one split the first is the one that is written.
_NAMES: tuple[tuple[PreTokenizer, str], ...] = (
    (_LLAMA3, "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano"),
    (_LLAMA3_MERGED, "dbrx smaug-bpe glm4 chatglm-bpe"),
    (_of(LLAMA3_REGEX, looks_up_words=True), "glm5"),
    (_of(r"\p{N}{1,3}", rf"{_CONTRACTION}|{_WORD}|\p{{N}}+|{_SIGNS}|{_SPACES}", looks_up_words=True), "minicpm5"),
    (
        _of(r"[\r\n]", _DEEPSEEK_LETTERS, r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", _HAN, r"\p{N}+"),
        "deepseek-llm",
    ),
    (_of(r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _HAN, r"\p{N}"), "deepseek-coder"),
    (_DEEPSEEK3, "deepseek-v3 hunyuan-dense joyai-llm hy_v4"),
    (
        _of(r"\p{N}{1,3}", _KANA, rf"{_DEEPSEEK_WORDS}|[\r\n]|\s+(?!\S)|\s+", r"\p{N}"),
        "spark2_5",
    ),
    (_of(_FALCON_SIGNS, GPT2_OLD_REGEX, _FALCON_DIGITS), "falcon"),
    (_DIGITS_GPT2, "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2"),
    (
        _GPT2,
        "gpt-2 phi-2 mpt olmo jais trillion granite-docling exaone4 jina-es jina-de jina-v2-es jina-v2-de jina-v1-en "
        "jina-v2-code roberta-bpe gigachat a.x-4.0 mellum modern-bert",
    ),
    (_QWEN2, "qwen2 deepseek-r1-qwen kormo f2llmv2 stablelm2 megrez hunyuan solar-open grok-2"),
    (
        _of(
            rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
            rf"| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACES}"
        ),
        "qwen35",
    ),
    (_of(_BLOOM), "bloom poro-chat gpt3-finnish"),
    (_of(_BLOOM, r"\p{N}"), "viking"),
    (_TEKKEN, "tekken"),
    (_GPT4O, "gpt-4o llama4 kanana2 talkie minimax-m2"),
    (
        _of(
            r"<sentinel:[0-9]+>",
            "IMGIMG[A-I]{1,4}Z",
            r"[\t\n]|    |  ",
            r"\p{N}",
            r"[\p{P}!-/:-@\[-`{-~]",
            GPT2_OLD_REGEX,
            adds_bos=True,
        ),
        "chameleon",
    ),
    (
        PreTokenizer((_DIGITS_FROM_RIGHT, SplitStep(rf"{_MARKED}|\p{{N}}{{1,3}}|{_SLASHED}|{_SPACES}"))),
        "tiny_aya cohere2moe",
    ),
    (
        _of(
            rf"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|{_KANA}",
            rf"{_MARKED}|\p{{N}}|{_SLASHED}|{_SPACES}",
            looks_up_words=True,
        ),
        "youtu",
    ),
    (
        _of(
            "|".join([_cased(r"[\p{L}\p{M}]", _CONTRACTION + "?"), r"\p{N}{1,3}", _SLASHED, _SPACES]),
            looks_up_words=True,
        ),
        "granite-embed-multi-97m",
    ),
    (
        _of(rf"{_CONTRACTION}|{_WORD}|\p{{N}}{{1,3}}|{_SIGNS}|\s*[\r\n]+|{_DOUBLED_SPACES}|\s{{1,2}}(?!\S)|\s"),
        "jais-2",
    ),
    (_of(_KIMI), "kimi-k2"),
    (_BAILING, "bailingmoe bailingmoe2 llada-moe"),
    (
        _of(rf"{_CONTRACTION}|{_WORD}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_SPACES}"),
        "seed-coder",
    ),
    (_of(rf"{_WORD}|\p{{N}}|{_SIGNS}|{_SPACES}"), "ufakzeka"),
    (
        PreTokenizer(
            (_DIGITS_FROM_RIGHT, SplitStep(_AFMOE_SCRIPTS), SplitStep(rf"{_DEEPSEEK_WORDS}[\r\n]*|{_SPACES}")),
        ),
        "afmoe",
    ),
    (_of(r"[^\n]+|[\n]+", QWEN2_REGEX), "laguna"),
    (
        _of(
            rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?(?:\p{{L}}\p{{M}}*(?: \p{{L}}\p{{M}}*)*)+|\p{{N}}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"
        ),
        "exaone-moe",
    ),
    (DEFAULT, "default"),
)
PRE_TOKENIZERS: Mapping[str, PreTokenizer] = {name: split for split, names in _NAMES for name in names.split()}


def _key(steps: tuple[SplitStep, ...]) -> str:
    """Equal for two spellings of the same splits; some files write line ends as they are."""
    return SplitSteps(tuple(replace(step, regex=_escaped(step.regex)) for step in steps)).portable_text()


def _escaped(regex: str) -> str:
    return regex.replace("\r", r"\r").replace("\n", r"\n").replace("\t", r"\t")


_BY_SPLIT = {_key(split.steps): names.split()[0] for split, names in reversed(_NAMES)}
# cl100k_base cuts as Llama 3 does; its own name (dbrx) has no look-up of whole words.
_BY_SPLIT[_key((SplitStep(CL100K_REGEX),))] = "llama-bpe"
_NEAR = {_key((SplitStep(regex),)): name for regex, name in ((O200K_REGEX, "gpt-4o"), (TEKKEN_REGEX, "tekken"))}


@dataclass(frozen=True)
class Named:
    """A name for a split.

    Attributes:
        name: llama.cpp's name.
        is_near: whether its split is only near, and cuts some words elsewhere.
    """

    name: str
    is_near: bool = False


def name_of(pattern: SplitPattern) -> Named | None:
    """The pre-tokenizer of a split, without regard to normalizer and added tokens; None where there is none."""
    steps = pattern.steps.steps if pattern.steps else (SplitStep(pattern.regex),)
    text = _key(steps)
    if text in _BY_SPLIT:
        return Named(_BY_SPLIT[text])
    return Named(_NEAR[text], is_near=True) if text in _NEAR else None
