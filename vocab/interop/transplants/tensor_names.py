"""What the name of a tensor says: an embedding or head of the text, a part of a tower, or a part of a layer.

Source of the names: modelling files of transformers 5, and of Medusa, EAGLE, InternLM 2 and ChatGLM.
"""

from __future__ import annotations

import re

# Modules with a row for each id, whatever their shape says.
_KNOWN = (
    "embed_tokens",  # Llama, Mistral, Qwen, Gemma, and layers of DeepSeek that predict further tokens
    "embed_tokens_per_layer",  # Gemma 3n
    "wte",  # GPT-2
    "embed_in",  # GPT-NeoX
    "word_embeddings",  # Falcon, BLOOM, BERT
    "tok_embeddings",  # ModernBERT, InternLM 2
    "lm_head",
    "lm_head.decoder",  # RoBERTa
    "lm_head.out_proj",  # T5Gemma
    "embed_out",  # GPT-NeoX
    "shared_head.head",  # DeepSeek
    "predictions.decoder",  # BERT
)
_KNOWN_OUTSIDE_TOWERS = ("shared", "embeddings")  # T5; Mamba
_BIASES = ("predictions.bias", "final_logits_bias")
_TABLES = ("tid2eid",)  # DeepSeek V4: experts by id


def _ends_with(modules: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?:^|\.)(?:{'|'.join(map(re.escape, modules))})$")


_KNOWN_MODULE = _ends_with(_KNOWN)
_KNOWN_OUTSIDE = _ends_with(_KNOWN_OUTSIDE_TOWERS)
# Modules that are an embedding or head where their first dimension is that of the ids.
_PLAIN_MODULE = re.compile(
    r"(?:^|[._])heads?(?:\.\d+){0,2}$"  # lm_heads.0, medusa_head.0.1, head
    r"|(?:^|\.)(?:proj_out|output_layer|output_projection|lm_loss|vocab_projector|pred_layer\.proj|tokens_embed)$"
    r"|(?:^|\.)(?:embed|embeddings?|emb|(?:tok|token|word|input)_?emb(?:ed(?:ding)?)?s?|input_embeds_layer)$"
    r"|(?:^|[._])embed_tokens[^.]*$"
    r"|(?:^|\.)(?:head|embedding)[._]decoder$"  # Perceiver
    r"|^(?:output|decoder|transformer\.ff_out|model\.transformer\.ff_out)$|(?:^|\.)language_model\.output$"
)
# Modules that give logits, among those with a row for each id.
_HEAD_MODULE = re.compile(
    r"(?:^|[._])(?:lm_head(?:\.(?:decoder|out_proj))?|head|embed_out|proj_out|output_layer|output_projection|lm_loss"
    r"|vocab_projector|predictions\.decoder)$|^(?:output|decoder|transformer\.ff_out|model\.transformer\.ff_out)$"
)
_TOWER = re.compile(
    r"(?:^|\.)(?![^.]*(?:language|text))(?:[^.]*tower[^.]*|(?:embed_|gen_)?(?:vision|visual|vit|image|img|video|audio|speech|acoustic|sound|protein|qformer"
    r"|vqmodel|vqvae|talker|token2wav|code2wav|vocoder|t2u|codec|code_predictor|depth_decoder)(?:_[^.]*|\d*))(?=\.|$)"
)
_NEVER = re.compile(
    r"(?:^|[._])(?:pos|positions?|positional|wpe|rotary|inv_freq|relative|token_type|type_embeddings?|segment|patch"
    r"|[^.]*norm|ln_[^.]*|multi_modal|mm_projector|connector|merger|resampler|perceiver|aligner"
    r"|[^.]*projector|[^.]*projection|project_in|project_out)(?=[._\d]|$)"
)
_LAYER_PART = re.compile(
    r"att(?:n|ention)|(?:^|\.)att\.|mlp|ffn|(?:^|\.)ff|feed_forward|dense|proj|expert|gate|router|moe|mixer|conv|ssm|lora"
    r"|linear|query|key|value|qkv|intermediate|temporal|(?:^|[._])(?:[qkvo]|w[io123]|fc\d?|c_fc|lin\d?|wi_\d)(?=\.)",
    re.IGNORECASE,
)
_EXTRA_HEAD = re.compile(r"(?:^|\.)(?:[^.]*_)?(?:heads?|medusa[^.]*|hydra[^.]*|eagle[^.]*|draft[^.]*)\.")
_NUMBERED = re.compile(r"(?:^|\.)\d+\.")
_OF_HASHES = re.compile(r"(?:^|[._])hash[^.]*_emb|(?:^|[._])emb[^.]*_hash|(?:^|[._])n_?gram[^.]*\.(?:[^.]+\.)*\d+\.")
_OF_IDS = re.compile(r"(?:^|[._])(?:d2t|t2d|(?:hot_|draft_)?token_(?:map|ids?)|id_map|vocab_map|draft_id[^.]*)$")


