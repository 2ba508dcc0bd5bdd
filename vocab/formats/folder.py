"""A folder that runtimes load: tokenizer.json and its companions, and the tiktoken pair where merges are run.

No tokenizer.json can hold ungreedy, so for that there is TokenMonster's YAML alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vocab.choices import CHARACTER_METHODS
from vocab.errors import SourceError
from vocab.formats.by_content import load_file
from vocab.formats.companions import CONFIG, KEY, SPECIAL, settings_of, with_companions, write_template
from vocab.formats.folder_tokens import added_by_folder
from vocab.formats.frame import carried_frame
from vocab.formats.numbered_anew import is_numbered_anew, read_numbered_anew
from vocab.formats.runtime_tokenizer import RuntimeTokenizer
from vocab.formats.rwkv_file import FILE_NAME as RWKV
from vocab.formats.rwkv_file import can_hold as is_of_rwkv
from vocab.formats.rwkv_file import write_rwkv
from vocab.formats.sentencepiece_model import FILE_NAME as SENTENCEPIECE
from vocab.formats.sentencepiece_model import normalizer_of, write_sentencepiece
from vocab.formats.tekken import FILE_NAME as TEKKEN
from vocab.formats.tekken import can_hold, write_tekken
from vocab.formats.tiktoken_file import obstacle as obstacle_to_tiktoken
from vocab.formats.tiktoken_file import write_tiktoken
from vocab.formats.tokenizer_json import write_tokenizer_json
from vocab.formats.tokenmonster_yaml import ENDING, write_tokenmonster_yaml
from vocab.formats.vocab_and_merges import MERGES, VOCAB, read_vocab_and_merges
from vocab.formats.wordpiece_list import FILE_NAME as WORDPIECE_LIST
from vocab.formats.wordpiece_list import read_list, write_list
from vocab.reading import check_links
from vocab.special_texts import BEGIN_OF_TEXT, END_OF_TEXT, PADDING
from vocab.vocabulary import Vocabulary
from vocab.writing import staged_folder, write_json

# Names that end in .json of other files in a folder of ours.
_TAKEN = {"id_map", "report", "shards", "special_tokens_map", "tekken", "tokenizer", "tokenizer_config"}
# Files that a folder is read from, best first.
_READ_FIRST = (
    "tokenizer.json",
    "tokenizer.model",
    TEKKEN,
    "*.tiktoken",
    "*" + ENDING,
    "*.model",
    "*.gguf",
    "rwkv_vocab*.txt",
)


def save_vocabulary(vocabulary: Vocabulary, directory: Path, *, force: bool = False) -> list[Path]:
    """Write all files of a vocabulary to a new folder; raises OutputError when the folder may not be written."""
    with staged_folder(directory, force=force) as staging:
        names = [path.name for path in write_files(vocabulary, staging, safe_name(vocabulary.name))]
    return [directory / name for name in names]


def safe_name(name: str) -> str:
    """A vocabulary's name as a file name; NAME.json must not be the name of another file."""
    safe = "".join(c if c.isalnum() or c in "._-" else "-" for c in Path(name).name) or "vocabulary"
    return f"{safe}-vocabulary" if safe in _TAKEN else safe


def write_files(vocabulary: Vocabulary, directory: Path, name: str) -> list[Path]:
    """Write tokenizer.json, tokenizer_config.json, special_tokens_map.json and, for merges, the tiktoken pair.

    The pair is left out where tiktoken would split text in another way. A tokenizer.model, tekken.json or
    rwkv_vocab.txt is written as well for what came from one. For ungreedy, write NAME.tokenmonster.yaml only; for what
    sentencepiece alone runs, tokenizer.model only.
    """
    if vocabulary.inference == "ungreedy":
        path = directory / (name + ENDING)
        write_tokenmonster_yaml(vocabulary, path)
        return [path]
    if normalizer_of(vocabulary):
        write_sentencepiece(vocabulary, directory / SENTENCEPIECE)
        return [directory / SENTENCEPIECE]
    paths = write_hugging_face(vocabulary, directory)
    if obstacle_to_tiktoken(vocabulary) is None:
        paths += write_tiktoken(vocabulary, directory, name)
    if vocabulary.inference in CHARACTER_METHODS and not carried_frame(vocabulary):
        paths.append(directory / SENTENCEPIECE)
        write_sentencepiece(vocabulary, paths[-1])
    if vocabulary.provenance.format == "tekken" and can_hold(vocabulary):
        paths.append(directory / TEKKEN)
        write_tekken(vocabulary, paths[-1])
    if is_of_rwkv(vocabulary):
        paths.append(directory / RWKV)
        write_rwkv(vocabulary, paths[-1])
    return paths


