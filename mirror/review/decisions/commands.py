"""The command lines with which one bundle is approved or refused: ready to be copied, with the names filled in.

Two ways, with mirror and with ``ssh-keygen`` alone; both write the same files, beside the bundle
(``mirror.core.trust.sidecars``).

Rules: each is a line of sh; names are quoted; what exists already is not written over, for the number of the next free name is
in them; only ``KEY`` and the words of a note are left to the reader.

Example::

    commands(Path("bundle.tar"), digest).approve
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirror.core.names import Sha256Hex
from mirror.core.trust.root import MANIFEST_NAMESPACE, STATEMENT_NAMESPACE
from mirror.core.trust.sidecars import FORMAT, REJECTED, shell_word, sidecar_paths, signing_command

_NOTE = """\
note=$(sed -e 's/[\\\\"]/\\\\&/g' -e '$!s/$/\\\\n/' << 'END' | tr -d '\\n'
WHY NOT
END
)"""
"""The words of a note as a JSON string holds them: they may have quotes, backslashes and several lines."""


@dataclass(frozen=True)
class Commands:
    """What to type in the bundle's directory.

    Attributes:
        verify, approve, reject: with mirror.
        approve_by_hand, reject_by_hand: with ssh-keygen and tar, several lines.
    """

    verify: str
    approve: str
    reject: str
    approve_by_hand: str
    reject_by_hand: str


def commands(bundle: Path, digest: Sha256Hex) -> Commands:
    """The commands for one bundle.

    Args:
        bundle: where it is; what lies beside it is looked at for the next free name.
    """
    name = shell_word(bundle.name)
    approval, rejection = (_next(bundle, kind) for kind in ("approval", "rejection"))
    signature, statement = shell_word(approval[0].name), shell_word(rejection[1].name)
    words = f'{{"format":"{FORMAT}","manifest_sha256":"{digest}","decision":"{REJECTED}","at":%s,"note":"%s"}}'
    return Commands(
        verify=f"mirror verify {name}",
        approve=f"{signing_command(Path(bundle.name))} --note 'WHAT YOU READ'",
        reject=f"mirror reject {name} --key KEY --note 'WHY NOT'",
        approve_by_hand=(
            f"tar -xOf {name} MANIFEST.json > MANIFEST.json\n"
            f"ssh-keygen -Y sign -n {MANIFEST_NAMESPACE} -f KEY MANIFEST.json\n"
            f"mv -n MANIFEST.json.sig {signature}"
        ),
        reject_by_hand=(
            f'{_NOTE}\nprintf \'{words}\' "$(date +%s)" "$note" > {statement}\n'
            f"ssh-keygen -Y sign -n {STATEMENT_NAMESPACE} -f KEY {statement}"
        ),
    )


def _next(bundle: Path, kind: str) -> tuple[Path, Path]:
    try:
        return sidecar_paths(bundle, kind)
    except OSError:  # as many as are read are there: say how the first is called
        return bundle.with_name(f"{bundle.name}.{kind}.sig"), bundle.with_name(f"{bundle.name}.{kind}.json")
