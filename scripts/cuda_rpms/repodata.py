"""The repository's metadata, as createrepo_c writes it, signed as NVIDIA's is.

``repomd.xml``, ``repomd.xml.asc`` (detached signature), ``repomd.xml.key`` (the public key), and primary, filelists and
other, named after their digests.

Rules: file times are set, not found, so that the same RPMs give the same bytes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .openpgp import SigningKey, armor

# createrepo_c's librpm looks for its settings while it is imported, and complains where the host has no rpm.
os.environ.setdefault("RPM_CONFIGDIR", str(Path(__file__).with_name("librpm")))
import createrepo_c

_KINDS = (
    ("primary", createrepo_c.PrimaryXmlFile),
    ("filelists", createrepo_c.FilelistsXmlFile),
    ("other", createrepo_c.OtherXmlFile),
)


def write_repodata(directory: Path, rpms: Sequence[Path], key: SigningKey, user_id: bytes, time: int) -> None:
    """Replace ``directory/repodata`` with metadata of ``rpms``, which lie in ``directory``."""
    with tempfile.TemporaryDirectory(dir=directory, prefix=".repodata-") as scratch:
        made = Path(scratch) / "repodata"
        made.mkdir()
        _write_xml(made, rpms, time)
        repomd = (made / "repomd.xml").read_bytes()
        (made / "repomd.xml.asc").write_bytes(armor("SIGNATURE", key.sign(repomd, time)))
        (made / "repomd.xml.key").write_bytes(armor("PUBLIC KEY BLOCK", key.certificate(user_id)))
        shutil.rmtree(directory / "repodata", ignore_errors=True)
        made.rename(directory / "repodata")


def _write_xml(made: Path, rpms: Sequence[Path], time: int) -> None:
    packages = [_package(path, time) for path in sorted(rpms, key=lambda path: path.name)]
    repomd = createrepo_c.Repomd()
    repomd.set_revision(str(time))
    for kind, writer in _KINDS:
        path = made / f"{kind}.xml.gz"
        out = writer(str(path), createrepo_c.GZ_COMPRESSION)
        out.set_num_of_pkgs(len(packages))
        for package in packages:
            out.add_pkg(package)
        out.close()
        os.utime(path, (time, time))
        record = createrepo_c.RepomdRecord(kind, str(path))
        record.fill(createrepo_c.SHA256)
        record.timestamp = time
        record.rename_file()
        repomd.set_record(record)
    (made / "repomd.xml").write_text(repomd.xml_dump())


def _package(path: Path, time: int) -> createrepo_c.Package:
    package = createrepo_c.package_from_rpm(str(path), location_href=path.name)
    package.time_file = time
    return package
