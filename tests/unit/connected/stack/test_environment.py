from __future__ import annotations

import pytest

from mirror.connected.stack.environment import environment_of
from mirror.connected.stack.files import FileWish
from mirror.connected.stack.models import ModelWish
from mirror.core.errors import InvalidDocument
from mirror.core.names import Sha256Hex

REVISION = "0" * 40


def file(to: str, variable: str = "", directory: str = "") -> FileWish:
    return FileWish("https://example.org/a", "https://example.org/a", Sha256Hex("0" * 64), to, variable, directory)


def test_what_files_and_models_ask_for_is_one_environment() -> None:
    files = [file("t/a", "A", "BASE"), file("t/b", directory="BASE")]
    wanted = [ModelWish("o/a", REVISION, variable="MODEL"), ModelWish("o/b", REVISION)]
    assert environment_of(files, wanted) == (
        ("A", "files/t/a"),
        ("BASE", "files/t"),
        ("HF_HUB_CACHE", "models"),
        ("MODEL", f"models/models--o--a/snapshots/{REVISION}"),
    )
    assert environment_of((), ()) == ()


@pytest.mark.parametrize(
    ("files", "models", "names"),
    [
        ([file("a", "V"), file("b", "V")], [], "files/a and files/b"),
        ([file("a/x", directory="V"), file("b/y", directory="V")], [], "files/a and files/b"),
        ([file("a", "V", "V")], [], "files/a and files"),
        (
            [file("a", "V")],
            [ModelWish("o/a", REVISION, variable="V")],
            f"files/a and models/models--o--a/snapshots/{REVISION}",
        ),
    ],
)
def test_a_variable_has_one_value(files: list[FileWish], models: list[ModelWish], names: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        environment_of(files, models, "h100.toml")
    assert str(caught.value) == f"h100.toml invalid at 'V': the variable would name both {names}"


def test_the_hubs_own_variable_belongs_to_the_models() -> None:
    with pytest.raises(InvalidDocument, match="the variable would name both files/a and models"):
        environment_of([file("a", "HF_HUB_CACHE")], [ModelWish("o/a", REVISION)])
