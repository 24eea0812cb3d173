"""SPDX expressions judged by a list of licences."""

from __future__ import annotations

import pytest
from packaging.licenses import canonicalize_license_expression

from mirror.core.policy.spdx import is_allowed, licence_name

ALLOWED = ("MIT", "Apache-2.0", "GPL-2.0-only WITH Classpath-exception-2.0", "LicenseRef-NVIDIA")


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("mit", True),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT AND Apache-2.0", True),
        ("GPL-3.0-only OR MIT AND Apache-2.0", True),
        ("MIT OR Apache-2.0 AND GPL-3.0-only", True),  # AND binds stronger
        ("(MIT OR Apache-2.0) AND GPL-3.0-only", False),
        ("(GPL-3.0-only OR MIT) AND (Apache-2.0)", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", True),
        ("GPL-2.0-only", False),
        ("GPL-2.0-only WITH Font-exception-2.0", False),
        ("Apache-2.0 WITH LLVM-exception", True),  # it only adds permissions
        ("GPL-3.0-only OR Apache-2.0 WITH LLVM-exception AND MIT", True),
        ("Apache-2.0+", True),
        ("GPL-3.0+", False),
        ("LicenseRef-NVIDIA", True),
        ("LicenseRef-Other", False),
    ],
)
def test_an_expression_is_judged_as_spdx_binds_it(expression: str, allowed: bool) -> None:
    assert is_allowed(expression, ALLOWED) is allowed


@pytest.mark.parametrize(
    "expression",
    [
        "", " ", "MIT OR", "OR MIT", "MIT Apache-2.0", "(MIT", "MIT)", "()", "MIT WITH", "(MIT) WITH LLVM-exception",
        "MIT OR OR MIT", "Dual License", "MIT/X11", "MIT, BSD", "-MIT", "(" * 40 + "MIT" + ")" * 40, "MIT OR " * 2000 + "MIT",
    ],
)  # fmt: skip
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="expected an SPDX expression"):
        is_allowed(expression, ALLOWED)


@pytest.mark.parametrize(
    "expression", ["mit or (apache-2.0 and gpl-2.0-or-later with classpath-exception-2.0)", "LicenseRef-a.b", "0BSD"]
)
def test_whatever_the_connected_side_writes_down_is_read(expression: str) -> None:
    assert is_allowed(canonicalize_license_expression(expression), ("MIT", "LicenseRef-a.b", "0BSD"))


def test_a_list_holds_names_and_names_with_an_exception() -> None:
    assert licence_name(" GPL-2.0-only  WITH Classpath-exception-2.0 ") == ALLOWED[2]
    for text in ("", "MIT OR Apache-2.0", "MIT Apache-2.0", "and", "WITH WITH WITH", "a b c d", "(MIT)"):
        with pytest.raises(ValueError, match="expected an SPDX licence"):
            licence_name(text)
