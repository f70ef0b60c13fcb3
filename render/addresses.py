"""What a grant covers: addresses, paths, hostnames and images, compared so that nothing slips past a prefix. Pure."""

import posixpath
import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

_HOSTNAME = re.compile(r"(\*\.)?([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_IMAGE = re.compile(
    r"([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*"  # a registry, a name
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})"
)
_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_HTTP = ("http", "https")


class Address(NamedTuple):
    """An artifact's address in normal form: scheme, host or bucket, path segments."""

    scheme: str
    place: str
    segments: tuple[str, ...]


def address(uri: str) -> Address:
    """The normal form of `uri`: percent signs decoded, `.` and `..` resolved, the query left out.

    Raises ValueError for an address that cannot be compared: with a password in it, or with what servers read in
    different ways.
    """
    parts = urlsplit(uri)
    path = unquote(parts.path, errors="strict")
    if "@" in parts.netloc and parts.scheme in _HTTP:
        raise ValueError("it holds a user name or password")
    if "\\" in path or "%" in path or any(ord(character) < 32 for character in path):
        raise ValueError("it holds characters that servers read differently")
    segments = tuple(part for part in posixpath.normpath(f"/{path}").split("/") if part)
    place = parts.netloc.lower() if parts.scheme in _HTTP else parts.netloc
    return Address(parts.scheme, place, segments)


def public(uri: str) -> str:
    """`uri` for a message: without user name, password and query. Of what is no URL only the scheme."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return f"{uri.partition(':')[0]}:…"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def covers_address(prefix: str, uri: str) -> bool:
    """Whether `uri` lies under the granted `prefix`, by whole path segments. A bare `s3://` grants every bucket.

    Raises as `address` does for `uri`.
    """
    wanted = address(uri)
    try:
        granted = address(prefix)
    except ValueError:
        return False
    if not granted.place and not granted.segments:
        return granted.scheme == wanted.scheme
    return granted[:2] == wanted[:2] and _starts(wanted.segments, granted.segments)


def covers_path(prefix: str, path: str) -> bool:
    """Whether the request path lies under `prefix`, by whole segments."""
    return _starts(_segments(path), _segments(prefix))


def is_plain_path(path: str) -> bool:
    """Whether no segment is `.` or `..`, which clients and gateways resolve in different ways."""
    return not {".", ".."} & set(path.split("/"))


def is_hostname(name: str) -> bool:
    """Whether the Gateway API takes `name`: a DNS name in lower case, perhaps with `*.` before it."""
    return len(name) <= 253 and _HOSTNAME.fullmatch(name) is not None and not re.fullmatch(r"[0-9.]+", name)


def covers_hostname(granted: str, name: str) -> bool:
    """Whether `granted` is `name`, or its wildcard: `*.example.com` grants what lies under it, one level or more."""
    return granted == name or (granted.startswith("*.") and name.endswith(granted[1:]))


def is_tag(version: str) -> bool:
    """Whether `version` may stand in an image reference."""
    return _TAG.fullmatch(version) is not None


def is_pinned(image: str) -> bool:
    """Whether `image` is a reference that says which one it is, by a tag or a digest."""
    return _IMAGE.fullmatch(image) is not None


def is_label_name(name: str) -> bool:
    """Whether Kubernetes takes `name` for a label or an annotation: a name, perhaps with a domain and `/` before it."""
    domain, slash, plain = name.rpartition("/")
    return _LABEL.fullmatch(plain) is not None and (not slash or is_hostname(domain))


def is_label_value(value: str) -> bool:
    """Whether Kubernetes takes `value` for that of a label."""
    return not value or _LABEL.fullmatch(value) is not None


def covers_image(prefix: str, image: str) -> bool:
    """Whether `image` lies under `prefix`, which ends a path segment, a name or a tag."""
    return image.startswith(prefix) and (
        image == prefix or prefix.endswith(("/", ":", "@")) or image[len(prefix)] in "/:@"
    )


def _segments(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)


def _starts(whole: tuple[str, ...], prefix: tuple[str, ...]) -> bool:
    return whole[: len(prefix)] == prefix