def module_of(name: str) -> tuple[str, str]:
    """The module that a tensor belongs to, and what it is there, such as `qzeros` or `weight.absmax`.

    The longest beginning that names an embedding or head is the module; without one, all but the last part.
    """
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:end])
        if _is_known_module(module) or _PLAIN_MODULE.search(module):
            return module, ".".join(parts[end:])
    return ".".join(parts[:-1]), parts[-1]


def _is_known_module(module: str) -> bool:
    return bool(_KNOWN_MODULE.search(module) or (_KNOWN_OUTSIDE.search(module) and not is_in_tower(module)))


def is_known(name: str) -> bool:
    """Whether a tensor is an embedding or an output head by its name."""
    module, _, part = name.rpartition(".")
    return is_whole_name(name) or (part in ("weight", "bias") and _is_known_module(module))


def is_whole_name(name: str) -> bool:
    """Whether a tensor is the bias of an output head, or another table by id, known by its whole name."""
    return any(name == end or name.endswith("." + end) for end in (*_BIASES, *_TABLES))


def is_of_known_module(name: str) -> bool:
    """Whether a tensor is a part of an embedding or an output head by the module's name, packed or not."""
    return _is_known_module(module_of(name)[0])


def has_rows_alone(module: str) -> bool:
    """Whether a module is an embedding or head with nothing else in it."""
    return bool(_KNOWN_MODULE.search(module))


def is_plain(name: str) -> bool:
    """Whether the name is that of an embedding or head, in case that its shape says so too."""
    module, _, part = name.rpartition(".")
    return part in ("weight", "bias") and bool(_PLAIN_MODULE.search(module))


def is_head(module: str) -> bool:
    """Whether a module with a row for each id gives logits; the others are embeddings."""
    return bool(_HEAD_MODULE.search(module))


def is_in_tower(name: str) -> bool:
    """Whether a tensor or a section of settings belongs to images, sound or speech, which have no ids of the text."""
    return bool(_TOWER.search(name))


def is_other(name: str, *, by_chance: bool, of_whole_numbers: bool) -> bool:
    """Whether the name is that of something without ids: positions, norms, projections.

    With `by_chance`, where the model has another size that equals the vocabulary's, parts of a layer too, as always in
    numbered layers; not so tables of whole numbers, which no size of a layer explains.
    """
    if _NEVER.search(name):
        return True
    is_layer = (by_chance or _NUMBERED.search(name)) and not _EXTRA_HEAD.search(name)
    return bool(is_layer and not of_whole_numbers and _LAYER_PART.search(name))


def is_of_hashes(name: str) -> bool:
    """Whether a tensor embeds what is computed from ids."""
    return bool(_OF_HASHES.search(name))


def holds_ids(name: str) -> bool:
    """Whether the numbers in a tensor are ids, or say which ids there are."""
    return bool(_OF_IDS.search(name))
