"""Logs as they come: of any size and any bytes, with one fault or many, or with none that is known."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
import time
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.core.errors import Unreadable
from mirror.core.logs.explained.log import explain, explain_stream
from mirror.core.logs.finding import NOTE, WARNING
from mirror.core.logs.logtext import (
    BLOCK,
    PIECE,
    Block,
    CompressedLog,
    DamagedLog,
    blocks,
    open_log,
    stream_blocks,
    stream_lines,
)
from mirror.core.logs.symptom import Context
from mirror.core.logs.symptoms import SYMPTOMS

NO_CUDART = "/usr/bin/ld: cannot find -lcudart: No such file or directory"
NO_TARGET = "/opt/cuda/include/cuda_fp16.h:4492:10: fatal error: nv/target: No such file or directory"
CALM = "(EngineCore_0 pid=123) INFO 11-21 05:01:13 [core.py:77] Initializing a V1 LLM engine"


def rows(lines: list[str]) -> list[str]:
    return [sighting.finding.row for sighting in explain(lines).sightings]


def test_one_line_in_ten_thousand_is_found_with_its_number() -> None:
    lines = [CALM] * 10_000
    lines[7_777] = NO_CUDART
    (sighting,) = explain(lines).sightings
    assert (sighting.finding.row, sighting.line, sighting.count) == ("16", 7_778, 1)
    assert sighting.text == NO_CUDART
    assert explain(lines).lines == 10_000


def test_what_is_no_text_is_said_to_be_none() -> None:
    noise = bytes((number * 167 + number // 251) % 256 for number in range(20_000))
    (finding,) = explain_stream(io.BytesIO(noise)).findings
    assert finding.what == "this is no text, so no log that can be read here"
    (finding,) = explain(["caf\ufffd: ready", CALM]).findings
    assert "no text" not in finding.what


@pytest.mark.parametrize(
    "end",
    [
        "server stopped",
        "INFO: Server stopped.",
        "Terminated",
        "Received SIGTERM, stopping",
        "INFO: Application shutdown complete.",
    ],
)
def test_a_program_that_was_asked_to_end_is_told_as_that(end: str) -> None:
    (finding,) = explain([CALM, end]).findings
    assert finding.level == NOTE
    assert finding.what == ("the program was asked to end, and ended (line 2); no line of 2 says that something failed")
    assert "was asked to end" not in explain(["ValueError: no", end]).findings[0].what


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("Process exited with code 137", "host-memory"),
        ("systemd[1]: vllm.service: Main process exited, code=killed, status=9/KILL", "host-memory"),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/o/site-packages/certifi/cacert.pem'",
            "packages-file-missing",
        ),
        (
            "OSError: Could not find a suitable TLS CA certificate bundle, invalid path: /o/site-packages/certifi/cacert.pem",
            "packages-file-missing",
        ),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/data/list.txt'", "file-missing"),
    ],
)
def test_a_killed_process_and_a_lost_file_have_their_layer(line: str, key: str) -> None:
    (finding,) = explain([line]).findings
    assert finding.key == key
    assert "cacert" not in line or finding.about == "/o/site-packages/certifi/cacert.pem"


def test_the_same_symptom_a_thousand_times_is_one_finding() -> None:
    (sighting,) = explain([CALM, *[NO_CUDART, CALM] * 1_000]).sightings
    assert (sighting.line, sighting.count) == (2, 1_000)
    assert sighting.finding.proof.startswith("line 2 (1000 lines have it): /usr/bin/ld: ")


def test_one_line_counts_once_however_often_it_says_so() -> None:
    assert explain([NO_CUDART * 3]).sightings[0].count == 1


def test_two_symptoms_of_one_line_are_both_told() -> None:
    assert rows([f"{NO_CUDART} {NO_TARGET}"]) == ["16", "1"] or rows([f"{NO_CUDART} {NO_TARGET}"]) == ["1", "16"]


def test_a_cause_comes_before_what_it_explains() -> None:
    lines = [
        "RuntimeError: FlashInfer requires GPUs with sm75 or higher",
        "x",
        "RuntimeError: No CUDA GPUs are available",
    ]
    first, second = explain(lines).sightings
    assert (first.finding.row, first.line) == ("53", 3)
    assert (second.finding.row, second.line) == ("31", 1)
    assert first.finding.certainty == "may be", "an older driver, or cuda-compat, makes torch say so too"
    assert second.finding.cause.startswith("row 53 explains it; if it stays when that is mended: ")


def test_a_cause_is_stated_as_one_only_where_its_words_lead_to_what_decided() -> None:
    stranger = "WeirdError: the moon is full"
    (alone,) = explain([CALM, NO_CUDART]).sightings
    (before,) = explain([CALM, NO_CUDART, "RuntimeError: the extension could not be built"]).sightings
    (after,) = explain([CALM, stranger, NO_CUDART]).sightings
    assert [one.finding.certainty for one in (alone, before, after)] == ["", "", "may be"]
    assert after.finding.proof.splitlines()[-1] == f"line 2 decided otherwise: {stranger}"
    rule = "ImportError: libnuma.so.1: cannot open shared object file"
    assert explain([stranger, rule]).findings[0].certainty == "may be"
    assert explain([rule, stranger]).findings[0].certainty == ""


def test_without_an_install_the_logs_own_toolkit_tells_the_release() -> None:
    line = "/usr/local/cuda-12.6/include/cuda_fp16.h:4488:10: fatal error: nv/target: No such file or directory"
    assert "cuda-cccl-12-6" in explain([NO_TARGET, CALM, line, "/usr/local/cuda-12.8/bin"]).findings[0].fix
    assert "cuda-cccl-X-Y" in explain([NO_TARGET]).findings[0].fix
    assert "cccl-13-3" in explain([line], Context("13.3")).findings[0].fix


def test_a_chain_of_causes_is_in_order() -> None:
    lines = [
        "FlashInfer requires GPUs with sm75 or higher",
        "no CUDA-capable device is detected",
        "CUDA driver version is insufficient for CUDA runtime version",
    ]
    assert rows(lines) == ["46", "53", "31"]


def test_a_note_comes_after_a_problem() -> None:
    assert rows(["Prebuilt kernels not found, using JIT backend", NO_TARGET]) == ["1", "61"]


@pytest.mark.parametrize(
    "line",
    [
        "worker 3 was Killed by the operator",
        "the pod was Killed",
        "package foo-2 obsoletes bar < 2",
        "INFO: pip will use file:///wheels/torch.whl which is a supported wheel",
        "warning: libfoo.so.1, needed by bar, was found",
        "Downloading https://example.org/x.whl (1.2 MB)",
        "ModuleNotFoundError: No module named 'torch'",
        "undefined symbol: _ZN3foo3barEv",
        "AssertionError: my_header.h not found",
        "fatal error: my_header.h: No such file or directory",
        "/usr/bin/ld: cannot find -lcudnn",
        "IndexError: list index out of range",
    ],
)
def test_words_that_only_resemble_a_row_are_none(line: str) -> None:
    assert rows([line]) == []


def test_what_is_never_a_cause_comes_last_and_is_a_note() -> None:
    lines = [
        "RuntimeError: Engine core initialization failed. See root cause above.",
        NO_TARGET,
        "ninja: build stopped: x",
    ]
    explanation = explain(lines)
    assert [sighting.finding.row for sighting in explanation.sightings] == ["1"]
    assert [sighting.line for sighting in explanation.consequences] == [1, 3]
    assert [finding.level for finding in explanation.findings[1:]] == [NOTE, NOTE]


def test_consequences_alone_are_called_what_they_are() -> None:
    (first, second) = explain([CALM, "RuntimeError: Engine core initialization failed. See root cause above."]).findings
    assert first.level == WARNING
    assert first.what == ("the log (2 lines) says that it failed, and nowhere why in words that are known here")
    assert second.what == "the engine did not start"


def test_an_unknown_log_shows_what_looks_like_an_error_and_what_to_send() -> None:
    lines = [CALM, "INFO there was no error: fine", "ValueError: shape 3 of 4", "ValueError: shape 5 of 6", "done"]
    explanation = explain(lines)
    assert [(suspect.line, suspect.text) for suspect in explanation.suspects] == [(3, "ValueError: shape 3 of 4")]
    (finding,) = explanation.findings
    assert finding.what == "the log (5 lines) has no words that are known here; some lines look like errors"
    assert finding.proof == "line 3 decided: ValueError: shape 3 of 4"
    assert "'mirror doctor'" in finding.fix and "the command that started the server" in finding.fix


def test_of_many_errors_the_first_and_the_last_are_shown() -> None:
    names = [chr(97 + index // 26) + chr(97 + index % 26) for index in range(400)]
    lines = [line for name in names for line in (f"{name}Error: x", *[CALM] * 200)]
    explanation = explain([*lines, *[f"{names[-1]}Error: x", *[CALM] * 3000] * 3])
    assert 10 <= len(explanation.suspects) <= 13
    assert explanation.suspects[0].text == "aaError: x"
    assert explanation.suspects[-1].text == f"{names[-1]}Error: x"
    assert len({suspect.text for suspect in explanation.suspects}) == len(explanation.suspects)


def test_a_calm_log_is_unknown_too() -> None:
    (finding,) = explain([CALM, ""]).findings
    assert (finding.level, finding.certainty) == (NOTE, "unknown")
    assert explain([]).lines == 0


def test_colours_quotes_and_control_characters_do_no_harm() -> None:
    assert rows(["\x1b[01;31m\x1b[Kfatal error: \x1b[m\x1b[Knv/target\x1b[K: No such file or directory"]) == ["1"]
    assert rows(["x: version \u2018GLIBC_2.34\u2019 not found"]) == ["35"]
    (sighting,) = explain([f"\x1b]0;title\x07\x00\x08\x1b[2J{NO_CUDART}\u202e"]).sightings
    assert sighting.text == NO_CUDART
    assert sighting.text.isprintable()


def test_what_is_shown_of_a_long_line_is_what_matters() -> None:
    (sighting,) = explain(["a" * 3_000 + NO_CUDART + "b" * 3_000]).sightings
    assert "cannot find -lcudart" in sighting.text
    assert sighting.text.startswith("\u2026") and sighting.text.endswith("\u2026")
    assert len(sighting.text) < 400


def test_words_at_every_place_of_a_long_line_are_found() -> None:
    for at in (PIECE - 10, PIECE - 1, PIECE, 3 * PIECE - 20, BLOCK - 15, BLOCK + 5):
        for line in ("x" * at + NO_CUDART, "\u00e4" * at + NO_CUDART):
            found = explain([CALM, line, CALM]).sightings
            assert [(sighting.finding.row, sighting.line, sighting.count) for sighting in found] == [("16", 2, 1)], at
            stream = io.BytesIO(f"{CALM}\n{line}\n{CALM}\n".encode())
            assert [(sighting.line, sighting.count) for sighting in explain_stream(stream).sightings] == [(2, 1)], at


def test_what_came_before_is_known_across_blocks() -> None:
    lines = ["  in _get_cuda_arch_flags", "x" * 7_000, "IndexError: list index out of range"]
    for filler in range(BLOCK - 9_000, BLOCK + 1_000, 1_000):
        assert rows(["y" * 100] * (filler // 101) + lines) == ["32"]
    assert rows([lines[0], *["x" * 1_000] * 10, lines[2]]) == [], "what is too far away does not count"


def test_the_numbers_of_a_streams_lines_are_those_of_an_editor() -> None:
    text = b"one\n\ntwo\r\n" + b"z" * (3 * PIECE) + b"\nlast"
    lines = [(number, line[:4]) for number, line in stream_lines(io.BytesIO(text))]
    assert [number for number, _ in lines] == [1, 2, 3, 4, 4, 4, 4, 5]
    assert (lines[0], lines[1], lines[2], lines[-1]) == ((1, "one"), (2, ""), (3, "two"), (5, "last"))
    assert explain_stream(io.BytesIO(text)).lines == 5


def test_any_bytes_are_read() -> None:
    noise = bytes(range(256)) * 2_000
    explanation = explain_stream(io.BytesIO(noise + b"\n" + NO_CUDART.encode() + b"\n" + noise))
    assert [sighting.finding.row for sighting in explanation.sightings] == ["16"]


class Repeated(io.RawIOBase):
    """A stream of one line, many times, that is never in memory as a whole."""

    def __init__(self, line: bytes, size: int) -> None:
        self._block = line * max(1, 65_536 // len(line))
        self._left, self._rest = size, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        count = min(len(view), self._left, len(self._block))
        view[:count] = self._block[:count]
        self._left -= count
        return count


@pytest.mark.parametrize(
    "line",
    [
        b"(EngineCore_0 pid=123) INFO 11-21 05:01:13 [core.py:77] 100%|##########| 67/67 [00:12<00:00]\n",
        NO_CUDART.encode() + b"\n",
        b"\x00\xff\xfe",
        b"fatal error: ",
    ],
    ids=["calm", "one fault", "no newline", "no newline and all alarms"],
)
def test_memory_does_not_grow_with_the_log(line: bytes) -> None:
    explain([NO_CUDART])  # compiles the patterns
    small, large = (_peak(line, size) for size in (1 << 20, 2 << 20))
    assert large < 1.1 * small + (64 << 10)


def _peak(line: bytes, size: int) -> int:
    tracemalloc.start()
    try:
        explain_stream(io.BufferedReader(Repeated(line, size)))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def hostile_lines() -> Iterator[str]:
    """Lines of a megabyte, each all of what one symptom looks for, so that every place of them must be judged."""
    for fragment in sorted({fragment for symptom in SYMPTOMS for fragment in symptom.fragments}):
        yield (fragment + "x") * ((1 << 20) // (len(fragment) + 1))


def test_no_line_of_a_megabyte_takes_more_than_its_time() -> None:
    explain([NO_CUDART])
    began = time.process_time()
    explain([CALM[:100] * (1 << 20 >> 7)])
    slowest = max(_seconds(line) for line in hostile_lines())
    assert slowest < 2, f"{slowest:.1f} s; a calm line takes {time.process_time() - began:.2f} s"


def _seconds(line: str) -> float:
    began = time.process_time()
    explain([line])
    return time.process_time() - began


CALM_LOG = (
    "(APIServer pid=7) INFO 11-28 08:{0:02}:01 [loggers.py:259] Engine 000: Avg prompt throughput: {0}.5 tokens/s\n"
    '(APIServer pid=7) INFO:     127.0.0.1:{0} - "POST /v1/completions?{0} HTTP/1.1" 200 OK\n'
)
TRACEBACKS = """\
(EngineCore pid={0}) ERROR 11-28 08:54:00 [core.py:930] Traceback (most recent call last):
(EngineCore pid={0}) ERROR 11-28 08:54:00 [core.py:930]   File "/venv/vllm/engine/core.py", line {0}, in run_engine_core
(EngineCore pid={0}) ERROR 11-28 08:54:00 [core.py:930]     engine_core = EngineCoreProc(*args, engine_index={0})
(EngineCore pid={0}) ERROR 11-28 08:54:00 [core.py:930] RuntimeError: nobody has seen number {0}
"""


@pytest.mark.parametrize("lines", [CALM_LOG, "\x1b[32m" + CALM_LOG.replace("\n", "\r\n"), TRACEBACKS])
def test_what_a_block_costs_is_a_few_passes_and_not_one_for_each_text(lines: str) -> None:
    """Counted and not timed, for the blocks that a longer log has more: its first lines are dearer, being new."""
    texts = {fragment for symptom in SYMPTOMS for fragment in symptom.fragments}
    assert len(texts) > 100
    short, long = ("".join(map(lines.format, range(count))) for count in (2_000, 8_000))
    calls, searched = _work(long)
    calls_before, searched_before = _work(short)
    passes = (searched - searched_before) / (len(long) - len(short))
    assert lines is TRACEBACKS or passes < len(texts)
    blocks_more = (len(long) - len(short)) / BLOCK
    assert calls["decode"] - calls_before["decode"] < 2 * blocks_more, "no line is taken apart by itself"
    assert calls["finditer"] - calls_before["finditer"] < 2 * blocks_more, (
        "no pattern goes through what lies between errors"
    )


def _work(log: str) -> tuple[Counter[str], int]:
    """How often each function of C is called while a log is explained, and in how many characters a text is looked for."""
    calls: Counter[str] = Counter()
    searched, data = 0, io.BytesIO(log.encode())

    def count(_: object, event: str, arg: object) -> None:
        nonlocal searched
        name, owner = getattr(arg, "__name__", ""), getattr(arg, "__self__", None)
        if event == "c_call":
            calls[name] += 1
            searched += len(owner) if name == "find" and isinstance(owner, str) else 0

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        explain_stream(data)
    finally:
        sys.setprofile(before)
    return calls, searched


@pytest.mark.parametrize("wide", ["/" * 400, "a/" * 300, "'" * 500, "(" * 500, "-L/x" * 200, "_Z" * 300, "9" * 600])
def test_patterns_meet_text_that_nearly_matches(wide: str) -> None:
    began = time.process_time()
    for symptom in SYMPTOMS:
        for fragment in symptom.fragments:
            explain([wide + fragment + wide])
    assert time.process_time() - began < 5


def test_every_fragment_is_judged_a_bounded_number_of_times() -> None:
    for block in blocks(stream_lines(io.BytesIO(b"fatal error: " * 10_000))):
        assert block.text
    assert rows(["fatal error: x " * 63 + NO_TARGET]) == ["1"]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, bytes])
def test_a_compressed_log_is_read_as_it_is(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "server.log"
    path.write_bytes(compress(f"{CALM}\n{NO_CUDART}\n".encode()))
    with open_log(path) as stream:
        assert [sighting.line for sighting in explain_stream(stream).sightings] == [2]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_compressed_log_that_is_damaged_is_said_to_be(
    tmp_path: Path, compress: Callable[[bytes], bytes], damage: str
) -> None:
    path = tmp_path / "server.log"
    data = bytearray(compress(os.urandom(50_000)))
    if damage == "cut":
        del data[20_000:]
    else:
        data[25_000] ^= 0xFF
    path.write_bytes(bytes(data))
    with (
        pytest.raises(DamagedLog, match=r"server\.log is compressed and ends early or is damaged: "),
        open_log(path) as stream,
    ):
        explain_stream(stream)


def test_zstd_is_for_its_own_program(tmp_path: Path) -> None:
    path = tmp_path / "server.log.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd\x04\x00")
    with pytest.raises(CompressedLog) as caught, open_log(path):
        pass
    assert str(caught.value) == f"{path} is compressed with zstd; mirror reads plain text, gzip, bzip2 and xz"
    assert caught.value.hint.endswith("zstdcat FILE | mirror doctor --log -")


def test_a_log_that_is_not_there_or_a_directory(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(Unreadable, match="cannot read "), open_log(path):
            pass


def tar_of(data: bytes) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        member = tarfile.TarInfo("mirror/errors.py")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return held.getvalue()


def zip_of(data: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("errors.py", data)
    return held.getvalue()


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (tar_of, "a tar"),
        (lambda data: gzip.compress(tar_of(data)), "a tar"),
        (lambda data: gzip.compress(gzip.compress(data)), "a gzip file (.gz, .tgz)"),
        (zip_of, "a zip file, as wheels are"),
        (lambda data: Path(sys.executable).read_bytes()[:4096] + data, "a program or library (ELF)"),
    ],
)
def test_a_file_of_another_kind_is_called_that_whatever_words_are_in_it(
    tmp_path: Path, make: Callable[[bytes], bytes], kind: str
) -> None:
    path = tmp_path / "server.log"
    path.write_bytes(make(f"{NO_CUDART}\n{NO_TARGET}\n".encode() * 40))
    with open_log(path) as stream:
        explanation = explain_stream(stream)
    (finding,) = explanation.findings
    assert (finding.level, finding.what) == ("warning", f"this is {kind}, no log")
    assert explanation.error == f"none: this is {kind}, no log"
    assert explanation.sightings == ()


def test_a_log_that_speaks_of_a_tar_is_a_log() -> None:
    text = "BZh ".ljust(257, "x") + f"ustar\n{NO_CUDART}\n"
    assert explain_stream(io.BytesIO(text.encode())).sightings[0].finding.row == "16"


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/../dev/zero"])
def test_a_device_that_never_ends_is_refused(device: str) -> None:
    with pytest.raises(Unreadable, match=r"cannot read .*: it is a device"), open_log(Path(device)):
        pass


def test_standard_input_by_its_name_is_read_whatever_it_is() -> None:
    words = "from pathlib import Path; from mirror.core.logs.logtext import open_log\n"
    words += "with open_log(Path('/dev/stdin')) as stream: print(len(stream.read()))"
    done = subprocess.run([sys.executable, "-c", words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_header_that_no_package_has_is_not_blamed_on_cccl() -> None:
    assert rows(["a.cu:1:10: fatal error: nv/targetx: No such file or directory"]) == []
    assert rows(["a.cu:1:10: fatal error: nv/detail/__preprocessor: No such file or directory"]) == ["1"]
    assert rows(["a.cu:1:10: fatal error: cuda/std/type_traits: No such file or directory"]) == ["1"]


def test_an_empty_log_and_a_pipe_are_read(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with open_log(tmp_path / "empty") as stream:
        assert explain_stream(stream).lines == 0
    reading, writing = os.pipe()
    os.write(writing, NO_CUDART.encode())
    os.close(writing)
    with open_log(Path(f"/dev/fd/{reading}")) as stream:
        assert len(explain_stream(stream).sightings) == 1
    os.close(reading)


def test_an_explanation_as_json() -> None:
    told = explain([NO_CUDART, "ninja: build stopped: subcommand failed."]).to_dict()
    assert (told["lines"], told["sightings"][0]["row"], told["sightings"][0]["line"]) == (2, "16", 1)
    assert told["consequences"][0]["subject"] == "ninja"
    assert explain(["ValueError: x"]).to_dict()["suspects"] == [{"line": 1, "text": "ValueError: x"}]


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({"__REALTIME_TIMESTAMP": "1", "MESSAGE": NO_CUDART}),
        json.dumps({"log": f"{NO_CUDART}\n", "stream": "stderr", "time": "2026-01-01T00:00:00Z"}),
        json.dumps({"MESSAGE": list(NO_CUDART.encode())}),
    ],
)
def test_lines_that_a_collector_wrapped_in_json_are_unwrapped(line: str) -> None:
    (sighting,) = explain([CALM, line]).sightings
    assert (sighting.finding.row, sighting.line, sighting.text) == ("16", 2, NO_CUDART)


@pytest.mark.parametrize("line", ['{"MESSAGE": 3}', '{"a": ', '{"MESSAGE": [300]}', '{"x":' * 3000])
def test_what_only_looks_like_json_stays_as_it_is(line: str) -> None:
    assert rows([f"{line} {NO_CUDART}"]) == ["16"]


PARTS = (
    b"fatal error: nv/target: No such file or directory\n",
    b"\n" * 3,
    b"\x1b[31mred\x1b[0m and `quoted`\n",
    b'{"MESSAGE": "one"}\n',
    b"a progress bar\r 10%\r 20%\n",
    b"ends as on Windows\r\n",
    b"and twice\r\r\n\r\n",
    b"\x1b[31mred\r\x1b[0m\r\n",
    "\u2018quoted\u2019 \u2026 ".encode() + b"\xff\xe2\x82\n",
    b"x" * (PIECE + 7) + b"\n",
    b"calm line of a server that works\n" * 9000,
)


@given(st.lists(st.sampled_from(PARTS), max_size=5), st.booleans())
@settings(max_examples=40, deadline=None)
def test_what_is_plain_is_read_as_what_is_taken_apart(parts: list[bytes], ends: bool) -> None:
    """Blocks are cut in other places; their lines, numbers and texts are the same."""
    data = b"".join(parts) + (b"" if ends else b"cut off")

    def lines(found: Iterable[Block]) -> list[tuple[int, str]]:
        told = []
        for block in found:
            at = 0
            for text in block.text.split("\n"):
                number, start, end = block.line(at)
                assert (start, block.text[start:end]) == (at, text)
                told.append((number, text))
                at = end + 1
        return told

    def whole(found: list[tuple[int, str]]) -> dict[int, str]:
        """By number, the first piece of a line: a long one may be cut elsewhere."""
        return {number: text[:1000] for number, text in reversed(found)}

    quick, slow = lines(stream_blocks(io.BytesIO(data))), lines(blocks(stream_lines(io.BytesIO(data))))
    assert whole(quick) == whole(slow)
    if not any(len(part) > PIECE and part.count(b"\n") == 1 for part in parts):
        assert quick == slow


HEALTHY = """\
(EngineCore pid=9) WARNING 11-29 09:24:29 [system_utils.py:299] errors like `OSError: [Errno 24] Too many open files`.
(EngineCore pid=9) /venv/vllm/v1/executor/multiproc_executor.py:139: UserWarning: Failed to get the IP address, using 0.0.0.0.
(EngineCore pid=9)   mq_connect_ip = get_ip()
(APIServer pid=7) INFO:     Application startup complete.
(APIServer pid=7) INFO:     127.0.0.1:50756 - "POST /v1/completions HTTP/1.1" 200 OK
"""
SHUT_DOWN = """\
(APIServer pid=7) INFO:     Application shutdown complete.
/python/multiprocessing/resource_tracker.py:224: UserWarning: resource_tracker: There appear to be 2 leaked semaphore objects
  warnings.warn('resource_tracker: There appear to be %d '
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEALTHY, "the server answered (line 4); no line of 5 says that something failed"),
        (
            HEALTHY + SHUT_DOWN,
            "the server answered (line 4) and was shut down (line 6); no line of 8 says that something failed",
        ),
    ],
)
def test_a_server_that_was_well_is_not_said_to_have_failed(text: str, said: str) -> None:
    explanation = explain(text.splitlines())
    assert [(one.level, one.what) for one in explanation.findings] == [("good", said)]


