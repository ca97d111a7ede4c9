"""A student presses "deadlock", and sees the liveness probe restart the container."""

import re

import pytest
from playwright.sync_api import expect

CHAPTER = "04_replication_and_probes.ipynb"


def run_all(page):
    """Once the kernel is idle: JupyterLab drops what it is asked to run before."""
    page.locator(".jp-StatusBar-TextItem", has_text="| Idle").wait_for()
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()


@pytest.mark.timeout(240)
def test_deadlock_is_pressed_and_the_probe_restarts_the_container(page, desk, screenshot):
    page.goto(desk.put(CHAPTER, until="FailurePanel(lab)"))
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    run_all(page)
    panel = page.locator(".kl-panel")
    panel.wait_for()
    panel.scroll_into_view_if_needed()
    pod = panel.locator("tr[data-name='with-probe']")
    expect(pod).to_have_attribute("data-state", "ready")
    pod.locator("input").check()
    panel.get_by_role("button", name="Deadlock").click()
    expect(panel.locator(".kl-twins")).to_contain_text("with-probe")
    expect(pod).to_have_attribute("data-restarts", "1", timeout=60_000)
    expect(panel.locator(".kl-events")).to_contain_text("Killing")
    panel.scroll_into_view_if_needed()
    assert screenshot("04_deadlock_restarted").stat().st_size > 20_000
