"""``[[models]]``: what may be written, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import tomllib

import mirror.connected.stack.models as models
from mirror.connected.stack.models import HUB, ModelWish, read_models
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields

REVISION = "0123456789abcdef0123456789abcdef01234567"
GOOD = {"repository": "org/tiny", "revision": REVISION}


def read(*tables: dict[str, Any]) -> tuple[ModelWish, ...]:
    return read_models(Fields({"models": list(tables)}, "NAME.toml").tables("models"))


def test_a_model_needs_a_repository_and_a_revision() -> None:
    assert read(GOOD) == (ModelWish("org/tiny", REVISION),)
    assert read(GOOD)[0].endpoint == HUB
    assert read(GOOD)[0].variables == (("HF_HUB_CACHE", "models"),)


def test_the_example_of_the_documentation_is_read() -> None:
    assert models.__doc__ is not None
    (wish,) = read(*tomllib.loads(models.__doc__.partition("Example::")[2])["models"])
    assert wish.include == ("*.safetensors", "*.json", "*.txt")
    assert wish.variables[1] == ("MODEL", f"models/models--Qwen--Qwen3-0.6B/snapshots/{wish.revision}")


def test_a_hub_is_named_without_a_slash_at_its_end() -> None:
    assert read({**GOOD, "endpoint": "https://hub.example.org/hf/"})[0].endpoint == "https://hub.example.org/hf"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"repository": "tiny"}, r"models\[0\]\.repository': expected a repository of the hub such as"),
        (
            {"revision": "main"},
            r"models\[0\]\.revision': expected the 40 lower-case hex digits of a commit, got 'main': a branch",
        ),
        ({"revision": "v1.0"}, "copy the commit's from the repository's history on the hub"),
        ({"include": ["/a"]}, r"models\[0\]\.include\[0\]': expected a pattern such as '\*\.safetensors', got '/a'"),
        ({"exclude": [""]}, r"models\[0\]\.exclude\[0\]': expected a pattern"),
        ({"exclude": ["\U0001f600"]}, r"models\[0\]\.exclude\[0\]': expected a pattern"),
        ({"include": "*"}, r"models\[0\]\.include': expected list, got str"),
        ({"variable": "LD_LIBRARY_PATH"}, r"models\[0\]\.variable': expected the name of a variable"),
        ({"endpoint": "file:///hub"}, r"models\[0\]\.endpoint': expected a URL that begins with https or http"),
        ({"endpoint": "https://a:b@hub.example.org"}, "credentials in a URL are refused"),
        ({"token": "hf_x"}, r"models\[0\]\.token': unknown key"),
    ],
)
def test_what_could_be_misunderstood_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidDocument, match=problem):
        read({**GOOD, **change})


def test_a_repository_is_carried_at_one_revision() -> None:
    with pytest.raises(InvalidDocument, match=r"models\[1\]\.repository': org/tiny is wanted already"):
        read(GOOD, {"repository": "Org/Tiny", "revision": "f" * 40})


def test_the_order_of_the_tables_does_not_matter() -> None:
    other = {**GOOD, "repository": "a/b"}
    assert read(GOOD, other) == read(other, GOOD)
