"""The proof of serving, on the machine with the GPU: a bundle is installed without network by an ordinary user, and answers.

Its stages can be run one after another or in calls of their own: what was installed, and what was claimed so far, stays in the
work directory. Needs Python 3.9 or newer, a driver and g++; nothing of the machine's own Python packages.

Example::

    python3 serve.py --bundle DIRECTORY --work /tmp/served install doctor cold warm scores
    python3 serve.py --bundle DIRECTORY --work /tmp/served faults summary
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fault import FAULTS, SCRIPTS, TWO, Fault
from prove import Proof, heading, settle, step_down_as
from server import NotReady, Server, free_port, prompts

USER, OTHER_USER = 12345, 12346
"""Nobody's numbers on the machine: without a name, a group and an entry in passwd."""

SHORT = ("--max-model-len", "2048", "--gpu-memory-utilization", "0.3")
EAGER = ("--enforce-eager",)
Scores = Sequence[Sequence[float]]
_TRANSPORT = re.compile(
    r"NCCL version|Connected all|via (?:P2P|SHM|NET|NVLS)|[Cc]ustom ?[Aa]ll-?[Rr]educe|all-?reduce backend"
)


class Served(Proof):
    """The stages; each is a method that claims what it saw."""

    def __init__(self, directories: Sequence[Path], work: Path) -> None:
        super().__init__(directories, work)
        self.out = work / "out"

    def claim(self, holds: bool, what: str) -> None:
        super().claim(holds, what)
        with (self.out / f"claims-{os.geteuid()}.jsonl").open("a") as out:
            out.write(json.dumps([holds, what]) + "\n")

    def where_and_who(self) -> None:
        self.where()
        self.run("df", "-h", "/dev/shm", self.work)

    def install_bundle(self) -> None:
        began = time.monotonic()
        super().install_bundle()
        print(f"installed after {time.monotonic() - began:.1f} s")

    def doctor(self) -> None:
        heading("doctor")
        done = self.mirror("doctor", "--prefix", self.prefix)
        self.mirror("doctor", "--prefix", self.prefix, "--page")
        self.claim(done.returncode == 0, "mirror doctor finds no problem")

    def words(self, *options: str, before: str = "", port: int) -> list[str]:
        """The whole command line of a server; ``before`` is shell that is run in the generation's environment."""
        pyz = str(self.directory / "mirror.pyz")
        run = [sys.executable, "-I", pyz, "run", "--prefix", str(self.prefix), "--"]
        return [*run, *self.inside(*options, before=before, port=port)]

    def inside(self, *options: str, before: str = "", port: int) -> list[str]:
        """The same for whoever is in that environment."""
        words = shlex.join(["--served-model-name", "proof", "--port", str(port), *SHORT, *options])
        return ["bash", "-c", f'{before} exec vllm serve "$PROOF_MODEL" {words}']

    def server(
        self, name: str, *options: str, before: str = "", timeout_s: float = 420, environment: Mapping[str, str] = {}
    ) -> Server:
        port = free_port()
        command = self.words(*options, before=before, port=port)
        return Server(command, self.out / f"{name}.log", port, timeout_s, environment)

    def start(self, title: str, name: str, *options: str, **variables: str) -> Server | None:
        """A server, or a claim that failed with the end of its log."""
        heading(title)
        try:
            server = self.server(name, *options, environment=variables)
        except (NotReady, OSError) as exc:
            text = (self.out / f"{name}.log").read_text(errors="replace")
            print("\n".join(text.splitlines()[-60:]))
            self.claim(False, f"{title}: {exc}")
            self.mirror("doctor", "--prefix", self.prefix, "--log", self.out / f"{name}.log")
            return None
        print(f"the first answer came {server.ready_s:.1f} s after the start")
        return server

    def cold(self) -> None:
        """The first start of all, with torch.compile and CUDA graphs."""
        server = self.start("first start: nothing is compiled yet", "cold")
        if not server:
            return
        with server:
            print("\n".join(server.phases()))
            self.claim(True, f"vllm serve answers {server.ready_s:.1f} s after its first start")
            self.answers(server)
            self.judge(server, "torch.compile and CUDA graphs")

    def warm(self) -> None:
        """The same once more; ``ready.json`` keeps how long it took, for the stages with carried caches."""
        server = self.start("second start", "warm")
        if not server:
            return
        with server:
            print("\n".join(server.phases()))
            self.claim(True, f"vllm serve answers {server.ready_s:.1f} s after its second start")
            count, seconds = server.throughput()
            print(f"{count} tokens in {seconds:.1f} s from 256 requests")
            count, seconds = server.throughput()
            print(f"{count} tokens in {seconds:.1f} s from 256 requests, again")
        (self.out / "ready.json").write_text(json.dumps(server.ready_s))

    def answers(self, server: Server) -> None:
        """Each of the interfaces that clients use."""
        answer = server.complete("The quick brown", max_tokens=16, ignore_eos=True)
        self.claim(
            answer["usage"]["completion_tokens"] == 16, "/v1/completions gives the 16 tokens that it was asked for"
        )
        chunks, first_s = server.chat("Hello")
        self.claim(
            chunks >= 32, f"/v1/chat/completions streams {chunks} chunks, the first after {first_s * 1000:.0f} ms"
        )
        metrics = server.metrics()
        self.claim("vllm:generation_tokens_total" in metrics, f"/metrics has {len(metrics.splitlines())} lines")

    def reference(self) -> list[list[float]]:
        """The float64 log-probabilities, computed once."""
        kept = self.out / "reference.json"
        if not kept.exists():
            asked = self.out / "prompts.json"
            asked.write_text(json.dumps(prompts()))
            program = Path(__file__).with_name("reference.py")
            line = f'python {shlex.quote(str(program))} "$PROOF_MODEL" < {shlex.quote(str(asked))}'
            done = self.mirror("run", "--prefix", self.prefix, "--", "bash", "-c", line, shown=False)
            scores = [words for words in done.stdout.splitlines() if words.startswith("[[")]
            if not scores:
                print(done.stdout[-3000:])
                raise SystemExit("serve: no reference")
            kept.write_text(scores[-1])
        found: list[list[float]] = json.loads(kept.read_text())
        return found

    def judge(self, server: Server, what: str, most: float = 0.2, mean: float = 0.05) -> None:
        """Teacher-forced log-probabilities against float64; bfloat16 has eight bits."""
        self.compare(server.scores(prompts()), self.reference(), what, "float64", most, mean)

    def compare(
        self, ours: Scores, theirs: Scores, what: str, whose: str, most: float = 0.2, mean: float = 0.05
    ) -> None:
        """How far the log-probabilities of ``prompts`` are from others."""
        errors = [abs(one - other) for mine, right in zip(ours, theirs) for one, other in zip(mine, right)]
        worst, usual = max(errors), statistics.mean(errors)
        self.claim(
            worst < most and usual < mean,
            f"{what}: {len(errors)} log-probabilities at most {worst:.3f}, in the mean {usual:.3f} from {whose}",
        )

    def variants(self) -> None:
        """Eager mode, the attention backends, FlashInfer's sampler, fp8 weights: a server each."""
        eager = list(EAGER)
        for title, name, options, variables, limits in (
            ("eager, FLASH_ATTN", "eager", [*eager, "--attention-backend", "FLASH_ATTN"], {}, (0.2, 0.05)),
            ("eager, FLASHINFER", "flashinfer", [*eager, "--attention-backend", "FLASHINFER"], {}, (0.2, 0.05)),
            ("FlashInfer's sampler", "sampler", eager, {"VLLM_USE_FLASHINFER_SAMPLER": "1"}, (0.2, 0.05)),
            ("fp8 weights", "fp8", [*eager, "--quantization", "fp8"], {}, (2.0, 0.5)),
        ):
            server = self.start(title, name, *options, **variables)
            if server:
                with server:
                    print("\n".join(line for line in server.phases() if "ackend" in line or "ampl" in line))
                    sampled = server.complete("Hello", max_tokens=8, temperature=1.0, top_p=0.9, top_k=20, seed=1)
                    self.claim(bool(sampled["choices"][0]["text"]), f"{title}: top-p and top-k sampling answers")
                    self.judge(server, title, *limits)

    def silence(self, *options: str, name: str = "silence") -> None:
        """A start and a first answer under ``mirror silence``, noted in what is installed.

        Without VLLM_HOST_IP, vLLM asks the kernel for the way to 8.8.8.8 (nothing is sent) and looks up the name of 0.0.0.0.
        """
        heading(name)
        port, program = free_port(), Path(__file__).with_name("ask.py")
        words = self.inside(*options, *EAGER, before="export VLLM_HOST_IP=127.0.0.1;", port=port)
        ask = [sys.executable, str(program), str(port), str(self.out / f"{name}.log"), *words]
        done = self.mirror("silence", "--json", "--record", "--prefix", self.prefix, "--", *ask)
        (self.out / f"{name}.json").write_text(done.stdout)
        self.claim(done.returncode == 0, "from its start to its first answer the server reached for nothing")
        noted = self.mirror("status", "--prefix", self.prefix).stdout
        self.claim(" silent on " in noted, "mirror status tells that, when, and on which GPU")

    def layer(self) -> None:
        """What the starts so far compiled becomes a signed layer, which the owner puts into the generation."""
        heading("a carried warm start: pack, show, add")
        layer, prefix = self.work / "warm.tar", ("--prefix", self.prefix)
        done = self.mirror("cache", "pack", *prefix, "--key", self.directory / "keys/keys/builder", "-o", layer)
        self.claim(done.returncode == 0, "mirror cache pack")
        if done.returncode:
            return
        self.mirror("cache", "show", layer)
        done = self.mirror("cache", "add", *prefix, layer)
        self.claim(done.returncode == 0, f"mirror cache add: {layer.stat().st_size / 1e6:.1f} MB")

    def carried(self) -> None:
        """The first start of a user who never started anything, with the layer; run with ``--user``."""
        server = self.start("first start with a carried layer", f"carried-{os.geteuid()}")
        if not server:
            return
        with server:
            print("\n".join(server.phases()))
            warm = json.loads((self.out / "ready.json").read_text())
            self.claim(
                server.ready_s <= 1.2 * warm,
                f"a user's first start with the layer answers after {server.ready_s:.1f} s; a second start took {warm:.1f} s",
            )
        done = self.mirror("cache", "status", "--prefix", self.prefix, "--json")
        self.mirror("cache", "status", "--prefix", self.prefix)
        compiled = json.loads(done.stdout)["compiled"] if done.returncode == 0 else "unknown"
        self.claim(compiled == {}, f"mirror cache status: compiled since the layer was copied: {compiled or 'nothing'}")

    def two(self) -> None:
        """Tensor parallel over two GPUs; the log-probabilities are those of one within rounding."""
        alone = self.start("one of the GPUs alone", "one", *EAGER, CUDA_VISIBLE_DEVICES="0")
        if not alone:
            return
        with alone:
            self.judge(alone, "one of the GPUs alone")
            scores = alone.scores(prompts())
        for title, name, options, variables in (
            ("two GPUs, eager", "two-eager", [*TWO, *EAGER], {"NCCL_DEBUG": "INFO"}),
            ("two GPUs, NCCL alone", "two-nccl", [*TWO, *EAGER, "--disable-custom-all-reduce"], {"NCCL_DEBUG": "INFO"}),
            ("two GPUs, torch.compile and CUDA graphs", "two", [*TWO], {}),
        ):
            server = self.start(title, name, *options, **variables)
            if server:
                with server:
                    self.answers(server)
                    self.judge(server, title)
                    self.compare(server.scores(prompts()), scores, title, "one GPU")
                    count, seconds = server.throughput()
                    print(f"{count} tokens in {seconds:.1f} s from 256 requests")
                    lines = server.log.read_text(errors="replace").splitlines()
                    print("\n".join([line for line in lines if _TRANSPORT.search(line)][:20]))

    def two_silence(self) -> None:
        """The same over two GPUs, whose processes talk over loopback."""
        self.silence(*TWO, name="two-silence")

    def faults(self, names: Sequence[str] = ()) -> None:
        """Each fault in turn: what the server says, and what the doctor says of its log."""
        for fault in FAULTS:
            if names and fault.name not in names:
                continue
            self.fault(fault)

    def fault(self, fault: Fault) -> None:
        heading(f"fault {fault.name}: {fault.what}")
        options = [*EAGER, *fault.options]
        log = self.out / f"fault-{fault.name}.log"
        before = " ".join(f"export {name}={shlex.quote(value)};" for name, value in fault.variables) + fault.shell
        places = {"PROOF_WORK": str(self.work), "PROOF_FAULTS": str(SCRIPTS)}
        try:
            with self.server(
                f"fault-{fault.name}", *options, before=before, timeout_s=100, environment=places
            ) as server:
                outcome = f"it answered after {server.ready_s:.0f} s all the same"
        except (NotReady, OSError) as exc:
            outcome = str(exc)
        print(f"outcome: {outcome}")
        print("\n".join(log.read_text(errors="replace").splitlines()[-3:]))
        done = self.mirror("doctor", "--prefix", self.prefix, "--log", log)
        if fault.survives:
            self.claim(
                "all the same" in outcome and done.returncode == 0, f"{fault.name}: {outcome}, and so says the doctor"
            )
            return
        said = any(word in done.stdout for word in fault.said)
        words = " or ".join(fault.said)
        self.claim(said, f"{fault.name}: {outcome}; doctor --log {'says' if said else 'does not say'} {words}")

    def summary(self) -> None:
        """Every claim of every stage so far."""
        files = sorted(self.out.glob("claims-*.jsonl"))
        kept = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        heading(f"{sum(holds for holds, _ in kept)} of {len(kept)} claims hold")
        for holds, what in kept:
            print(f"{'ok  ' if holds else 'FAIL'} {what}")


