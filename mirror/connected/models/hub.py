"""A Hugging Face hub: the files of a repository at one revision, with sizes and digests.

``huggingface_hub`` speaks the hub's API, over the same bounded exchanges as all else here
(``mirror.connected.fetching.transport``); ``mirror.connected.fetching.fetch`` fetches what was locked, for that is resumed and
held to a digest. ``mirror.connected.models.selection`` chooses the files.

Rules: the hub's digest of a large file is taken as it is, at the moment of locking; of a small one the hub knows git's SHA-1
alone, so it is fetched, held to that, and hashed here. The user's token (``HF_TOKEN``, or what ``hf auth login`` left) goes to
the hub that the user's own ``HF_ENDPOINT`` names, or to huggingface.co, and to no hub that only ``NAME.toml`` names; it is
never written or shown.

Example::

    with HubRepository(hub_of(wish.endpoint), wish.repository, wish.revision) as repository:
        digests = [repository.sha256(file) for file in repository.files()]
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_auth_from_url, get_netrc_auth

from mirror.connected.fetching.download import redacted
from mirror.connected.fetching.patience import PATIENCE, Patience
from mirror.connected.fetching.transport import (
    BadReply,
    HostUnreachable,
    HttpRefused,
    answered,
    body,
    get_bytes,
    limited,
    new_session,
    refuse_compressed,
)
from mirror.connected.stack.models import HUB, hub_url
from mirror.core.errors import InvalidDocument, MirrorError
from mirror.core.names import Sha256Hex, sha256_hex

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub.hf_api import RepoSibling

MAX_SMALL_BYTES = 64 << 20
"""Largest file that is fetched to be hashed; a hub keeps those of more than 10 MB by their SHA-256."""

MAX_LIST_BYTES = 64 << 20
"""Largest list of a repository's files that is read; one of 10,000 files has 5 MB."""

_MAX_PATH = 4096
_MAX_SIZE = 10**18
"""What a manifest can say: numbers of 18 digits."""

_NO_HUBS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, AssertionError)
_TOKEN = re.compile(r"[!-~]+")


class ModelUnavailable(MirrorError):
    """The hub does not give a repository at a revision to this user."""

    ref = "model-unavailable"
    exit_code = 25
    message = "{repository} at {revision} cannot be fetched from {hub}: {problem}"

    repository: str
    revision: str
    hub: str
    problem: str
    hint: str = "Correct repository and revision in NAME.toml: both are on the model's page on the hub."


@dataclass(frozen=True)
class HubFile:
    """One file of a repository.

    Attributes:
        path: in the repository.
        size: bytes.
        sha256: by the hub's word; None for one that only git knows.
        git_sha1: of git's blob; empty where the hub says none.
        url: where it is fetched.
    """

    path: str
    size: int
    sha256: Sha256Hex | None
    git_sha1: str
    url: str


def hub_of(endpoint: str, environment: Mapping[str, str] = os.environ) -> str:
    """The hub that is asked: the one that ``NAME.toml`` names; for huggingface.co, what stands in for it in ``HF_ENDPOINT``.

    Raises:
        InvalidDocument: when ``HF_ENDPOINT`` is no URL.
    """
    stated = environment.get("HF_ENDPOINT", "")
    if endpoint != HUB or not stated:
        return endpoint
    try:
        return hub_url(stated)
    except ValueError as exc:
        raise InvalidDocument("HF_ENDPOINT", "", str(exc)).advised("Correct that variable, or unset it.") from exc


def file_url(hub: str, repository: str, revision: str, path: str) -> str:
    """Where a hub serves a file; large ones by a redirect to other servers."""
    return f"{hub}/{repository}/resolve/{revision}/{quote(path)}"


def hub_session(connections: int = 16) -> requests.Session:
    """As ``new_session``, and the user's hub is given the user's token."""
    session = new_session(connections)
    session.auth = HubAuth(user_token())
    return session


def user_token() -> str | None:
    """The user's token for the hub, from ``HF_TOKEN`` or where the hub's own tools keep it; None without one.

    Raises:
        InvalidDocument: when it is none that a request can carry, or the hub's library cannot get it.
    """
    from huggingface_hub import get_token  # here, for importing it takes a second that no other command has to wait
    from huggingface_hub.errors import OIDCError

    try:
        token = get_token()
    except OIDCError as exc:
        raise InvalidDocument("HF_OIDC_RESOURCE", "", f"it gives no token: {exc}") from exc
    if token and not _TOKEN.fullmatch(token):  # requests would put the whole of it into its own error
        raise InvalidDocument("HF_TOKEN", "", "a token has printable ASCII characters alone, and no blanks")
    return token


