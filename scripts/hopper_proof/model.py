"""A small Llama with seeded random weights: what the proof's server loads, made by the standard library alone.

Its words are the 256 bytes, so that its tokenizer needs no merges and any text is a prompt. Its sizes are multiples of what fp8
kernels and two GPUs ask for. The weights are drawn from a seeded generator: the same bytes each time.

Example::

    make_model(Path("proof/model"))
"""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from statistics import NormalDist

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 512,
    "intermediate_size": 1408,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "vocab_size": 512,
    "max_position_embeddings": 4096,
    "rope_theta": 10000.0,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
    "bos_token_id": 256,
    "eos_token_id": 257,
    "torch_dtype": "bfloat16",
}

_TEMPLATE = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}\n{% endfor %}<|assistant|>"
_INITIAL, _OUTPUT = 0.05, 0.1
"""Standard deviations. With the second, logits spread by about 2: some words are likelier than others."""


def make_model(directory: Path, seed: int = 90) -> None:
    """Write ``config.json``, the tokenizer and ``model.safetensors`` (24 MB) into a new directory."""
    directory.mkdir(parents=True)
    _write(directory / "config.json", CONFIG)
    _write(directory / "generation_config.json", {"bos_token_id": 256, "eos_token_id": 257})
    _write(directory / "tokenizer.json", _tokenizer())
    _write(
        directory / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "chat_template": _TEMPLATE,
            "clean_up_tokenization_spaces": False,
        },
    )
    _weights(directory / "model.safetensors", random.Random(seed))


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def _tokenizer() -> dict[str, object]:
    """A byte-level BPE without merges, in the format of the ``tokenizers`` library."""
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    words = {character: number for number, character in enumerate(_byte_characters())}
    special = [
        {
            "id": number,
            "content": word,
            "special": True,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for number, word in ((256, "<s>"), (257, "</s>"))
    ]
    return {
        "version": "1.0",
        "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        "model": {"type": "BPE", "vocab": words, "merges": []},
    }


def _byte_characters() -> list[str]:
    """GPT-2's printable character for each of the 256 bytes, which ``ByteLevel`` uses."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def _shapes() -> dict[str, tuple[tuple[int, ...], float]]:
    """Each tensor's shape and standard deviation; 0 for the norms, which are ones."""
    hidden, inner, words = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIG["vocab_size"]
    assert isinstance(hidden, int) and isinstance(inner, int) and isinstance(words, int)
    shared = hidden // 2  # 4 key and value heads beside 8 query heads
    shapes: dict[str, tuple[tuple[int, ...], float]] = {"model.embed_tokens.weight": ((words, hidden), 1.0)}
    for layer in range(4):
        at = f"model.layers.{layer}."
        shapes[f"{at}input_layernorm.weight"] = ((hidden,), 0)
        shapes[f"{at}post_attention_layernorm.weight"] = ((hidden,), 0)
        for name, shape in (
            ("self_attn.q_proj", (hidden, hidden)),
            ("self_attn.k_proj", (shared, hidden)),
            ("self_attn.v_proj", (shared, hidden)),
            ("self_attn.o_proj", (hidden, hidden)),
            ("mlp.gate_proj", (inner, hidden)),
            ("mlp.up_proj", (inner, hidden)),
            ("mlp.down_proj", (hidden, inner)),
        ):
            shapes[f"{at}{name}.weight"] = (shape, _INITIAL)
    return {**shapes, "model.norm.weight": ((hidden,), 0), "lm_head.weight": ((words, hidden), _OUTPUT)}


def _weights(path: Path, draw: random.Random) -> None:
    """A safetensors file: the header's length, the header, the tensors as bfloat16."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, (shape, _) in _shapes().items():
        size = 2 * (shape[0] * shape[1] if len(shape) == 2 else shape[0])
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    words = json.dumps(header).encode()
    words += b" " * (-len(words) % 8)
    with path.open("wb") as out:
        out.write(len(words).to_bytes(8, "little") + words)
        for shape, deviation in _shapes().values():
            out.write(_tensor(shape, deviation, draw))


def _tensor(shape: tuple[int, ...], deviation: float, draw: random.Random) -> bytes:
    """Each value is a quantile of the normal distribution, drawn by a random byte; a bfloat16 is a float32's upper half."""
    count = shape[0] * shape[1] if len(shape) == 2 else shape[0]
    if not deviation:
        return b"\x80\x3f" * count
    normal = NormalDist(0, deviation)
    quantiles = [struct.pack(">f", normal.inv_cdf((number + 0.5) / 256)) for number in range(256)]
    chosen = draw.randbytes(count)
    values = bytearray(2 * count)
    values[0::2] = chosen.translate(bytes(one[1] for one in quantiles))
    values[1::2] = chosen.translate(bytes(one[0] for one in quantiles))
    return bytes(values)