STAGES: Mapping[str, Any] = {
    "where": Served.where_and_who,
    "install": Served.install_bundle,
    "doctor": Served.doctor,
    "cold": Served.cold,
    "warm": Served.warm,
    "variants": Served.variants,
    "layer": Served.layer,
    "carried": Served.carried,
    "silence": Served.silence,
    "two": Served.two,
    "two-silence": Served.two_silence,
    "faults": Served.faults,
    "summary": Served.summary,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Serve a model from a carried stack on this machine's Hopper GPU.")
    parser.add_argument("stages", nargs="+", choices=[*STAGES, *(fault.name for fault in FAULTS)], metavar="STAGE")
    parser.add_argument(
        "--bundle", type=Path, required=True, metavar="DIR", help="of bundle.tar.volumes, mirror.pyz, fingerprint"
    )
    parser.add_argument(
        "--volumes", type=Path, action="append", default=[], metavar="DIR", help="of further volumes; may be repeated"
    )
    parser.add_argument("--work", type=Path, default=Path("/tmp/hopper-served"), help="default: %(default)s")
    parser.add_argument("--user", type=int, default=USER, help="the ordinary user's number (default: %(default)s)")
    parser.add_argument("--small", action="store_true", help="with 1 MiB of /dev/shm, and for full-disk's caches")
    parser.add_argument("--python", type=Path, metavar="FILE", help="of the host, for a bundle that carries none")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.inside:
        out, keys = args.work / "out", args.bundle / "keys"
        out.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            out.chmod(0o1777)
            for path in [keys, *keys.rglob("*")] if keys.exists() else []:
                os.chown(path, USER, USER)
        words = [
            *args.stages,
            "--bundle",
            str(args.bundle.resolve()),
            *(word for place in args.volumes for word in ("--volumes", str(place.resolve()))),
            "--work",
            str(args.work),
            "--user",
            str(args.user),
            *(("--python", str(args.python)) if args.python else ()),
        ]
        return step_down_as(
            args.user, __file__, [*words, "--inside"], args.work, small=args.small, named="layer" in args.stages
        )
    if os.geteuid() == 0:
        settle()
    served = Served([args.bundle, *args.volumes], args.work)
    served.options = ["--python", str(args.python)] if args.python else []
    faults = [stage for stage in args.stages if stage not in STAGES]
    for stage in args.stages:
        if stage in STAGES:
            STAGES[stage](served)
    if faults:
        served.faults(faults)
    return 1 if any(not holds for holds, _ in served.claims) else 0


if __name__ == "__main__":
    sys.exit(main())
