"""Real bundles, small and signed, made in a test's directory; and one edit each that makes them bad.

After python-tuf's RepositorySimulator: a test takes a good bundle, changes one thing, and meets the error with that name.

Example::

    simulator = BundleSimulator()
    simulator.add_wheel(make_wheel(tmp_path, "left-pad", "1.0"))
    bundle = simulator.write(tmp_path / "bundle.tar", imports=("left_pad",))
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

from mirror.connected.packing.meta import install_txt, rpms_json
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.bundle.reader import Bundle
from mirror.core.bundle.writer import Source, pack
from mirror.core.errors import MirrorError
from mirror.core.kinds import DIRECTORIES, WHEEL
from mirror.core.names import Sha256Hex
from mirror.core.target import Target
from mirror.core.trust.chain import Documents, fingerprint
from mirror.core.trust.truststore import TrustStore
from mirror.core.wheels.wheelfile import read_wheel
from tests.support.keys import make_root, sign_manifest, sign_root, trust_store
from tests.support.wheels import add_dist_info

SEQUENCE = 1_790_000_000


def this_machine(**changes: str) -> Target:
    """A target that the machine running the tests fits; without a GPU."""
    fields = {"python": "3.11", "arch": os.uname().machine, "glibc": "2.17", **changes}
    return Target(**fields)


class BundleSimulator:
    """A bundle in the making, and who signs it.

    Attributes:
        name, sequence, target: as in the manifest; a test may change them before ``write``.
        root: the one that is carried; its fingerprint is what an operator is told.
        chain: all roots that are carried, where ``root`` is not the only one.
        signers: names of those who sign the manifest, as in ``tests.support.keys``.
        host_packages: as in ``Manifest``.
    """

    def __init__(self, name: str = "demo", sequence: int = SEQUENCE, target: Target | None = None) -> None:
        self.name, self.sequence, self.target = name, sequence, target or this_machine()
        self.root = make_root()
        self.chain: Documents = ()
        self.signers: tuple[str, ...] = ("builder",)
        self.host_packages: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
        self._artifacts: dict[str, Artifact] = {}
        self._sources: dict[str, Source] = {}

    def add(self, path: str, source: Source, name: str = "", version: str = "", unpacked_size: int = 0) -> Artifact:
        """Take in a file or bytes under a path of the tar."""
        data = source if isinstance(source, bytes) else source.read_bytes()
        digest = Sha256Hex(hashlib.sha256(data).hexdigest())
        filename = path.split("/")[1]
        artifact = Artifact(path, len(data), digest, name or filename, version, unpacked_size=unpacked_size)
        self._artifacts[path], self._sources[path] = artifact, source
        return artifact

    def add_wheel(self, wheel: Path, directory: str = "wheels") -> Artifact:
        """Take in a wheel; into ``tool`` for uv and pip."""
        project, version = wheel.name.split("-")[:2]
        name = project.replace("_", "-").lower()
        with wheel.open("rb") as stream:
            size = read_wheel(stream).unpacked_size
        return self.add(f"{directory}/{wheel.name}", wheel, name, version, unpacked_size=size)

    def add_rpms(self, rpms: Sequence[Path], key: str, fingerprint: str) -> None:
        """Take in RPMs and the list that pins who signed them."""
        added = []
        for rpm in rpms:
            name, version, release = rpm.name.rsplit(".", 2)[0].rsplit("-", 2)
            added.append((self.add(f"rpms/{rpm.name}", rpm, name, f"{version}-{release}"), rpm.name[: -len(".rpm")]))
        self.add("meta/rpms.json", rpms_json([fingerprint], key, added))

    def store(self, directory: Path) -> TrustStore:
        """A trust store in which this bundle's root is trusted."""
        return trust_store(directory, self.root)

    def manifest(self, imports: tuple[str, ...] = ()) -> Manifest:
        if "meta/install.txt" not in self._artifacts:
            wheels = [artifact for artifact in self._artifacts.values() if artifact.kind is WHEEL]
            self.add("meta/install.txt", install_txt(wheels))
        ordered = sorted(self._artifacts.values(), key=lambda item: (DIRECTORIES.index(item.directory), item.path))
        roots = tuple(fingerprint(document) for document, _ in self.chain) or (self.root.fingerprint,)
        return Manifest(
            self.name,
            self.sequence,
            self.target,
            tuple(ordered),
            roots,
            imports,
            "0.1.0",
            host_packages=self.host_packages,
        )

    def write(self, path: Path, imports: tuple[str, ...] = ()) -> Path:
        """Sign and pack."""
        manifest = self.manifest(imports)
        data = manifest.encode()
        signatures = [sign_manifest(data, name) for name in self.signers]
        pack(manifest, data, signatures, self.chain or (sign_root(self.root),), self._sources, path)
        return path


def verify_both_ways(bundle: Bundle) -> None:
    """Verify a trusted bundle in parallel and in one reading, which must say the same."""
    fault: MirrorError | None = None
    try:
        bundle.verify()
    except MirrorError as exc:
        fault = exc
    try:
        bundle.verify_whole()
    except MirrorError as exc:
        assert (type(exc), str(exc)) == (type(fault), str(fault))
        raise
    assert fault is None, f"one reading does not notice: {fault}"


def flip_last_byte_of(bundle: Path, content: bytes) -> None:
    """Damage the one place in a bundle where ``content`` is."""
    data = bytearray(bundle.read_bytes())
    assert data.count(content) == 1, "the content must be found once"
    data[data.index(content) + len(content) - 1] ^= 1
    bundle.write_bytes(data)


def make_uv_wheel(directory: Path) -> Path:
    """The wheel of the uv that is installed here, as far as an installer needs it: without compression, so that it is quick."""
    import uv

    return _zip(directory / "uv-0.0.1-py3-none-any.whl", {"uv-0.0.1.data/scripts/uv": Path(uv.find_uv_bin())})


def make_pip_wheel(directory: Path) -> Path:
    """The wheel of the pip that is installed here."""
    import pip

    package = Path(pip.__file__).parent
    files = {
        f"pip/{path.relative_to(package)}": path
        for path in package.rglob("*")
        if path.suffix in (".py", ".txt", ".pem")
    }
    return _zip(directory / f"pip-{pip.__version__}-py3-none-any.whl", files)


def _zip(path: Path, members: dict[str, Path]) -> Path:
    """A wheel with a ``.dist-info`` of its own; members are stored as they are."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, source in sorted(members.items()):
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), source.read_bytes())
        add_dist_info(archive, path.name)
    return path
