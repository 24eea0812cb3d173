"""Signing with the reviewer's own ``ssh-keygen``: it knows key files, agents, hardware keys and passphrases.

For machines without the connected side's libraries. What comes back is checked by whoever asked.

Rules: of a private key only the first line is read here, which says what it is; ssh-keygen has the terminal, so that it can ask
for a passphrase or a touch; what it signs is handed to it, and lies in no file that others could exchange.

Example::

    sign = SshKeygen(Path("~/.ssh/id_ed25519")).sign
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mirror.core.errors import MirrorError, reading
from mirror.core.system.durable import open_unblocked
from mirror.core.system.filekinds import KEYS, kind_of_file

_EXPOSED = re.compile(r"Permissions 0\d+ for .* are too open")
"""What ssh-keygen says of a private key that others may read, some lines before its last."""


class CannotSign(MirrorError):
    """ssh-keygen made no signature.

    Attributes:
        reason: ssh-keygen's last line, or why it did not start.
    """

    ref = "cannot-sign"
    exit_code = 120
    hint = "It needs ssh-keygen of OpenSSH 8.1 or newer and an ed25519 key: a private key's file, or NAME.pub with an agent."
    message = "ssh-keygen made no signature with {key}: {reason}"

    key: str
    reason: str

    def __post_init__(self) -> None:
        if _EXPOSED.search(self.reason):
            self.hint = (
                "If nobody can have copied it, chmod 600 the file; else make a new key, which the root is to name."
            )
        if self.reason.startswith("No user exists for uid"):
            self.hint = (
                "ssh-keygen signs for nobody without a name in /etc/passwd, as in a container under a bare number: sign as a "
                "user who has one, or carry the file to a machine where you have one."
            )


@dataclass(frozen=True)
class SshKeygen:
    """Signs with one key.

    Attributes:
        key: a private key's file, or a public key's whose private key an agent holds.
        program: ssh-keygen.
    """

    key: Path
    program: str = "ssh-keygen"

    def __post_init__(self) -> None:
        """Refuse what is no key, before anything is looked at for long.

        Raises:
            Unreadable: when it cannot be read.
            CannotSign: when it is none.
        """
        with reading(self.key), open_unblocked(self.key) as stream:
            beginning = stream.read(512)
        if (kind := kind_of_file(beginning)) not in KEYS:
            it_is = f"it is {kind}, and " if kind else "it is "
            raise CannotSign(str(self.key), f"{it_is}no key's file").advised(
                "Name your key's own file with --key: the private key, or its NAME.pub where an agent holds it."
            )

    def sign(self, data: bytes, namespace: str) -> bytes:
        """An armored sshsig block. Raises CannotSign when it made none."""
        command = [self.program, "-Y", "sign", "-n", namespace, "-f", str(self.key)]
        try:
            # Its questions go to the terminal by /dev/tty; its messages are kept for the error.
            done = subprocess.run(
                command, input=data, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"}
            )
        except OSError as exc:
            raise CannotSign(str(self.key), f"{self.program}: {exc.strerror}") from exc
        if done.returncode or not done.stdout:
            words = done.stderr.decode("utf-8", "replace").strip().splitlines()
            last = words[-1] if words else f"exit code {done.returncode}"
            raise CannotSign(str(self.key), next((line for line in words if _EXPOSED.search(line)), last))
        return done.stdout
