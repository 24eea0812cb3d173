"""One ``vllm serve`` of the installed generation: started, asked over loopback, stopped. Standard library, Python 3.9.

Example::

    with Server(["vllm", "serve", "model"], Path("server.log"), 8000) as server:
        server.ready_s, server.complete("Hello")
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

Start = Callable[[Sequence[str], Mapping[str, str]], Sequence[str]]
"""Makes the command line that runs these words of ``vllm`` with these variables in the installed generation."""

_PHASES = re.compile(
    r"took [\d.]+ ?s|[\d.]+ seconds|[\d.]+ secs|Using \S+ (?:attention )?backend|attention backend|compil|"
    r"Graph capturing|KV cache size|sampler|warm",
    re.IGNORECASE,
)
PROMPT_TOKENS = 48
"""Of each prompt whose words are scored."""


class NotReady(Exception):
    """The server ended, or did not answer in time; the log says why."""


class Server:
    """A running server.

    Attributes:
        ready_s: seconds from its start to the first completion that it answered.
    """

    ready_s: float

    def __init__(
        self, command: Sequence[str], log: Path, port: int, timeout_s: float = 420, environment: Mapping[str, str] = {}
    ) -> None:
        self.log, self.port = log, port
        began = time.monotonic()
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                list(command),
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, **environment},
            )
        try:
            self._wait(began + timeout_s)
            self.complete("Hello", max_tokens=1)
        except BaseException:
            self.stop()
            raise
        self.ready_s = time.monotonic() - began

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait(self, until: float) -> None:
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise NotReady(f"it ended with {self._process.returncode}")
            try:
                with urllib.request.urlopen(self.url("/health"), timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise NotReady("it did not answer in time")

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def stop(self) -> None:
        """Ask it to end; after 20 s its whole session is killed."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def post(self, path: str, **question: object) -> Any:
        request = urllib.request.Request(
            self.url(path), json.dumps(question).encode(), {"Content-Type": "application/json"}
        )
        return urllib.request.urlopen(request, timeout=300)

    def complete(self, prompt: str | Sequence[int], **options: object) -> dict[str, Any]:
        with self.post("/v1/completions", model="proof", prompt=prompt, **options) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def scores(self, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        """The log-probability of each prompt's tokens but the first, teacher-forced."""
        found = []
        for prompt in prompts:
            choice = self.complete(prompt, max_tokens=1, prompt_logprobs=0)["choices"][0]
            words = choice["prompt_logprobs"][1:]
            found.append([one[str(word)]["logprob"] for one, word in zip(words, prompt[1:])])
        return found

    def chat(self, text: str) -> tuple[int, float]:
        """Stream an answer; how many chunks came, and the seconds to the first that holds text."""
        began, first, chunks = time.monotonic(), 0.0, 0
        messages = [{"role": "user", "content": text}]
        with self.post(
            "/v1/chat/completions", model="proof", messages=messages, stream=True, max_tokens=32, ignore_eos=True
        ) as answer:
            for event in _events(answer):
                if event["choices"] and event["choices"][0]["delta"].get("content"):
                    first = first or time.monotonic() - began
                chunks += 1
        return chunks, first

    def metrics(self) -> str:
        with urllib.request.urlopen(self.url("/metrics"), timeout=30) as answer:
            text: bytes = answer.read()
            return text.decode()

    def throughput(self, requests: int = 256, tokens: int = 128) -> tuple[int, float]:
        """Ask many things at once; tokens that came, and seconds."""
        prompts = [[256, *f"request {number}: ".encode()] for number in range(requests)]
        began = time.monotonic()
        with ThreadPoolExecutor(requests) as pool:
            answers = list(pool.map(lambda prompt: self.complete(prompt, max_tokens=tokens, ignore_eos=True), prompts))
        return sum(answer["usage"]["completion_tokens"] for answer in answers), time.monotonic() - began

    def phases(self) -> list[str]:
        """The lines of its log that say where its start's time went."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if _PHASES.search(line)]


def _events(answer: Any) -> Iterator[dict[str, Any]]:
    for line in answer:
        if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
            yield json.loads(line[6:])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def prompts() -> list[list[int]]:
    """Eight prompts of bytes after the beginning's token: text, and numbers drawn by a rule."""
    texts = [b"The quick brown fox jumps over the lazy dog. " * 2, b"0123456789" * 6, bytes(range(32, 127))]
    rule = [bytes((seed * 97 + at * at * 31 + at * seed) % 256 for at in range(PROMPT_TOKENS)) for seed in range(5)]
    return [[256, *text[: PROMPT_TOKENS - 1]] for text in [*texts, *rule]]
