"""One NAME.toml for several targets: each is a stack of its own, and what is not its own is for all."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.connected.stack.stack import Stack
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.kinds import RPM
from mirror.core.stackfiles import StackFiles, find_stack, is_written, known_stacks, written

TOML = """\
[target]
python = "3.11"
glibc = "2.34"
cuda = "13.0"

[python]
requirements = ["vllm==0.25.1"]
constraints = ["six<2"]

[rpms]
repository = "https://example.org/rhel9/x86_64/"
fingerprints = ["610C7B14E068A878070DA4E99CD0A493D42D0685"]
components = ["nvcc"]

[[waiver]]
project = "numpy"
rule = "bytecode"
reason = "seen"
by = "alice"

[targets.h100]
arch = "x86_64"
gpu = "sm_90a"

[targets.gh200]
arch = "aarch64"
glibc = "2.35"
rpms.repository = "https://example.org/rhel9/sbsa/"
python.requirements = ["vllm==0.33.0"]

[[targets.gh200.waiver]]
project = "vllm"
rule = "wheel-tags"
reason = "renamed"
by = "bob"
"""


@pytest.fixture(autouse=True)
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("demo.toml").write_text(TOML)
    return Path("demo.toml")


def test_each_target_is_a_stack_with_what_is_its_own_over_what_is_for_all() -> None:
    h100, gh200 = (Stack.load(Path(f"demo.{name}.toml")) for name in ("h100", "gh200"))
    assert (h100.name, str(h100.target)) == ("demo.h100", "Python 3.11, x86_64, glibc 2.34, CUDA 13.0, sm_90a")
    assert (gh200.name, str(gh200.target)) == ("demo.gh200", "Python 3.11, aarch64, glibc 2.35, CUDA 13.0")
    assert [str(one.requirements[0]) for one in (h100, gh200)] == ["vllm==0.25.1", "vllm==0.33.0"]
    assert [str(one.constraints[0]) for one in (h100, gh200)] == ["six<2"] * 2
    assert [one.wishes[RPM].repository[-7:] for one in (h100, gh200)] == ["x86_64/", "9/sbsa/"]
    assert [[project for project, _ in one.waivers] for one in (h100, gh200)] == [["numpy"], ["numpy", "vllm"]]
    assert h100.digest == gh200.digest


def test_its_files_are_found_by_the_name_of_stack_and_target(demo: Path) -> None:
    found = find_stack("demo")
    assert dict(found.targets) == {
        name: StackFiles(Path(f"demo.{name}.toml"), Path(f"demo.{name}.txt")) for name in ("h100", "gh200")
    }
    assert find_stack("demo.gh200") == find_stack("./demo.gh200.toml") == found.targets["gh200"]
    assert written(Path("demo.gh200.toml")) == (demo, "gh200") and written(demo) == (demo, "")
    assert is_written(Path("demo.h100.toml")) and not is_written(Path("demo.b200.toml"))
    assert known_stacks(Path()) == ("demo", "demo.gh200", "demo.h100")
    with pytest.raises(Unreadable, match=r"there is no demo\.gh20\.toml in .*; did you mean demo\.gh200\?"):
        find_stack("demo.gh20")


def test_a_file_of_its_own_comes_before_a_target_of_another() -> None:
    own = TOML[: TOML.index("[targets.h100]")].replace("glibc", 'arch = "x86_64"\nglibc')
    Path("demo.h100.toml").write_text(own.replace("2.34", "2.39"))
    assert Stack.load(Path("demo.h100.toml")).target.glibc == "2.39"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "demo.toml invalid at 'targets': it is for several (h100, gh200): name one, as demo.h100"),
        (
            {"[targets.h100]": "[targets.rpms]"},
            "'targets.rpms': a target's name has lower-case letters, digits and dashes",
        ),
        ({"[targets.h100]": "[targets.H100]"}, "'targets.H100': a target's name"),
        ({"[targets.h100]": "[targets]\nnone = 1\n[targets.h100]"}, "'targets.none': expected a table, [targets.none]"),
        ({TOML: "[targets]\n"}, "'targets': it names none"),
        ({TOML: "targets = 1\n"}, "targets"),
    ],
)
def test_what_names_no_target_or_none_that_can_be_is_refused(demo: Path, change: dict[str, str], message: str) -> None:
    text = TOML
    for old, new in change.items():
        text = text.replace(old, new)
    demo.write_text(text)
    with pytest.raises(InvalidDocument) as caught:
        Stack.load(demo)
    assert message in str(caught.value)


def test_a_fault_in_one_target_is_of_that_one(demo: Path) -> None:
    demo.write_text(TOML.replace('gpu = "sm_90a"', 'gpus = "sm_90a"'))
    assert Stack.load(Path("demo.gh200.toml")).target.arch == "aarch64"
    with pytest.raises(InvalidDocument, match=r"demo\.toml invalid at 'target\.gpus': unknown key; did you mean gpu\?"):
        Stack.load(Path("demo.h100.toml"))
