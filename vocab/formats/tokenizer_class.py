"""The class of transformers that a folder's files are meant for: it says what no file does, such as how text is split.

Source: transformers 5, `models/auto/tokenization_auto.py` (`AutoTokenizer.from_pretrained` and the classes of models).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Models whose folders name no class.
_MODELS = {
    "GPT2Tokenizer": "blip-2 codegen gpt2 gpt_neo gptj instructblip instructblipvideo opt phi starcoder2",
    "RobertaTokenizer": "bart bridgetower clap data2vec-text ibert lilt longformer mra roberta roberta-prelayernorm",
    "BartTokenizer": "florence2",
    "Qwen2Tokenizer": "qwen2 qwen2_5_omni qwen2_5_vl qwen2_audio qwen2_moe qwen2_vl qwen3 qwen3_moe qwen3_next "
    "qwen3_vl qwen3_vl_moe",
    "BertTokenizer": "align bert blip bros chinese_clip convbert distilbert electra ernie flava git layoutlm "
    "megatron-bert nezha nomic_bert realm retribert squeezebert vilt visual_bert",
}
_CLASSES = {model: name for name, models in _MODELS.items() for model in models.split()}


_IDS, _MASK, _SEGMENTS = "input_ids", "attention_mask", "token_type_ids"
_INPUTS = dict.fromkeys(
    ("BertTokenizer", "ElectraTokenizer", "MobileBertTokenizer", "RetriBertTokenizer"), (_IDS, _SEGMENTS, _MASK)
)
_INPUTS |= dict.fromkeys(
    ("CanineTokenizer", "DebertaTokenizer", "DebertaV2Tokenizer", "TapasTokenizer"), (_IDS, _MASK, _SEGMENTS)
)
_OF_PIECES = ("CodeLlamaTokenizer", "LlamaTokenizer")
# Models whose files name a class that AutoTokenizer knows to be wrong.
_NO_CLASS = (
    *("arctic", "fuyu", "internlm2", "internlm3", "jamba", "llava", "llava_next", "minicpm3", "minicpmv", "minimax_m2"),
    *("nemotron", "openvla", "phi3", "phi3_v", "phimoe", "vipllava"),
)
_PADS_LEFT = ("CodeLlamaTokenizer", "CohereTokenizer", "GemmaTokenizer", "LlamaTokenizer", "XLNetTokenizer")
# Classes that run a tokenizer.json and add nothing of their own.
PLAIN_CLASSES = ("PreTrainedTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend")


def class_of(config: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """The name of the class without "Fast", as `AutoTokenizer` finds it; "" where no file tells.

    Args:
        config: content of tokenizer_config.json.
        model: content of the model's config.json.
    """
    by_model = _CLASSES.get(str(model.get("model_type")))
    return str(config.get("tokenizer_class") or model.get("tokenizer_class") or by_model or "").removesuffix("Fast")


def defaults_of(kind: str, model: Mapping[str, Any], *, is_of_pieces: bool) -> dict[str, Any]:
    """Settings that a class has where no file names them: the inputs that it makes for a model, and where it pads.

    Args:
        kind: the class, as `class_of` gives it.
        model: content of the model's config.json.
        is_of_pieces: whether the tokenizer goes from characters. Llama's class is not used for one that goes from
            bytes, nor any class for some models.
    """
    if not kind or kind in PLAIN_CLASSES:
        return {}
    is_used = model.get("model_type") not in _NO_CLASS and (is_of_pieces or kind not in _OF_PIECES)
    pads_left = is_used and kind in _PADS_LEFT
    return {"model_input_names": list(_INPUTS.get(kind, (_IDS, _MASK)))} | (
        {"padding_side": "left"} if pads_left else {}
    )
