import pytest

from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields
from mirror.core.target import Target

H100 = Target(python="3.11", arch="x86_64", glibc="2.31", gpu="sm_90a", cuda="12.8")


def test_round_trip() -> None:
    assert Target.from_fields(Fields(H100.to_dict(), "Stack", "target")) == H100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"python": "3"}, "at 'target.python': expected something like '3.11', got '3'"),
        ({"arch": "amd64"}, "at 'target.arch': expected one of x86_64, aarch64, got 'amd64'"),
        ({"gpu": "9.0a"}, "at 'target.gpu': expected something like 'sm_90a', got '9.0a'"),
        ({"cuda": "12.8.1"}, "at 'target.cuda': expected something like '13.0', got '12.8.1'"),
        ({"glibc": "2.28\n"}, "at 'target.glibc': expected something like '3.11', got '2.28\\n'"),
        ({"colour": "blue"}, "at 'target.colour': unknown key"),
    ],
)
def test_names_the_fault(change: "dict[str, str]", message: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        Target.from_fields(Fields({**H100.to_dict(), **change}, "Stack", "target"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("gpu", "spelled"), [("sm_90a", "9.0a"), ("sm_90", "9.0"), ("sm_103a", "10.3a"), ("sm_120f", "12.0f"), ("", "")]
)
def test_spells_the_compute_capability_as_torch_does(gpu: str, spelled: str) -> None:
    assert Target(python="3.11", arch="x86_64", glibc="2.28", gpu=gpu).cuda_arch == spelled


def test_glibc_versions_compare_as_numbers() -> None:
    newer = Target(python="3.11", arch="x86_64", glibc="2.100")
    assert H100.glibc_pair < newer.glibc_pair


def test_says_what_it_is_in_one_line() -> None:
    assert str(H100) == "Python 3.11, x86_64, glibc 2.31, CUDA 12.8, sm_90a"
