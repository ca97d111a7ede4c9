"""A student at the quiz, by keyboard alone: what the page says to a wrong and to a right answer."""

import nbformat
import pytest
from playwright.sync_api import expect

from kubelab.course.quizzes import load

CHAPTER = "04_replication_and_probes.ipynb"


@pytest.mark.timeout(240)
def test_the_quiz_is_answered_by_keyboard_and_judged_with_the_reason(page, desk, screenshot):
    url = desk.put(CHAPTER, until="course.start")
    notebook = nbformat.read(desk.folder / "notebooks" / CHAPTER, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("lab.quiz()"))
    nbformat.write(notebook, desk.folder / "notebooks" / CHAPTER)
    page.goto(url)
    page.locator(".jp-StatusBar-TextItem", has_text="| Idle").wait_for()
    page.locator(".lm-MenuBar-itemLabel", has_text="Run").click()
    page.locator(".lm-Menu-itemLabel", has_text="Run All Cells").first.click()
    quiz = page.locator(".kl-quiz")
    quiz.wait_for(timeout=60_000)
    quiz.scroll_into_view_if_needed()
    question = next(found for found in load("04") if found.id == "crashloop")
    box = quiz.locator("fieldset[data-id='crashloop']")
    letters = list(question.answers)
    wrong = next(letter for letter in letters if letter != question.right)
    for letter, said in ((wrong, "✗ No."), (question.right, "✓ Right.")):
        radio = box.locator(f"input[value='{letter}']")
        radio.focus()
        page.keyboard.press("Space")
        expect(radio).to_be_checked()
        page.keyboard.press("Tab")
        expect(box.get_by_role("button", name="Answer")).to_be_focused()
        page.keyboard.press("Enter")
        expect(box.locator(".kl-verdict")).to_contain_text(said)
    expect(quiz.locator(".kl-tally")).to_contain_text(f"1 of {len(load('04'))} answered rightly")
    screenshot("04_quiz")
