"""A student at the failure panel: what the page shows after a press, by mouse and by keyboard, in light and in dark."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

CHAPTER = "04_replication_and_probes.ipynb"
THEMES = "/lab/api/settings/@jupyterlab/apputils-extension:themes"
SOON = 60_000  # milliseconds for what a cluster does in its own time


def run_all(page: Page) -> None:
    """Once the kernel is idle: JupyterLab drops what it is asked to run before."""
    page.locator(".jp-StatusBar-TextItem", has_text="| Idle").wait_for()
    choose(page, "Run", "Run All Cells")


def choose(page: Page, menu: str, item: str) -> None:
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{menu}$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{item}")).click()


def opened(page: Page, desk) -> Locator:
    """The panel in a chapter that was run up to it, both pods ready."""
    page.goto(desk.put(CHAPTER, until="FailurePanel(lab)"))
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    run_all(page)
    panel = page.locator(".kl-panel")
    panel.wait_for()
    panel.scroll_into_view_if_needed()
    for pod in ("with-probe", "without-probe"):
        expect(row(panel, pod)).to_have_attribute("data-state", "ready", timeout=SOON)
        expect(row(panel, pod)).to_have_attribute("data-restarts", "0")
    return panel


def row(panel: Locator, pod: str) -> Locator:
    return panel.locator(f"tr[data-name='{pod}']")


def predict(panel: Locator, failure: str, answer: str) -> Locator:
    """Press a locked button, answer its question, and return the button, unlocked."""
    button = panel.get_by_role("button", name=failure)
    expect(button).to_have_attribute("aria-disabled", "true")
    button.click(force=True)  # Playwright waits for what is aria-disabled; a press of it leads to the question
    panel.locator(".kl-question label", has_text=answer).locator("input").check()
    panel.get_by_role("button", name="That is my prediction").click()
    expect(button).to_have_attribute("aria-disabled", "false")
    expect(panel.locator(".kl-question")).to_be_hidden()
    return button


@pytest.mark.timeout(240)
def test_deadlock_is_pressed_and_the_probe_restarts_the_container(page, desk, screenshot):
    panel = opened(page, desk)
    row(panel, "with-probe").locator("input").check()
    predict(panel, "Deadlock", "another pod takes its place").click()
    expect(panel.locator(".kl-twins")).to_contain_text("pods/with-probe/proxy/fault/deadlock")
    expect(panel.locator(".kl-no").first).to_be_visible()  # a request that nobody answered
    expect(row(panel, "with-probe").locator(".kl-restarts")).to_have_text("1 · Error (exit code 137)", timeout=SOON)
    for reason in ("Unhealthy", "Killing", "Started"):
        expect(panel.locator(".kl-events")).to_contain_text(reason)
    expect(row(panel, "without-probe").locator(".kl-restarts")).to_have_text("0")
    verdict = panel.locator(".kl-verdict")
    expect(verdict).to_contain_text("✗ Not as you said: deadlock in with-probe", timeout=SOON)
    expect(verdict).to_contain_text("RESTARTS 0 → 1, after Error (exit code 137)")
    expect(verdict).to_contain_text("And your answer?")
    panel.scroll_into_view_if_needed()
    assert screenshot("04_deadlock_restarted").stat().st_size > 20_000


@pytest.mark.timeout(240)
def test_the_keyboard_is_enough_and_a_node_can_be_lost(page, desk, screenshot):
    panel = opened(page, desk)
    row(panel, "with-probe").locator("input").focus()
    page.keyboard.press("ArrowDown")
    expect(row(panel, "without-probe").locator("input")).to_be_checked()
    page.keyboard.press("Tab")
    crash = panel.get_by_role("button", name="Crash")
    expect(crash).to_be_focused()
    page.keyboard.press("Space")  # still locked: leads to the question
    expect(panel.locator(".kl-question input").first).to_be_focused()
    for key in ("Space", "Tab", "Enter"):
        page.keyboard.press(key)
    expect(crash).to_have_attribute("aria-disabled", "false")
    crash.focus()
    page.keyboard.press("Space")
    expect(row(panel, "without-probe")).to_have_attribute("data-restarts", "1", timeout=SOON)
    back, lose = panel.get_by_role("button", name="Node back"), panel.get_by_role("button", name="Lose node")
    expect(back).to_have_attribute("aria-disabled", "true")
    node = row(panel, "without-probe").locator(".kl-node").inner_text()
    predict(panel, "Lose node", "it stays, Terminating")
    lose.focus()
    page.keyboard.press("Enter")
    expect(panel.locator(".kl-nodes")).to_contain_text(f"{node} NotReady", timeout=SOON)
    screenshot("04_node_lost")
    back.focus()
    page.keyboard.press("Space")
    expect(panel.locator(".kl-nodes")).not_to_contain_text("NotReady", timeout=SOON)
    expect(back).to_have_attribute("aria-disabled", "true")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_it_follows_the_theme_and_a_narrow_window_and_says_when_the_kernel_has_ended(page, desk, screenshot, theme):
    headers = {"Authorization": f"token {desk.token}"}
    set_theme = f"{desk.url}{quote(THEMES, safe='/:')}"
    page.request.put(set_theme, headers=headers, data={"raw": f'{{"theme": "{theme}"}}'})
    page.set_viewport_size({"width": 700, "height": 1000})
    panel = opened(page, desk)
    ground, text = (
        panel.evaluate(f"element => getComputedStyle(element).{name}") for name in ("backgroundColor", "color")
    )
    assert (brightness(ground) < brightness(text)) == (theme == "JupyterLab Dark")
    assert panel.evaluate("element => element.scrollWidth <= element.clientWidth")
    screenshot(f"04_panel_narrow_{theme.rpartition(' ')[2].lower()}")
    choose(page, "Kernel", "Restart Kernel…")
    page.locator(".jp-Dialog button", has_text="Restart").click()
    expect(panel.locator(".kl-live")).to_contain_text("the kernel does not answer", timeout=SOON)
    expect(panel.get_by_role("button", name="Crash")).to_have_attribute("aria-disabled", "true")


def brightness(colour: str) -> float:
    return sum(float(part) for part in re.findall(r"[\d.]+", colour)[:3])
