# SPDX-License-Identifier: Apache-2.0
"""List queries, byte ranges, addresses to fetch from, and bytes on their way in."""

import hashlib
from typing import Any
from urllib.parse import parse_qsl

import pytest

from octostack.base.errors import Conflict, Invalid, TooLarge
from octostack.services.image.core import listing, quota, ranges, states, uris
from octostack.services.image.core.intake import Intake
from octostack.services.image.core.listing import Condition
from octostack.services.image.model import Image


def asked(text: str) -> listing.Asked:
    return listing.read(parse_qsl(text, keep_blank_values=True))


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("name=a", Condition("name", "eq", "a")),
        ('name=in:a,"b,c"', Condition("name", "in", ("a", "b,c"))),
        ("name=eq:in:a", Condition("name", "eq", "in:a")),
        ("name=http://x", Condition("name", "eq", "http://x")),
        ("size_min=7", Condition("size", "gte", 7)),
        ("min_ram_max=7", Condition("min_ram", "lte", 7)),
        ("created_at=gt:1970-01-01T00:01:00Z", Condition("created_at", "gt", 60.0)),
        ("updated_at=1970-01-01T01:00:00%2B01:00", Condition("updated_at", "eq", 0.0)),
        ("protected=true", Condition("protected", "eq", True)),
        ("checksum=ab", Condition("checksum", "eq", "ab")),
    ],
)
def test_filters(text: str, condition: Condition) -> None:
    assert asked(text).conditions == (condition,)


def test_properties_tags_order_and_page() -> None:
    found = asked("hw_bus=scsi&tag=a&tag=b&sort=name:asc,size&limit=5000&marker=m&os_hidden=true")
    assert found.properties == (("hw_bus", "scsi"),)
    assert (found.tags, found.hidden, found.marker) == (("a", "b"), True, "m")
    assert found.sort == (
        ("name", "asc"), ("size", "desc"), ("created_at", "asc"), ("id", "asc"),
    )  # fmt: skip
    assert found.limit == 1000
    classic = asked("sort_key=name&sort_key=size&sort_dir=asc")
    assert classic.sort[:2] == (("name", "asc"), ("size", "asc"))


@pytest.mark.parametrize(
    "text",
    [
        "limit=x",
        "limit=-1",
        "sort_key=colour",
        "sort_dir=up",
        "sort=name&sort_key=name",
        "sort_key=name&sort_dir=asc&sort_dir=asc",
        "visibility=secret",
        "member_status=maybe",
        "os_hidden=perhaps",
        "protected=maybe",
        "size_min=x",
        "created_at=gt:yesterday",
        "created_at=like:2020-01-01",
        "name=gt:a",
        'name=in:"a',
        "changes-since=2020-01-01",
    ],
)
def test_queries_that_are_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        asked(text)
    assert caught.value.details["field"]


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-4", (0, 5)),
        ("bytes=5-", (5, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=8-99", (8, 10)),
        ("bytes=9-9", (9, 10)),
    ],
)
def test_ranges(header: str, part: tuple[int, int]) -> None:
    found = ranges.asked(header, None, 10)
    assert found == part
    assert found is not None
    assert found.content_range(10) == f"bytes {part[0]}-{part[1] - 1}/10"


@pytest.mark.parametrize(
    "header",
    ["bytes=10-", "bytes=4-2", "bytes=-", "bytes=-0", "bytes=a-b", "lines=1-2", "", "bytes=١-٢"],
)
def test_ranges_that_cannot_be_met(header: str) -> None:
    with pytest.raises(Invalid) as caught:
        ranges.asked(header, None, 10)
    assert caught.value.details["status"] == 416


def test_other_ranges() -> None:
    assert ranges.asked(None, None, 10) is None
    assert ranges.asked(None, "bytes 2-4/10", 10) == (2, 5)
    with pytest.raises(Invalid):
        ranges.asked("bytes=0-1,3-4", None, 10)
    for odd in ("bytes 4-2/10", "bytes 2-10/10", "x"):
        with pytest.raises(Invalid):
            ranges.asked(None, odd, 10)