class HubAuth(AuthBase):
    """Gives the user's token to the user's hub alone; any other server gets what its URL or ``~/.netrc`` has for it.

    requests takes it out again when a redirect leads to another host.
    """

    def __init__(self, token: str | None, hub: str | None = None) -> None:
        self._token, self._hub = token, urlsplit(hub or hub_of(HUB))

    def token_for(self, url: str) -> str | None:
        parts = urlsplit(url)
        return self._token if (parts.scheme, parts.netloc) == (self._hub.scheme, self._hub.netloc) else None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        url = request.url or ""
        if token := self.token_for(url):
            request.headers["Authorization"] = f"Bearer {token}"
            return request
        stated = get_auth_from_url(url)
        login = stated if any(stated) else get_netrc_auth(url)
        return HTTPBasicAuth(*login)(request) if login else request


def _client(session: requests.Session, patience: Patience) -> httpx2.Client:
    """What ``huggingface_hub`` asks with, in place of a client of its own, whose answers have no limits."""
    import httpx2
    from huggingface_hub import is_offline_mode
    from huggingface_hub.errors import OfflineModeIsEnabled

    class Bounded(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            if is_offline_mode():
                raise OfflineModeIsEnabled("HF_HUB_OFFLINE is set")
            url, headers = str(request.url), {"User-Agent": request.headers.get("User-Agent", "")}
            with answered(session, request.method, url, headers, patience) as response:
                refuse_compressed(response)
                chunks = body(response, patience, whole_s=patience.document_s)
                content = b"".join(limited(chunks, redacted(url), MAX_LIST_BYTES))
                return httpx2.Response(response.status_code, headers=dict(response.headers), content=content)

    return httpx2.Client(transport=Bounded())


def _is_text(value: object) -> bool:
    """Whether it is a text that UTF-8 has: JSON's escapes can say one half of a pair alone."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


class HubRepository:
    """A repository of a hub at one revision, for as long as the ``with`` block lasts.

    Args:
        hub: see ``hub_of``.
    """

    def __init__(self, hub: str, repository: str, revision: str, patience: Patience = PATIENCE) -> None:
        self.hub, self.repository, self.revision, self._patience = hub, repository, revision, patience
        self._asked = f"{hub}/api/models/{repository}/revision/{revision}"
        self._session = hub_session()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def files(self) -> tuple[HubFile, ...]:
        """Its files, in order of path.

        Raises:
            ModelUnavailable: the hub knows no such repository or revision, or does not give it to this user.
            HostUnreachable, HttpRefused: no answer, or another; after ``patience.attempts``.
            BadReply: an answer that says less than it should, or what no lock can hold.
        """
        files = self._patience.persist(lambda: tuple(sorted(self._ask(), key=lambda file: file.path)))
        self._check_names(files)
        return files

    def sha256(self, file: HubFile) -> Sha256Hex:
        """A file's digest: the hub's, or that of the bytes where the hub has none.

        Raises:
            ModelUnavailable: when the hub shows the file's name alone to this user.
            BadReply: when the bytes are not those of the revision.
            MirrorError: as ``mirror.connected.fetching.transport.get_bytes`` does.
        """
        if file.sha256 is not None:
            return file.sha256
        try:
            data = get_bytes(self._session, file.url, min(file.size, MAX_SMALL_BYTES), self._patience)
        except HttpRefused as exc:
            if exc.status in (401, 403):
                raise self._gated(exc.status) from exc
            raise
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        if blob != file.git_sha1:
            raise BadReply(file.url, f"the hub lists git object {file.git_sha1}, the bytes that came are {blob}")
        return Sha256Hex(hashlib.sha256(data).hexdigest())

    def _ask(self) -> Iterator[HubFile]:
        from httpx2 import HTTPError
        from huggingface_hub import HfApi, set_client_factory
        from huggingface_hub import errors as hub_errors

        set_client_factory(partial(_client, self._session, self._patience))
        token = HubAuth(user_token()).token_for(self.hub)
        try:
            info = HfApi(endpoint=self.hub, token=token or False, library_name="mirror").model_info(
                self.repository, revision=self.revision, files_metadata=True, timeout=self._patience.read_s
            )
        except hub_errors.OfflineModeIsEnabled as exc:
            raise self._refused("HF_HUB_OFFLINE is set here", "Unset HF_HUB_OFFLINE, and lock again.") from exc
        except hub_errors.GatedRepoError as exc:
            raise self._gated(exc.response.status_code) from exc
        except hub_errors.RevisionNotFoundError as exc:
            where = f"{self.hub}/{self.repository}/commits/main"
            raise self._refused("it has no such revision", f"Copy the 40 digits of a commit from {where}.") from exc
        except hub_errors.HfHubHTTPError as exc:
            raise self._named(exc.response.status_code, bool(token)) from exc
        except HTTPError as exc:
            raise HostUnreachable(self._asked, str(exc) or type(exc).__name__) from exc
        except _NO_HUBS as exc:  # the library goes by what the hub itself answers
            why = "it is no JSON" if isinstance(exc, json.JSONDecodeError) else "its JSON has another form"
            lacks = f"it lacks {exc}" if isinstance(exc, KeyError) else why
            raise BadReply(self._asked, f"its answer is not that of a hub: {lacks}") from exc
        if info.sha != self.revision:
            raise BadReply(self._asked, f"it answers with revision {info.sha!r}")
        return (self._file(one) for one in info.siblings or ())

    def _file(self, one: RepoSibling) -> HubFile:
        """One entry, of which the library promises types and checks none."""
        path, size = one.rfilename, one.size
        if not _is_text(path) or not 0 < len(path) <= _MAX_PATH:
            raise BadReply(self._asked, f"it lists a file by what is no name: {path!a:.80}")
        if size is None or not (one.lfs or one.blob_id):
            raise BadReply(self._asked, f"it gives no size and digest of {path!r}")
        if type(size) is not int or not 0 <= size < _MAX_SIZE or (one.lfs and one.lfs.size != size):
            said = f"{size!r:.40}" + (f" and {one.lfs.size!r:.40}" if one.lfs else "")
            raise BadReply(self._asked, f"its size of {path!r} is none: {said}")
        try:
            digest = sha256_hex(str(one.lfs.sha256)) if one.lfs else None
        except ValueError as exc:
            raise BadReply(self._asked, f"its sha256 of {path!r} is none: {exc}") from exc
        url = file_url(self.hub, self.repository, self.revision, path)
        return HubFile(path, size, digest, str(one.blob_id or ""), url)

    def _check_names(self, files: Sequence[HubFile]) -> None:
        """Raises BadReply for two files of one name, and for one that would have to be another's directory."""
        names = {file.path for file in files}
        for before, file in pairwise(files):
            if before.path == file.path:
                raise BadReply(self._asked, f"it lists {file.path!r} twice")
        for file in files:
            parts = file.path.split("/")
            above = next((one for one in accumulate(parts[:-1], "{}/{}".format) if one in names), None)
            if above is not None:
                raise BadReply(
                    self._asked, f"it lists {above!r} and {file.path!r}, and one name is no file and directory"
                )

    def _named(self, status: int, with_token: bool) -> MirrorError:
        """An error status as an error of ours. A hub says 401 also of what is not there."""
        if status == 403:
            return self._refused(
                "the hub, or a proxy on the way to it, refuses (403)",
                f"Look at {self.hub}/{self.repository}: if it asks for terms to be accepted, do so, and set HF_TOKEN to a "
                "token of that account; if a proxy answers, ask for the hub to be let through, or name a copy of it in "
                "HF_ENDPOINT.",
            )
        if status not in (401, 404):
            return HttpRefused(self._asked, status, "")
        sent = "with this user's token" if with_token else "without a token"
        return self._refused(
            f"the hub knows no such repository, asked {sent} ({status})",
            f"Look whether there is a {self.hub}/{self.repository}. A private one needs a token that may read it: set "
            "HF_TOKEN, and lock again.",
        )

    def _gated(self, status: int) -> ModelUnavailable:
        return self._refused(
            f"the hub gives it only to accounts that accepted its terms ({status})",
            f"Accept them on {self.hub}/{self.repository}, set HF_TOKEN to a token of that account, and lock again.",
        )

    def _refused(self, problem: str, hint: str) -> ModelUnavailable:
        return ModelUnavailable(self.repository, self.revision, self.hub, problem, hint)
