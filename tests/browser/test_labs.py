"""A student at the labs: sliders, buttons and fields by mouse and by keyboard, and what the page then shows."""

import re

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect

SOON = 60_000  # milliseconds for what a cluster does in its own time
START = 'from kubelab import course\nlab = course.start("{}")'


def opened(page: Page, desk, chapter: str, *cells: str) -> Locator:
    """A notebook of these cells, run in JupyterLab; the lab that the last of them shows."""
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in (START.format(chapter), *cells)]
    name = f"{page.context.browser.version}-lab.ipynb".replace(" ", "")
    nbformat.write(notebook, desk.folder / "notebooks" / name)
    page.goto(f"{desk.url}/lab/tree/notebooks/{name}?token={desk.token}&reset")
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    page.locator(".jp-StatusBar-TextItem", has_text="| Idle").wait_for()
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells")).click()
    lab = page.locator(".kl-lab").last
    lab.wait_for(timeout=SOON)
    lab.scroll_into_view_if_needed()
    return lab


@pytest.mark.timeout(240)
def test_sliders_predict_and_the_button_measures(page, desk, screenshot):
    lab = opened(page, desk, "04", "from kubelab.widgets.probe_budget import ProbeBudget\nProbeBudget(lab)")
    expect(lab.locator(".kl-prediction")).to_contain_text("found 5 to 7 s")
    lab.get_by_role("slider", name="periodSeconds").focus()
    page.keyboard.press("ArrowLeft")
    expect(lab.locator(".kl-prediction")).to_contain_text("found 3 to 4 s")
    lab.get_by_role("button", name="exception").click()
    expect(lab.locator(".kl-prediction")).to_contain_text("found 2 to 3 s")
    lab.get_by_role("button", name="Measure it").press("Enter")
    expect(lab.locator(".kl-said")).to_contain_text("as predicted", timeout=SOON)
    expect(lab.locator(".kl-found")).to_have_count(1)
    expect(lab.locator(".kl-doing")).to_be_hidden()
    assert screenshot("04_probe_budget").stat().st_size > 20_000


@pytest.mark.timeout(240)
def test_a_pod_leaves_the_selection_and_the_turns_say_so(page, desk, screenshot):
    lab = opened(
        page,
        desk,
        "04",
        'lab.apply("replicaset.yaml"); lab.wait_for("replicaset/rs", "complete")',
        'from kubelab.widgets.reconcile_trace import ReconcileTrace\nReconcileTrace(lab, "replicaset/rs")',
    )
    inside = lab.locator("fieldset").first
    expect(inside.locator(".kl-chip")).to_have_count(3)
    chip = inside.locator(".kl-chip").nth(1)
    pod = chip.get_attribute("data-name")
    chip.locator("input").check()
    button = lab.get_by_role("button", name="Relabel it: out")
    button.hover()
    expect(lab.locator(".kl-twins")).to_contain_text(
        f"kubectl -n kubelab-04 label pod {pod} app=gone-its-own-way --overwrite"
    )
    button.click()
    expect(lab.locator("fieldset").last.locator(".kl-chip")).to_contain_text(pod, timeout=SOON)
    expect(inside.locator(".kl-chip")).to_have_count(3)
    expect(lab.locator("tbody")).to_contain_text(f"released {pod}")
    expect(lab.locator(".kl-sum")).to_contain_text("3 wanted − 3 counted = 0")
    screenshot("04_reconcile_trace")


@pytest.mark.timeout(240)
def test_cells_are_predicted_and_all_run_at_once(page, desk, screenshot):
    lab = opened(page, desk, "04", "from kubelab.widgets.failure_grid import FailureGrid\nFailureGrid(lab)")
    lab.get_by_label("Prediction: deadlock, no probe").select_option("failed")
    lab.get_by_label("Prediction: crash, no probe").select_option("failed")
    lab.get_by_role("button", name="Run all 25").click()
    expect(lab.locator(".kl-doing")).to_be_visible()
    expect(lab.locator("[data-cell='deadlock-no-probe']")).to_contain_text("answers nobody, for ever", timeout=2 * SOON)
    expect(lab.locator("[data-cell='deadlock-no-probe']")).to_contain_text("✓ as predicted")
    expect(lab.locator("[data-cell='crash-no-probe']")).to_contain_text("✗ predicted: it stays broken")
    expect(lab.locator(".kl-said")).to_have_text("done; 1 of 2 predictions were right")
    screenshot("04_failure_grid")


