"""Makes what lies here, with the code of commit c23d5e1: two bundles, and a prefix that the first was installed to.

    git worktree add ../old c23d5e1 && cd ../old && scripts/setup
    PYTHONPATH=. .venv/bin/python THIS_FILE OUTPUT

The bundles carry a pip of a few lines in the place of 20 MB of uv. The prefix was made in ``PLACE`` with the system's Python
3.11; whoever unpacks it elsewhere puts its own place for that one.
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

from mirror.closed.install import Options, install
from tests.support.bundles import BundleSimulator, this_machine
from tests.support.wheels import make_wheel

PLACE = Path("/tmp/mirror-of-before")
PYTHON = Path("/usr/bin/python3.11")

PIP = """\
import hashlib, os, re, site, sys, zipfile
from pathlib import Path
from urllib.parse import urljoin
from urllib.request import urlopen, urlretrieve

links, (wanted,) = os.environ["PIP_FIND_LINKS"], [sys.argv[at + 1] for at, word in enumerate(sys.argv) if word == "-r"]
page = urlopen(links).read().decode()
for name, sha256 in re.findall(r"^([a-z-]+)==.*--hash=sha256:([0-9a-f]{64})", Path(wanted).read_text(), re.M):
    (link,) = [one for one in re.findall(r'href="([^"#]+)', page) if one.rpartition("/")[2].startswith(name.replace("-", "_"))]
    path, _ = urlretrieve(urljoin(links, link))
    assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == sha256
    with zipfile.ZipFile(path) as wheel:
        wheel.extractall(site.getsitepackages()[0])
"""


def main(output: Path) -> None:
    PLACE.mkdir()
    pip = make_wheel(PLACE / "pip", "pip", "99", files={"pip/__init__.py": b"", "pip/__main__.py": PIP.encode()})
    bundles = []
    for number, version in enumerate(("1.0", "1.1")):
        simulator = BundleSimulator("demo", 1_790_000_000 + number, this_machine(python="3.11"))
        simulator.add_wheel(pip, "tool")
        simulator.add_wheel(make_wheel(PLACE / version, "left-pad", version))
        bundles.append(simulator.write(output / f"left-pad-{version}.tar", ("left_pad",)))
    (output / "fingerprint").write_text(f"{simulator.root.fingerprint}\n")
    install(Options(bundles[0], PLACE / "p", PYTHON), simulator.store(PLACE / "trust"))
    with tarfile.open(output / "prefix.tar.gz", "w:gz") as archive:
        archive.add(PLACE / "p", "p")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