FLASK = """\
 * Serving Flask app 'app'
WARNING: This is a development server. Do not use it in a production deployment.
 * Running on http://127.0.0.1:5000
127.0.0.1 - - [29/Nov/2026 10:00:00] "GET /error HTTP/1.1" 404 -
127.0.0.1 - - [29/Nov/2026 10:00:01] code 404, message File not found
127.0.0.1 - - [29/Nov/2026 10:00:02] "GET /favicon.ico HTTP/1.1" 404 -
"""


@pytest.mark.parametrize(
    "text",
    [
        "server listening on 127.0.0.1:8080, 0 errors\n",
        FLASK,
        FLASK + "checked 12 requests: errors: 0, failures=0\n",
        FLASK + "all of it loaded with no errors and without any warnings\n",
    ],
)
def test_counts_of_nothing_and_what_clients_were_answered_are_no_failures(text: str) -> None:
    explanation = explain(text.splitlines())
    assert [one.level for one in explanation.findings] == ["good"]
    assert explanation.suspects == ()
    assert explanation.error.startswith("none: the server answered (line ")


@pytest.mark.parametrize(
    "line", ["finished with 10 errors", "no errors, then fatal error: the moon", "error: 0x7f is bad"]
)
def test_what_is_counted_and_is_something_is_a_failure(line: str) -> None:
    (found,) = explain((FLASK + line + "\n").splitlines()).findings
    assert (found.level, found.certainty) == ("warning", "unknown")


