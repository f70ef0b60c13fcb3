"""Nothing slips past a grant."""

import pytest

from render import addresses


@pytest.mark.parametrize(
    ("prefix", "uri"),
    [
        ("s3://models/fraud/", "s3://models/fraud/scorer/1"),
        ("s3://models/fraud", "s3://models/fraud"),
        ("s3://models", "s3://models/a/../b"),
        ("s3://", "s3://anything/at/all"),
        ("file://", "file:///srv/models"),
        ("file:///srv", "file:///srv/models"),
        ("https://Store.example.com/m", "https://store.example.com/m/a.tar?sig=x"),
        ("hf://org", "hf://org/model"),
    ],
)
def test_what_is_granted(prefix: str, uri: str) -> None:
    assert addresses.covers_address(prefix, uri)


@pytest.mark.parametrize(
    ("prefix", "uri"),
    [
        ("s3://models/fraud/", "s3://models/fraudulent/1"),
        ("s3://models/fraud/", "s3://models/fraud/../pay/1"),
        ("s3://models/fraud/", "s3://models/fraud/%2e%2e/pay/1"),
        ("s3://models/fraud/", "s3://models/fraud/./..//pay/1"),
        ("s3://models/fraud/", "s3://other/fraud/1"),
        ("s3://models/", "gs://models/1"),
        ("file:///srv", "file://srv/srv/models"),
        ("file:///srv", "file:///srv/../etc"),
        ("https://store.example.com/", "https://store.example.com.evil.org/a"),
        ("https://store.example.com/", "https://store.example.com:8443/a"),
    ],
)
def test_what_is_not(prefix: str, uri: str) -> None:
    assert not addresses.covers_address(prefix, uri)


@pytest.mark.parametrize(
    "uri", ["https://a:b@c/d", "s3://a/b\\..\\c", "s3://a/%252e%252e/b", "s3://a/%00b", "s3://a/%ff"]
)
def test_what_servers_read_differently_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        addresses.covers_address("s3://a", uri)


def test_a_message_has_no_secret() -> None:
    assert addresses.public("https://me:secret@store.example.com/a?sig=secret#x") == "https://store.example.com/a"


def test_paths_hostnames_and_images() -> None:
    assert addresses.covers_path("/fraud", "/fraud/x")
    assert not addresses.covers_path("/fraud", "/fraudulent")
    assert not addresses.is_plain_path("/fraud/../pay")
    assert addresses.covers_hostname("*.example.com", "a.b.example.com")
    assert not addresses.covers_hostname("*.example.com", "example.com")
    assert not addresses.covers_hostname("*.example.com", "evilexample.com")
    assert addresses.is_hostname("*.a-b.example.com")
    assert not any(map(addresses.is_hostname, ("A.example.com", "10.0.0.1", "a..b", "-a", "a.*.b", "a" * 64, "a_b")))
    assert addresses.covers_image("ghcr.io/team", "ghcr.io/team/a:1")
    assert addresses.covers_image("ghcr.io/team/a", "ghcr.io/team/a:1")
    assert not addresses.covers_image("ghcr.io/team", "ghcr.io/teamster/a:1")
    assert addresses.is_tag("24.10-py3")
    assert not any(map(addresses.is_tag, ("", "a b", "1@sha256:0", "../x", "a" * 129)))


@pytest.mark.parametrize(
    ("image", "is_pinned"),
    [
        ("triton:24.10", True),
        ("nvcr.io/nvidia/tritonserver:24.10-py3", True),
        ("registry.example.com:5000/a/b__c:1", True),
        (f"a@sha256:{'0' * 64}", True),
        (f"a:1@sha256:{'0' * 64}", True),
        ("triton", False),
        ("registry.example.com:5000/triton", False),
        ("a:", False),
        ("a@sha256:00", False),
        (f"a:1@sha512:{'0' * 64}", False),
        ("a b:1", False),
        ("a/B:1", False),
        ("a:1\n", False),
        ("", False),
    ],
)
def test_an_image_is_pinned_by_a_tag_or_a_digest(image: str, *, is_pinned: bool) -> None:
    assert addresses.is_pinned(image) is is_pinned
