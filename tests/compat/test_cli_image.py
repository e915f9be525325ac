# SPDX-License-Identifier: Apache-2.0
"""The unmodified `openstack` command on Image."""

import hashlib

import pytest

pytestmark = pytest.mark.compat


@pytest.fixture
def content(tmp_path):
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(range(256)) * 4096)
    return path


def test_upload_download_and_checksums(demo, content, tmp_path):
    image = demo(f"image create --file {content} --disk-format raw --container-format bare leaf")
    assert image["status"] in {"active", "queued"}  # the client shows what the creation answered
    shown = demo("image show leaf")
    data = content.read_bytes()
    assert (shown["status"], shown["size"]) == ("active", len(data))
    assert shown["checksum"] == hashlib.md5(data).hexdigest()
    assert shown["properties"]["os_hash_value"] == hashlib.sha512(data).hexdigest()
    copy = tmp_path / "copy"
    demo.text(f"image save --file {copy} leaf")
    assert copy.read_bytes() == data
    demo.text("image delete leaf")
    assert "No Image found" in demo.fails("image show leaf")


def test_properties_tags_and_protection(demo, content):
    demo.text(f"image create --file {content} --property colour=red --tag old stem")
    demo.text("image set --property colour=green --tag new --min-ram 64 --protected stem")
    shown = demo("image show stem")
    assert shown["properties"]["colour"] == "green"
    assert sorted(shown["tags"]) == ["new", "old"] and shown["min_ram"] == 64
    assert "403" in demo.fails("image delete stem")
    demo.text("image set --unprotected stem")
    demo.text("image unset --property colour --tag old stem")
    assert "colour" not in demo("image show stem")["properties"]
    assert [row["Name"] for row in demo("image list --tag new")] == ["stem"]
    demo.text("image delete stem")


def test_a_private_image_is_shared_by_membership(demo, openstack, content):
    demo.text(f"image create --file {content} --shared root")
    image = demo("image show root")["id"]
    admin_project = openstack("project show admin")["id"]
    demo.text(f"image add project root {admin_project}")
    openstack.text(f"image set --accept --project {admin_project} {image}")
    rows = openstack(f"image member list {image}")
    assert [row["Status"] for row in rows] == ["accepted"]
    demo.text(f"image remove project root {admin_project}")
    demo.text("image delete root")


def test_deactivated_images_cannot_be_downloaded(openstack, content, tmp_path):
    openstack.text(f"image create --file {content} --public bark")
    openstack.text("image set --deactivate bark")
    assert openstack("image show bark")["status"] == "deactivated"
    openstack.text("image set --activate bark")
    assert openstack("image show bark")["status"] == "active"
    openstack.text("image set --hidden bark")
    assert "bark" not in {row["Name"] for row in openstack("image list")}
    assert "bark" in {row["Name"] for row in openstack("image list --hidden")}
    openstack.text("image delete bark")


def test_import_through_staging(demo, content):
    demo.text("image create --disk-format raw --container-format bare twig")
    demo.text(f"image stage --file {content} twig")
    demo.text("image import --method glance-direct --wait twig")
    assert demo("image show twig")["size"] == content.stat().st_size
    demo.text("image delete twig")


def test_what_the_service_can_do(openstack):
    assert "glance-direct" in str(openstack("image import info"))
    assert openstack("image stores list")


def test_a_member_may_not_publish(demo, content):
    assert "403" in demo.fails(f"image create --file {content} --public fruit")
    for row in demo("image list --name fruit"):
        demo.text(f"image delete {row['ID']}")


def test_lists_are_sorted_and_paged(demo, content):
    for name in ("p1", "p3", "p2"):
        demo.text(f"image create --file {content} --tag paged {name}")
    rows = demo("image list --tag paged --sort name:desc --page-size 1")
    assert [row["Name"] for row in rows] == ["p3", "p2", "p1"]
    demo.text("image delete p1 p2 p3")