BAD_REQUEST = """\
(APIServer pid=7) ERROR 11-29 09:30:00 [serving.py:200] Traceback (most recent call last):
(APIServer pid=7) ERROR 11-29 09:30:00 [serving.py:200]   File "/venv/serving.py", line 1, in render
(APIServer pid=7) ERROR 11-29 09:30:00 [serving.py:200] ValueError: prompt too long
(APIServer pid=7) INFO:     127.0.0.1:1 - "POST /v1/completions HTTP/1.1" 400 Bad Request
"""
ANSWER = '(APIServer pid=7) INFO:     127.0.0.1:1 - "POST /v1/completions HTTP/1.1" 200 OK\n'
PROBE = '(APIServer pid=7) INFO:     127.0.0.1:1 - "GET /health HTTP/1.1" 200 OK\n'


def test_what_an_api_server_answered_after_was_survived() -> None:
    explanation = explain((HEALTHY + BAD_REQUEST + ANSWER).splitlines())
    well, survived = explanation.findings
    assert (well.level, well.what) == ("good", "the server answered (line 4); it went on after what failed")
    assert (survived.level, survived.certainty) == ("note", "")
    assert survived.what.startswith("survived: ") and "ValueError: prompt too long" in survived.what
    assert "line 8: " in survived.proof and "line 10: it answered" in survived.proof
    assert explanation.to_dict()["survived"][0]["line"] == 8


