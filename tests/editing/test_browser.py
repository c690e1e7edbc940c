"""The editor at work in headless Chromium: `make test-browser`."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

from llmreg.prior import FeaturePrior
from tests.editing.conftest import HOSTILE

if not os.environ.get("LLMREG_TEST_BROWSER"):
    pytest.skip("make test-browser runs these", allow_module_level=True)

from playwright.sync_api import expect, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser():
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Open the editor of a prior; nothing may go wrong in it, or out of it."""
    problems = []

    def open_(editor, **options):
        path = tmp_path / "page.html"
        editor.write(path)
        page = browser.new_page(**options)
        # A dialog of the system cannot be driven: the card is downloaded instead.
        page.add_init_script("delete window.showSaveFilePicker")
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(dialog.message))
        page.on(
            "request",
            lambda sent: sent.url.startswith("http") and problems.append(sent.url),
        )
        page.goto(path.as_uri())
        return page

    yield open_
    for context in browser.contexts:
        context.close()
    assert not problems


def save(page, tmp_path):
    with page.expect_download() as found:
        page.get_by_role("button", name="Save the card").click()
    assert found.value.suggested_filename == "prior.json"
    found.value.save_as(tmp_path / "saved.json")
    return FeaturePrior.read(tmp_path / "saved.json")


def knot(page, number, key="glucose"):
    return page.get_by_role("slider", name=f"Knot {number} of 4 of {key}", exact=True)


def drag(page, handle, dx, dy):
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx / 2, y + dy / 2)
    page.mouse.move(x + dx, y + dy)
    page.mouse.up()


def test_what_is_not_edited_is_saved_as_it_was(open_page, prior, rows, tmp_path):
    page = open_page(prior.edit(rows))
    assert save(page, tmp_path).to_json() == prior.to_json()


def test_knot_is_dragged_and_undone(open_page, prior, tmp_path):
    page = open_page(prior.edit())
    says = page.locator("section[data-key=glucose] .says")
    before = says.text_content()
    drag(page, knot(page, 2), 30, -60)
    assert says.text_content() != before
    # A screen reader is told.
    expect(page.locator("[aria-live]")).to_have_text(says.text_content())
    found = save(page, tmp_path)
    curve = found.curves["glucose"]
    assert 100 < curve.values[1] < 126
    assert curve.effects[0, 1] > -1
    assert curve.spread is None
    # The other knots, and the other features, are where they were.
    others = [0, 2, 3]
    kept = prior.curves["glucose"]
    np.testing.assert_array_equal(curve.values[others], kept.values[others])
    np.testing.assert_array_equal(curve.effects[0, others], kept.effects[0, others])
    np.testing.assert_array_equal(found.scores[0, 1:], prior.scores[0, 1:])
    # A drag is one step, which brings the spread back too.
    page.keyboard.press("Control+z")
    expect(says).to_have_text(before)
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    assert save(page, tmp_path).to_json() == prior.to_json()
    page.get_by_role("button", name="Redo").click()
    assert save(page, tmp_path).to_json() == found.to_json()


def test_keyboard_does_it_all(open_page, prior, tmp_path):
    page = open_page(prior.edit())
    knot(page, 4).focus()
    for key in ("ArrowDown", "Shift+ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    expect(knot(page, 4)).to_be_focused()
    expect(knot(page, 4)).to_have_attribute("aria-valuenow", "6")
    page.keyboard.press("Shift+Tab")
    expect(knot(page, 3)).to_be_focused()
    page.keyboard.press("+")
    fourth = page.get_by_role("slider", name="Knot 4 of 5 of glucose")
    expect(fourth).to_be_focused()
    page.keyboard.press("Delete")
    expect(knot(page, 4)).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("-")
    curve = save(page, tmp_path).curves["glucose"]
    assert len(curve.values) == 3
    assert curve.effects[0, -1] == 6
    assert 198 < curve.values[-1] < 200


def test_numbers_are_typed(open_page, prior, tmp_path):
    page = open_page(prior.edit())
    page.get_by_label("Effect of knot 1 of glucose").fill("-8.25")
    page.get_by_label("Value of knot 2 of glucose").fill("95")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Effect of knot 2 of glucose")).to_be_focused()
    page.get_by_label("Effect of knot 3 of glucose").fill("")
    page.get_by_label("Score of sex=f, as a number").fill("-7")
    page.get_by_label("Score of sex=m", exact=True).press("ArrowRight")
    page.get_by_label("Reason for sex=f").fill('"so" </script>')
    page.get_by_text("Base rates").click()
    page.get_by_label("Base rate of yes").fill("0.5")
    typical = page.locator("section[data-key=glucose]").get_by_label("Typical: median")
    typical.fill("500")
    expect(typical).to_have_attribute("aria-invalid", "false")
    page.keyboard.press("Tab")
    # Out of order, and so not taken.
    expect(typical).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("status").first).to_contain_text("not taken")
    found = save(page, tmp_path)
    curve = found.curves["glucose"]
    assert curve.values.tolist() == [70, 95, 126, 200]
    np.testing.assert_array_equal(curve.effects, [[-8.25, -3, np.nan, 9]])
    assert found.scores[0, 1:3].tolist() == [-7, -1.9]
    assert found.rationale["sex=f"] == '"so" </script>'
    assert found.base_rates["yes"] == (0.5, None)
    assert found.base_rates["no"] == prior.base_rates["no"]
    assert found.ranges == prior.ranges


