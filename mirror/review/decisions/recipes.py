"""Two recipes that check a bundle without any code of ours, for reviewers who want to be sure of more than our word.

- ``with_ssh_keygen``: ``ssh-keygen -Y verify`` (OpenSSH 8.1 or newer), tar, awk and sha256sum.
- ``with_openssl``: sh, openssl 3 and coreutils, nothing else; the tar is read by its offsets.

Each is a script of sh with the bundle's name and the trusted keys filled in. It ends with exit code 0 and a line that begins
with ``ok``, or with another exit code at the first thing that is wrong. Whose keys are trusted is the reviewer's decision:
they compare them with what they were told by another way than the bundle (``mirror trust export``).

Rules: the signature is checked before the list is used, the list before any file is unpacked; nothing is missing, added,
renamed or put into another order; nothing follows the archive's end; thresholds are counted by distinct keys; an expired root
trusts nothing. Refusals beside the file are pointed at, not judged.

Example::

    Path("check.sh").write_text(with_openssl("bundle.tar", root))
"""

from __future__ import annotations

import shlex

from mirror.core.trust.root import Root
from mirror.core.words import utc

_HEAD = """\
#!/bin/sh
# Checks {name} without mirror: {means}.
# Run it in the directory of {name}. The keys below are those of root version {version}, sha256
#   {fingerprint}
# compare that fingerprint with the one you were told, or the keys with the ones you know.
set -eu
export LC_ALL=C
bundle={quoted}
place=${{TMPDIR:-/tmp}}
[ -z "$(find "$place/." -prune ! -perm -1000 \\( -perm -0002 -o ! -user "$(id -u)" \\))" ] ||
    echo "note: others may be able to exchange files in $place: set TMPDIR" >&2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {{ echo "refused: $*" >&2; exit 1; }}
{expiry}for beside in "$bundle".rejection*.json; do
    [ ! -f "$beside" ] || echo "note: $beside may be a refusal, and is not checked here: read it" >&2
done
"""

_SSH_KEYGEN = """\
cat > "$work/allowed_signers" <<'END'
{allowed}END

# 1. Who signed the manifest: in SIG/, and beside the file.
tar -xOf "$bundle" MANIFEST.json > "$work/MANIFEST.json" 2>/dev/null || fail "no MANIFEST.json"
tar -tf "$bundle" > "$work/listed" || fail "tar cannot read it"
: > "$work/signed"
check() {{  # NAMES SIGNATURE-FILE: note each key that made it
    for who in $1; do
        if ssh-keygen -Y verify -f "$work/allowed_signers" -I "$who" -n mirror-manifest@v1 -s "$2" \\
            < "$work/MANIFEST.json" > /dev/null 2>&1; then echo "$who" >> "$work/signed"; fi
    done
}}
for member in $(grep '^SIG/[0-9]*\\.sig$' "$work/listed"); do
    tar -xOf "$bundle" "$member" > "$work/sig"
    check {builders} "$work/sig"
    check {approvers} "$work/sig"
done
for beside in "$bundle".approval*.sig; do
    [ ! -f "$beside" ] || {{ check {builders} "$beside"; check {approvers} "$beside"; }}
done
count() {{ for who in $1; do grep -Fx "$who" "$work/signed" || :; done | sort -u | wc -l; }}
[ "$(count {builders})" -ge {builder_threshold} ] || fail "too few builders have signed it"
[ "$(count {approvers})" -ge {approver_threshold} ] || fail "too few approvers have signed it"

# 2. The archive holds what the manifest lists, in its order, and ends there.
awk -F'"' '$2 == "path" {{ print $4 }}' "$work/MANIFEST.json" > "$work/paths"
own='^MANIFEST\\.json$|^SIG/[0-9]*\\.sig$|^ROOT/[0-9]*\\.(json|sig)$'
grep -vE "$own" "$work/listed" > "$work/members" || :
cmp -s "$work/paths" "$work/members" || fail "its members are not the ones in the manifest"
[ "$(sort "$work/listed" | uniq -d | wc -l)" -eq 0 ] || fail "a member is there twice"
tar --numeric-owner -tvf "$bundle" | grep -v '^-' > /dev/null && fail "a member is no plain file"
blocks=$(tar --numeric-owner -tvf "$bundle" | awk '{{ n += 1 + int(($3 + 511) / 512) }} END {{ print n + 2 }}')
[ "$(wc -c < "$bundle")" -eq $((blocks * 512)) ] || fail "something follows its end"

# 3. Each file has the sha256 that the manifest names.
mkdir "$work/files"
tar -xf "$bundle" -C "$work/files"
awk -F'"' '$2 == "path" {{ p = $4 }} $2 == "sha256" {{ print $4 "  " p }}' "$work/MANIFEST.json" > "$work/sums"
(cd "$work/files" && sha256sum --check --strict --quiet "$work/sums") || fail "a file is not the one that was signed"
echo "ok: $bundle is what $(sort -u "$work/signed" | tr '\\n' ' ')signed: $(wc -l < "$work/paths") files"
"""

