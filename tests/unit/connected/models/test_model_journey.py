"""A model from a hub to a closed machine: locked, fetched, packed, installed, and found by the hub's own library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from mirror.closed.kinds.file import install_files
from mirror.closed.kinds.model import install_models
from mirror.connected.fetching.fetch import fetch
from mirror.connected.fetching.store import Store
from mirror.connected.models.hub import hub_session
from mirror.connected.models.modellock import lock_models
from mirror.connected.stack.files import read_files
from mirror.connected.stack.models import read_models
from mirror.core.bundle.reader import open_bundle
from mirror.core.fields import Fields
from tests.support.bundles import BundleSimulator
from tests.support.hub import LoopbackHub, make_model
from tests.support.wheels import sha256_of

USE = """
import json, os, pathlib
from huggingface_hub import snapshot_download
snapshot = pathlib.Path(snapshot_download("org/tiny"))
files = [str(path.relative_to(snapshot)) for path in snapshot.rglob("*") if path.is_file()]
same = os.path.samefile(snapshot, os.environ["MODEL"])
print(json.dumps([sorted(files), same, open(os.environ["CHAT"]).read(), os.listdir(os.environ["TEMPLATES"])]))
"""


def test_what_was_locked_is_found_on_the_closed_side(hub: LoopbackHub, tmp_path: Path) -> None:
    (tmp_path / "chat.jinja").write_text("{{ messages }}")
    chat = {
        "path": "chat.jinja",
        "sha256": sha256_of(tmp_path / "chat.jinja"),
        "to": "templates/chat.jinja",
        "variable": "CHAT",
        "directory_variable": "TEMPLATES",
    }
    model = {"repository": "org/tiny", "revision": hub.add("org/tiny", make_model()), "variable": "MODEL"}
    fields = Fields({"files": [chat], "models": [model]}, "NAME.toml")
    files, models = read_files(fields.tables("files"), tmp_path), read_models(fields.tables("models"))

    lock = lock_models(models, (), now=1)
    simulator = BundleSimulator()
    with hub_session() as session:
        downloads = [*lock.downloads(), *(wish.download() for wish in files)]
        paths = fetch(downloads, Store(tmp_path / "store"), session=session)
    for pin in lock.pins:
        for file in pin.files:
            simulator.add(pin.path_of(file), paths[file.sha256], pin.repository, pin.revision)
    for wish in files:
        simulator.add(wish.path, paths[wish.sha256], wish.name)
    generation = tmp_path / "generation"
    with open_bundle(simulator.write(tmp_path / "b.tar")) as bundle:
        bundle.trust(simulator.root, ("builder",))
        bundle.verify()
        install_files(bundle, generation)
        install_models(bundle, generation)

    variables = {
        name: str(generation / path)
        for name, path in [pair for one in files for pair in one.variables]
        + [pair for one in models for pair in one.variables]
    }
    environment = {"PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home"), **variables}
    done = subprocess.run([sys.executable, "-c", USE], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = [name for name in make_model() if not name.startswith(".") and not name.endswith(".png")]
    assert json.loads(done.stdout) == [sorted(names), True, "{{ messages }}", ["chat.jinja"]]