def test_shortcut_saves_what_is_being_typed(open_page, prior, tmp_path):
    page = open_page(prior.edit())
    field = page.get_by_label("Score of sex=f, as a number")
    field.fill("-7")
    with page.expect_download() as found:
        page.keyboard.press("Control+s")
    expect(field).to_be_focused()
    found.value.save_as(tmp_path / "saved.json")
    assert FeaturePrior.read(tmp_path / "saved.json").scores[0, 1] == -7


def test_chosen_file_is_written_where_the_browser_can(browser, prior, tmp_path):
    prior.edit().write(tmp_path / "page.html")
    page = browser.new_page()
    page.add_init_script(
        """
        window.showSaveFilePicker = async ({ suggestedName }) => ({
          createWritable: async () => ({
            write: async (blob) => {
              window.kept = [suggestedName, await blob.text()];
            },
            close: async () => {},
          }),
        });
        """
    )
    page.goto((tmp_path / "page.html").as_uri())
    page.get_by_role("button", name="Save the card").click()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    assert page.evaluate("kept") == ["prior.json", prior.to_json()]
    page.close()


def test_score_of_version_1_becomes_a_curve(open_page, plain, tmp_path):
    page = open_page(plain.edit({"age": [20, 30, 60]}))
    section = page.locator("section[data-key=age]")
    expect(section.get_by_role("img", name="Histogram of age")).to_be_visible()
    section.get_by_role("button", name="Make it a curve").click()
    expect(page.get_by_role("slider", name="Knot 1 of 2 of age")).to_be_focused()
    page.keyboard.press("+")
    page.keyboard.press("ArrowUp")
    page.get_by_label("Output").select_option("late")
    expect(page.get_by_role("slider", name="Knot 2 of 2 of age")).to_be_visible()
    found = save(page, tmp_path)
    expected = [[-3, 0.5, 3], [1, 0, -1]]
    np.testing.assert_allclose(found.curves["age"].effects, expected, atol=0.02)
    np.testing.assert_array_equal(found.scores[:, 1], plain.scores[:, 1])


def test_names_that_mean_harm_are_texts(open_page, prior):
    page = open_page(prior.edit())
    assert page.locator("main img").count() == 0
    # What stands behind the sign of equality is taken for a level.
    name, _, level = HOSTILE.replace("\u202e", "\\u{202e}").partition("=")
    assert page.locator("h2").last.text_content() == name
    assert page.locator("section").last.get_by_text(level, exact=True).count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_many_features_are_filtered(open_page, scheme):
    names = [f"column {i}" for i in range(150)]
    curves = {name: [(0, -2), (1, 1), (5, 3)] for name in names}
    prior = FeaturePrior.from_dict(dict.fromkeys(["a", "b", "c"], curves))
    page = open_page(prior.edit(), color_scheme=scheme)
    assert page.locator("section:visible").count() == 150
    page.get_by_label("Filter").fill("column 14")
    assert page.locator("section:visible").count() == 11
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


def test_frame_of_a_notebook_shows_it(open_page, prior, tmp_path):
    page = open_page(prior.edit())
    path = tmp_path / "notebook.html"
    text = f"<!doctype html><meta charset=utf-8>{prior.edit()._repr_html_()}"
    path.write_text(text, encoding="utf-8")
    page.goto(path.as_uri())
    inner = page.frame_locator("iframe")
    inner.get_by_role("slider", name="Knot 1 of 4 of glucose").press("ArrowUp")
    with page.expect_download() as found:
        inner.get_by_role("button", name="Save the card").click()
    found.value.save_as(tmp_path / "saved.json")
    saved = FeaturePrior.read(tmp_path / "saved.json")
    assert saved.curves["glucose"].effects[0, 0] == -4.5