@pytest.mark.parametrize(
    "after",
    [
        "",
        PROBE,
        ANSWER + "(APIServer pid=7) RuntimeError: Engine core initialization failed. See root cause above.\n",
    ],
)
def test_a_probe_or_one_last_answer_does_not_make_the_end_survived(after: str) -> None:
    explanation = explain((HEALTHY + BAD_REQUEST + after).splitlines())
    assert explanation.findings[0].level != "good"
    assert "ValueError: prompt too long" in explanation.error


def test_who_says_that_another_one_listens_is_no_server() -> None:
    assert explain(["Something is already listening on port 8000"]).verdict == "open"


@pytest.mark.parametrize("lines", [["hello world"], [CALM] * 6])
def test_of_a_log_that_is_only_short_it_is_said_that_nothing_failed_so_far(lines: list[str]) -> None:
    explanation = explain(lines)
    (finding,) = explanation.findings
    assert finding.what.startswith("nothing failed so far in words that are known here, and no server has answered yet")
    assert finding.proof.startswith("line 1: hello world" if len(lines) == 1 else "no line looks like a failure")
    assert "these lines" not in finding.fix and "wait, and ask again" in finding.fix
    assert explanation.error == f"none: {finding.what}"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (HEALTHY, "answered"),
        (HEALTHY + BAD_REQUEST + ANSWER, "answered"),
        (HEALTHY + BAD_REQUEST, "unknown"),
        (NO_CUDART, "known"),
        ("INFO: starting\nReceived SIGTERM, stopping\n", "stopped"),
        ("hello world", "open"),
        ("", "empty"),
        ("\ufffd\0" * 99, "no-log"),
    ],
)
def test_the_verdict_tells_them_apart_and_only_what_failed_has_a_line_that_decided(text: str, verdict: str) -> None:
    explanation = explain(text.splitlines())
    told = explanation.to_dict()
    assert (told["verdict"], told["what"]) == (verdict, explanation.findings[0].what)
    assert ("deciding" in told) == (verdict in ("known", "unknown"))
    assert explain_stream(io.BytesIO(b"\x7fELF\0")).to_dict()["verdict"] == "no-log"