RULES = uris.Rules()


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("http://example.org/a", "example.org"),
        ("https://example.org:443/a?b", "example.org"),
        ("http://[2001:db8::1]:80/", "2001:db8::1"),
    ],
)
def test_addresses_that_pass(uri: str, host: str) -> None:
    assert uris.host_of(uri, RULES) == host


@pytest.mark.parametrize(
    "uri",
    [
        None,
        7,
        "",
        "example.org/a",
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://",
        "http://example.org:22/",
        "http://example.org:x/",
        "http://user:word@example.org/",
        "http://exa mple.org/",
        "http://example.org/\r\nX: y",
        "http://[::1",
    ],
)
def test_addresses_that_do_not(uri: object) -> None:
    with pytest.raises(Invalid, match="does not pass filtering"):
        uris.host_of(uri, RULES)


def test_hosts_may_be_listed() -> None:
    only = uris.Rules(hosts=("good.org",))
    assert uris.host_of("http://good.org/", only) == "good.org"
    with pytest.raises(Invalid):
        uris.host_of("http://bad.org/", only)
    with pytest.raises(Invalid):
        uris.host_of("http://bad.org/", uris.Rules(disallowed_hosts=("bad.org",)))


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "0.0.0.0", "::1", "fe80::1",
     "fd00::1", "::ffff:127.0.0.1", "224.0.0.1"],
)  # fmt: skip
def test_the_cloud_itself_is_not_fetched_from(address: str) -> None:
    with pytest.raises(Invalid, match="within the cloud"):
        uris.check_addresses(["93.184.216.34", address], RULES)
    uris.check_addresses([address], uris.Rules(private_addresses=True))


def test_bytes_are_counted_hashed_and_looked_at() -> None:
    intake = Intake(100)
    for chunk in (b"ab", b"", b"cde"):
        intake.feed(chunk)
    stored = intake.finish("raw", "bare")
    assert (stored.size, stored.virtual_size, stored.refusal) == (5, 5, None)
    assert stored.checksum == hashlib.md5(b"abcde").hexdigest()
    assert stored.hash_value == hashlib.sha512(b"abcde").hexdigest()
    with pytest.raises(TooLarge):
        intake.feed(b"x" * 96)


@pytest.mark.parametrize(
    ("data", "disk", "container", "refused"),
    [
        (b"QFI\xfb" + bytes(600), "raw", "bare", True),
        (b"QFI\xfb" + bytes(600), "raw", "docker", False),
        (b"just bytes" * 60, "qcow2", "bare", True),
        (b"just bytes" * 60, "raw", "bare", False),
        (b"", "qcow2", "bare", False),
    ],
)
def test_content_must_be_what_it_says(
    data: bytes, disk: str, container: str, refused: bool
) -> None:
    intake = Intake(1 << 20)
    intake.feed(data)
    assert (intake.finish(disk, container).refusal is not None) is refused


def image(**fields: Any) -> Image:
    plain = {"id": "i", "name": "n", "owner": "p", "visibility": "shared"}
    return Image(**(plain | fields), created_at=1.0, updated_at=1.0)


def test_the_table_of_states() -> None:
    formatted = image(status="queued", disk_format="raw", container_format="bare")
    assert states.receiving(formatted, "saving", "k", 2.0).incoming_key == "k"
    with pytest.raises(Invalid, match="disk_format, container_format must be set"):
        states.moved(image(status="queued"), "saving", 2.0)
    for status, wrong in (("active", "saving"), ("saving", "uploading"), ("queued", "deactivated")):
        with pytest.raises(Conflict, match=f"from {status} to {wrong}"):
            states.moved(image(status=status, disk_format="raw", container_format="bare"), wrong, 2)


def test_quotas_in_the_words_of_the_field() -> None:
    limits = quota.Limits(image_count_total=2)
    quota.check(limits, quota.Usage(image_count_total=1), "image_count_total", 1)
    quota.check(limits, quota.Usage(image_size_total=999), "image_size_total", 999)
    with pytest.raises(TooLarge, match="image_count_total is over limit of 2"):
        quota.check(limits, quota.Usage(image_count_total=2), "image_count_total", 1)