_OPENSSL = """\
at() {{ tail -c "+$(($2 + 1))" "$1" | head -c "$3"; }}  # FILE OFFSET COUNT
octal() {{ echo "$((0$(at "$bundle" "$1" 11 | tr -cd 0-7)))"; }}
padded() {{ echo "$((($1 + 511) / 512 * 512))"; }}
name() {{ at "$bundle" "$1" 100 | tr -d '\\000'; }}

# 1. The manifest, and who signed it. PROTOCOL.sshsig: the signed data is rebuilt from the manifest's sha512.
[ "$(name 0)" = MANIFEST.json ] || fail "no MANIFEST.json"
size=$(octal 124)
at "$bundle" 512 "$size" > "$work/MANIFEST.json"
{{
    printf 'SSHSIG\\000\\000\\000\\022mirror-manifest@v1\\000\\000\\000\\000\\000\\000\\000\\006sha512\\000\\000\\000\\100'
    openssl dgst -sha512 -binary "$work/MANIFEST.json"
}} > "$work/message"
: > "$work/signed"
check() {{  # KEYS SIGNATURE-FILE: note the key that made it, if it is one of these
    while read -r line; do case $line in -----*) ;; *) printf %s "$line" ;; esac; done < "$2" |
        base64 -d > "$work/block" 2>/dev/null || return 0
    [ "$(wc -c < "$work/block")" -eq 188 ] || return 0
    {{
        printf 'SSHSIG\\000\\000\\000\\001\\000\\000\\000\\063'
        at "$work/block" 14 51
        printf '\\000\\000\\000\\022mirror-manifest@v1\\000\\000\\000\\000\\000\\000\\000\\006sha512'
        printf '\\000\\000\\000\\123\\000\\000\\000\\013ssh-ed25519\\000\\000\\000\\100'
    }} > "$work/form"
    [ "$(at "$work/block" 0 124 | base64 -w 0)" = "$(base64 -w 0 "$work/form")" ] || return 0
    key=$(at "$work/block" 14 51 | base64 -w 0)
    for known in $1; do [ "$key" = "$known" ] || continue
        {{ printf '\\060\\052\\060\\005\\006\\003\\053\\145\\160\\003\\041\\000'; at "$work/block" 33 32; }} > "$work/key"
        tail -c 64 "$work/block" > "$work/raw"
        if openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/key" -rawin -in "$work/message" \\
            -sigfile "$work/raw" > /dev/null 2>&1; then echo "$key" >> "$work/signed"; fi
    done
}}
builders={builders}
approvers={approvers}
next=$((512 + $(padded "$size")))
while :; do
    case $(name "$next") in SIG/*.sig) ;; ROOT/*.json | ROOT/*.sig) ;; *) break ;; esac
    length=$(octal $((next + 124)))
    at "$bundle" $((next + 512)) "$length" > "$work/sig"
    check "$builders $approvers" "$work/sig"
    next=$((next + 512 + $(padded "$length")))
done
for beside in "$bundle".approval*.sig; do [ ! -f "$beside" ] || check "$builders $approvers" "$beside"; done
count() {{
    found=0
    for known in $1; do
        while read -r key; do [ "$key" != "$known" ] || {{ found=$((found + 1)); break; }}; done < "$work/signed"
    done
    echo "$found"
}}
[ "$(count "$builders")" -ge {builder_threshold} ] || fail "too few builders have signed it"
[ "$(count "$approvers")" -ge {approver_threshold} ] || fail "too few approvers have signed it"

# 2. Each file that the manifest lists, in its order, with its size and sha256; the manifest's keys are sorted.
files=0 path='' sum=''
while IFS='"' read -r _ word rest value _; do
    case $word in
    path) path=$value ;;
    sha256) sum=$value ;;
    size)
        length=${{rest#: }} length=${{length%,}}
        [ "$(name "$next")" = "$path" ] || fail "$path is not where it should be"
        [ "$(at "$bundle" $((next + 156)) 1)" = 0 ] || fail "$path is no plain file"
        [ "$(octal $((next + 124)))" -eq "$length" ] || fail "$path has another size"
        found=$(at "$bundle" $((next + 512)) "$length" | sha256sum | cut -c 1-64)
        [ "$found" = "$sum" ] || fail "$path is not the file that was signed"
        next=$((next + 512 + $(padded "$length"))) files=$((files + 1))
        ;;
    esac
done < "$work/MANIFEST.json"

# 3. It ends there, with two empty blocks.
[ "$(wc -c < "$bundle")" -eq $((next + 1024)) ] || fail "something is missing at its end, or follows it"
[ "$(at "$bundle" "$next" 1024 | tr -d '\\000' | wc -c)" -eq 0 ] || fail "its end is not empty"
echo "ok: $bundle is signed by $(sort -u "$work/signed" | wc -l) of the keys above: $files files"
"""