def test_of_an_empty_log_only_that_is_said() -> None:
    (found,) = explain([]).findings
    assert found.what == "the log is empty (0 bytes)"
    assert "2>&1" in found.fix


UP = "(APIServer pid=7) INFO:     Application startup complete.\n"
GUNICORN_UP = "[2026-11-29 10:00:00 +0000] [7] [INFO] Listening at: http://0.0.0.0:8000 (7)\n"
DOWN = "(APIServer pid=7) INFO:     Application shutdown complete.\n"


def said(status: str, path: str = "/v1/completions") -> str:
    return f'(APIServer pid=7) INFO:     127.0.0.1:1 - "POST {path} HTTP/1.1" {status}\n'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (UP + said("500 Internal Server Error"), 2),
        (UP + said("503") + DOWN, 2),
        (UP + ANSWER + said("502 Bad Gateway"), 3),
        (UP + said("500 Internal Server Error") + PROBE + PROBE, 2),
        (UP + ANSWER + CALM_LOG.format(1).partition("\n")[0] + "\n" + said("500 Internal Server Error") + PROBE, 4),
        (UP + said("503 Service Unavailable", "/health"), 2),
        (
            GUNICORN_UP
            + '127.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "POST /v1/chat/completions HTTP/1.1" 500 141 "-" "x"\n',
            2,
        ),
        (GUNICORN_UP + '127.0.0.1 - - [29/Nov/2026 10:00:00] "GET /answer?to=7 HTTP/1.0" 504 -\n', 2),
    ],
)
def test_a_server_whose_last_answer_was_that_it_failed_is_not_called_good(text: str, line: int) -> None:
    explanation = explain(text.splitlines())
    first = explanation.findings[0]
    assert (first.level, first.certainty) == ("warning", "unknown")
    count = text.count("\n")
    assert first.what == f"a server answered that it failed (line {line}), and the log ({count} lines) says nowhere why"
    assert first.proof.startswith(f"line {line} decided: ")
    assert "HTTP/1." in explanation.error