def write_hugging_face(vocabulary: Vocabulary, directory: Path) -> list[Path]:
    """Write tokenizer.json, tokenizer_config.json and special_tokens_map.json: what AutoTokenizer needs.

    BERT's WordPiece gets its vocab.txt as well. A chat template that came in a file of its own gets one again.
    """
    paths = [directory / "tokenizer.json"]
    write_tokenizer_json(vocabulary, paths[0])
    for file_name, content in (
        (CONFIG, _tokenizer_config(vocabulary)),
        (SPECIAL, _special_tokens_map(vocabulary)),
    ):
        paths.append(directory / file_name)
        write_json(paths[-1], content)
    return paths + write_list(vocabulary, directory) + write_template(vocabulary, directory)


def _special_tokens_map(vocabulary: Vocabulary) -> dict[str, Any]:
    """Roles of special tokens: those that the source names, for the tokens that are left.

    Where the source names none, the end of text also begins texts and pads, unless other special tokens do.
    """
    special = vocabulary.special_tokens
    carried = vocabulary.provenance.extras.get(KEY, {}).get("roles", {})
    end = next((text for text in END_OF_TEXT if text in special), None)
    padding = next((text for text in PADDING if text in special), end)
    begin = next((text for text in BEGIN_OF_TEXT if text in special), end)
    named = {"bos_token": begin, "eos_token": end, "unk_token": vocabulary.unknown, "pad_token": padding}
    roles: dict[str, Any] = {role: text for role, text in carried.items() if text in vocabulary.added_ids}
    roles = roles or {role: text for role, text in named.items() if text}
    others = [text for text in special if text not in roles.values() and text not in vocabulary.user_defined]
    return roles | ({"additional_special_tokens": others} if others else {})


def _tokenizer_config(vocabulary: Vocabulary) -> dict[str, Any]:
    """Settings for AutoTokenizer: the class name that both transformers 4 and 5 know, and no clean-up of spaces."""
    flags = {one["content"]: one for one in (carried_frame(vocabulary) or {"added_tokens": []})["added_tokens"]}
    added = {
        str(id_): flags.get(text)
        or {
            "content": text,
            "lstrip": False,
            "normalized": text in vocabulary.user_defined,
            "rstrip": False,
            "single_word": False,
            "special": text not in vocabulary.user_defined,
        }
        for text, id_ in sorted(vocabulary.added_ids.items(), key=lambda item: item[1])
    }
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1_000_000_000_000_000_000,
        "added_tokens_decoder": added,
        **settings_of(vocabulary),
        **_special_tokens_map(vocabulary),
    }


def read_folder(directory: Path) -> Vocabulary | RuntimeTokenizer:
    """The vocabulary of a folder: of its tokenizer.json, which holds most, or else of the other file there is.

    Added tokens that only its other files name are added, as AutoTokenizer does. Its chat template, roles of special
    tokens and other settings are carried as well. Raises SourceError when there is none that can be read.
    """
    check_links(directory)
    if is_numbered_anew(directory):
        return with_companions(read_numbered_anew(directory), directory)
    for paths in [sorted(directory.glob(pattern)) for pattern in _READ_FIRST]:
        if len(paths) == 1 and paths[0].is_file():
            return with_companions(load_file(paths[0], added_by_folder(directory)), directory)
    if (directory / VOCAB).is_file() and (directory / MERGES).is_file():
        return with_companions(read_vocab_and_merges(directory), directory)
    if (directory / WORDPIECE_LIST).is_file():
        return with_companions(read_list(directory), directory)
    raise SourceError(
        f"{directory} holds neither a tokenizer.json, a tokenizer.model, a tekken.json, a {VOCAB} with {MERGES}, a "
        f"{WORDPIECE_LIST}, nor one .tiktoken, {ENDING}, .gguf or rwkv_vocab*.txt file"
    )