@pytest.mark.timeout(240)
def test_the_timeline_goes_back_and_is_saved(page, desk, screenshot):
    lab = opened(
        page,
        desk,
        "04",
        "from kubelab.widgets.timeline import Timeline\ntimeline = Timeline(lab)",
        'lab.apply("without_probe.yaml"); lab.wait_for("pod/without-probe")\nlab.press("crash", "without-probe")\n'
        'lab.wait_for("pod/without-probe", restarts=1)',
        "timeline",
    )
    standing = lab.locator(".kl-two table").first
    expect(standing).to_contain_text("Running 1/1, restarts 1", timeout=SOON)
    lab.get_by_label("Moment, seconds since the beginning").focus()
    page.keyboard.press("Home")
    expect(lab.locator(".kl-scrubber output")).to_contain_text("0.0 s of")
    expect(standing).not_to_contain_text("without-probe")
    for _ in range(4):
        lab.get_by_role("button", name="Step on").click()
    expect(lab.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "false")
    screenshot("04_timeline_back")
    lab.get_by_role("button", name="Live").click()
    expect(standing).to_contain_text("Running 1/1, restarts 1")
    for button, start in (("Save JSON", '"format": "kubelab-recording"'), ("Save SVG", "<svg")):
        with page.expect_download() as saved:
            lab.get_by_role("button", name=button).click()
        assert start in saved.value.path().read_text()


@pytest.mark.timeout(240)
def test_one_line_is_changed_and_the_layers_show_it(page, desk, screenshot):
    lab = opened(
        page,
        desk,
        "02",
        "import pathlib, tempfile\nfolder = pathlib.Path(tempfile.mkdtemp())\n"
        "(folder / 'Dockerfile').write_text('FROM kubelab/python\\nRUN echo a > a\\nCOPY hello.py .\\n')\n"
        "(folder / 'hello.py').write_text('print(1)\\n');",
        "from kubelab.widgets.layer_lab import LayerLab\nLayerLab(lab, folder, tag='kubelab/layer-lab-page')",
    )
    build = lab.get_by_role("button", name="Build", exact=True)
    build.click()
    expect(lab.locator(".kl-steps li")).to_have_count(3, timeout=SOON)
    expect(lab.locator(".kl-said")).to_contain_text(":1:")
    lab.get_by_role("button", name="hello.py").click()
    lab.get_by_label("Text of hello.py").fill("print(2)\n")
    build.click()
    expect(lab.locator(".kl-said")).to_contain_text(":2: 1 of 3 steps from the cache, 1 done; 9B are new", timeout=SOON)
    expect(lab.locator(".kl-steps li").nth(1)).to_have_attribute("data-cached", "true")
    expect(lab.locator(".kl-freshlayer")).to_have_count(1)
    lab.locator(".kl-freshlayer summary").click()
    expect(lab.locator(".kl-freshlayer ul")).to_contain_text("/hello.py")
    screenshot("02_layer_lab")


@pytest.mark.timeout(240)
def test_a_blow_is_predicted_dealt_and_explained(page, desk, screenshot):
    lab = opened(
        page,
        desk,
        "01",
        'lab.apply("monolith.yaml"); lab.apply("microservices.yaml")\n'
        'for name in ("shop", "catalog", "orders", "payments"):\n    lab.wait_for(f"deployment/{name}", "complete")',
        "from kubelab.widgets.blast_radius import BlastRadius\nBlastRadius(lab)",
    )
    blow = lab.get_by_role("button", name="Exception")
    expect(blow).to_have_attribute("aria-disabled", "true")
    blow.focus()
    page.keyboard.press("Enter")  # locked: leads to the question
    expect(lab.locator(".kl-question input").first).to_be_focused()
    page.keyboard.press("Space")
    lab.get_by_role("button", name="That is my prediction").press("Enter")
    expect(blow).to_have_attribute("aria-disabled", "false")
    expect(lab.locator(".kl-question")).to_be_hidden()
    blow.press("Enter")
    verdict = lab.locator(".kl-verdict")
    expect(verdict).to_contain_text("✗ Not as you said: error in payments", timeout=SOON)
    expect(verdict).to_contain_text("both lose the same features")
    expect(verdict).to_contain_text("microservices, browse: all answered")
    lab.get_by_role("button", name="catalog").click()
    expect(blow).to_have_attribute("aria-disabled", "true")
    screenshot("01_blast_radius")


@pytest.mark.timeout(240)
def test_the_anatomy_is_looked_at_again_and_one_port_is_wanted_twice(page, desk, screenshot):
    lab = opened(
        page,
        desk,
        "03",
        'lab.apply("web.yaml"); lab.apply("pair.yaml"); lab.wait_for("pod/web"); lab.wait_for("pod/pair")',
        'from kubelab.widgets.pod_anatomy import PodAnatomy\nPodAnatomy(lab, "pair", beside="web")',
    )
    expect(lab).to_contain_text("companion")
    for button in lab.locator(".kl-button").all():
        button.click()
        expect(lab.locator(".kl-doing")).to_be_hidden(timeout=SOON)
    expect(lab).to_contain_text("CrashLoopBackOff")
    screenshot("03_pod_anatomy")