def test_answers_that_failed_before_it_answered_better_are_told_as_survived() -> None:
    text = UP + said("503 Service Unavailable", "/health") + said("500 Internal Server Error") + ANSWER
    well, survived = explain(text.splitlines()).findings
    assert (well.level, well.what) == ("good", "the server answered (line 1); it went on after what failed")
    assert survived.what.startswith("survived: ") and '" 500 Internal Server Error' in survived.what
    assert "line 3: " in survived.proof and "line 4: it answered" in survived.proof
    far = UP + said("500 Internal Server Error") + CALM_LOG.format(1) * 9000 + ANSWER
    assert [one.level for one in explain(far.splitlines()).findings] == ["good", "note"]


def test_a_probe_that_failed_while_a_server_started_says_nothing() -> None:
    text = said("503 Service Unavailable", "/health") + UP + PROBE
    assert [one.level for one in explain(text.splitlines()).findings] == ["good"]


def test_what_a_request_failed_of_is_told_before_its_answer() -> None:
    raised = 'Traceback (most recent call last):\n  File "x.py", line 3, in f\n    g()\nStrangeError: the moon\n'
    text = UP + said("500 Internal Server Error") + "ERROR:    Exception in ASGI application\n" + raised
    assert "decided: StrangeError: the moon" in explain(text.splitlines()).findings[0].proof


def test_a_server_that_answered_and_then_failed_is_said_to() -> None:
    lines = "(EngineCore pid=9) ERROR 11-29 09:24:29 [core.py:1] StrangeError: the moon\n"
    (found, *_) = explain((HEALTHY + lines).splitlines()).findings
    assert found.level == "warning" and "StrangeError: the moon" in found.proof
