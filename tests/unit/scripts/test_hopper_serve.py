"""The proof of serving, as far as no GPU is needed: the model's files, the server's client, the faults' shell."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.hopper_proof.fault import FAULTS, SCRIPTS
from scripts.hopper_proof.model import CONFIG, make_model
from scripts.hopper_proof.server import NotReady, Server, free_port, prompts

FAKE = """
import http.server, json, sys

class Answers(http.server.BaseHTTPRequestHandler):
    def answer(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        self.answer(b"vllm:generation_tokens_total 1\\n")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/chat/completions":
            event = b"data: " + json.dumps({"choices": [{"delta": {"content": "x"}}]}).encode() + b"\\n\\n"
            return self.answer(event * 3 + b"data: [DONE]\\n\\n")
        choice = {"text": "x"}
        if "prompt_logprobs" in asked:
            choice["prompt_logprobs"] = [None, *({str(word): {"logprob": -float(word)}} for word in asked["prompt"][1:])]
        found = {"choices": [choice], "usage": {"completion_tokens": asked["max_tokens"]}}
        self.answer(json.dumps(found).encode())

    def log_message(self, *words):
        pass

print("Graph capturing finished in 3 secs", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""


def test_a_server_is_started_asked_and_ended(tmp_path: Path) -> None:
    port = free_port()
    with Server([sys.executable, "-c", FAKE, str(port)], tmp_path / "log", port, timeout_s=30) as server:
        assert server.ready_s > 0
        assert server.scores([[256, 5, 7]]) == [[-5.0, -7.0]]
        assert server.chat("Hello")[0] == 3
        assert "generation_tokens" in server.metrics()
        assert server.throughput(requests=4, tokens=3)[0] == 12
        assert server.phases() == ["Graph capturing finished in 3 secs"]
    with pytest.raises(OSError, match="refused"):
        server.metrics()


def test_a_server_that_ends_or_never_answers_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="it ended with 3"):
        Server(["sh", "-c", "exit 3"], tmp_path / "log", free_port(), timeout_s=30)
    with pytest.raises(NotReady, match="did not answer in time"):
        Server(["sleep", "60"], tmp_path / "log", free_port(), timeout_s=0.3)


def test_the_model_is_the_same_each_time_and_its_weights_are_where_the_header_says(tmp_path: Path) -> None:
    make_model(tmp_path / "model")
    data = (tmp_path / "model/model.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    ends = [one["data_offsets"] for name, one in header.items() if name != "__metadata__"]
    assert ends[0][0] == 0 and ends[-1][1] == len(data) - 8 - size
    assert all(one[1] == other[0] for one, other in zip(ends, ends[1:], strict=False))
    assert header["lm_head.weight"]["shape"] == [CONFIG["vocab_size"], CONFIG["hidden_size"]]
    norm = header["model.norm.weight"]["data_offsets"]
    assert data[8 + size + norm[0] :][:4] == b"\x80\x3f\x80\x3f"  # bfloat16 ones
    words = json.loads((tmp_path / "model/tokenizer.json").read_text())["model"]["vocab"]
    assert sorted(words.values()) == list(range(256)) and words["A"] == 65


def test_every_prompt_has_words_of_the_model() -> None:
    assert all(len(prompt) == 48 and all(0 <= word < 512 for word in prompt) for prompt in prompts())


def test_every_script_of_a_fault_is_shell_and_belongs_to_one() -> None:
    names = {fault.name for fault in FAULTS} | {"empty-caches"}
    for script in SCRIPTS.iterdir():
        assert script.stem in names
        subprocess.run(["sh", "-n", script], check=True)
