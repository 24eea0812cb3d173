"""The log-probabilities that a model gives each token of each prompt, in float64 on the CPU, by transformers' own Llama.

Run by the installed generation's Python; independent of vLLM's model code and of every GPU kernel.

Example::

    python reference.py MODEL < prompts.json    # a list of lists of token ids; prints a list of lists of floats
"""

from __future__ import annotations

import json
import sys

import torch
from transformers import AutoModelForCausalLM


def main() -> None:
    model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float64).eval()
    scores = []
    with torch.inference_mode():
        for prompt in json.load(sys.stdin):
            logits = model(torch.tensor([prompt])).logits[0].log_softmax(-1)
            scores.append([logits[at, word].item() for at, word in enumerate(prompt[1:])])
    print(json.dumps(scores))


if __name__ == "__main__":
    main()