def with_ssh_keygen(bundle: str, root: Root) -> str:
    """A script for ``ssh-keygen``, GNU tar, awk and sha256sum; ``bundle`` is its file's name, the root's keys are trusted."""
    words = {name: shlex.quote(" ".join(key.name for key in role.keys)) for name, role in root.roles()}
    body = _SSH_KEYGEN.format(allowed=root.allowed_signers(), **_thresholds(root), **_quoted(words))
    return _head(bundle, root, "ssh-keygen, tar, awk and sha256sum") + body


def with_openssl(bundle: str, root: Root) -> str:
    """A script for openssl 3 and coreutils. Arguments as ``with_ssh_keygen``."""
    words = {
        name: shlex.quote(" ".join(key.public.openssh().split(" ")[1] for key in role.keys))
        for name, role in root.roles()
    }
    return _head(bundle, root, "sh, openssl 3 and coreutils") + _OPENSSL.format(**_thresholds(root), **_quoted(words))


def _quoted(words: dict[str, str]) -> dict[str, str]:
    return {"builders": words["builder"], "approvers": words["approver"]}


def _thresholds(root: Root) -> dict[str, int]:
    return {"builder_threshold": root.builder.threshold, "approver_threshold": root.approver.threshold}


def _head(bundle: str, root: Root, means: str) -> str:
    expiry = ""
    if root.expires is not None:
        expiry = f'[ "$(date +%s)" -lt {root.expires} ] || fail "the root expired at {utc(root.expires)}"\n'
    # The comment's line must not end where the name says so: whoever carries the file chooses its name.
    shown = "".join(letter if letter.isprintable() else "?" for letter in bundle)
    return _HEAD.format(
        name=shown,
        quoted=shlex.quote(f"./{bundle}"),
        means=means,
        version=root.version,
        fingerprint=root.fingerprint,
        expiry=expiry,
    )
