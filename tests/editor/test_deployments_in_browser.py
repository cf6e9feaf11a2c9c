"""Tabs that were opened before a deployment, whose editors do not know what new ones write."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.harness.server import Server

from .conftest import Visit

pytestmark = pytest.mark.browser

ADD_A_NODE = """
    from pycrdt import XmlElement, XmlFragment, XmlText
    from collab import documents

    with documents.edit("sheets/new") as doc:
        body = doc.get("default", type=XmlFragment)
        for name in ("callout", "paragraph"):
            body.children.append(XmlElement(name, contents=[XmlText(f"in a {name}")]))
"""
READ = """
    from pycrdt import XmlFragment
    from collab import documents

    print(documents.read("sheets/new").get("default", type=XmlFragment))
"""


def test_an_old_tab_deletes_no_node_that_it_does_not_know(visit: Visit, pages: Server) -> None:
    """y-prosemirror#275, tiptap#6927: an editor deletes nodes that its schema does not have."""
    old = visit("/page/sheets/new", "Ann")
    old.expect_state("saved")
    old.text.click()
    old.page.keyboard.type("Before.")
    expect(old.text).to_contain_text("Before.")
    old.expect_state("saved")
    pages.terminate()
    pages.environment["COLLAB_TEST_STRUCTURE"] = "2"
    pages.run_code(ADD_A_NODE)
    pages.start()
    # The old editor has what it knows of the new content, and says what to do.
    expect(old.text).to_contain_text("in a paragraph")
    old.expect_state("outdated")
    expect(old.editor.locator("output")).to_have_text("Reload the page")
    old.text.click()
    old.page.keyboard.type("Not typed.")
    expect(old.text).to_have_attribute("contenteditable", "false")
    # A server that ends has received and stored all that the tab has sent.
    pages.terminate()
    assert pages.run_code(READ).strip() == (
        "<paragraph>Before.</paragraph><callout>in a callout</callout>"
        "<paragraph>in a paragraph</paragraph>"
    )
