# SPDX-License-Identifier: Apache-2.0
"""The SVG in a real browser: test_svg.py FLAME.svg ICICLE.svg BIG.svg WAITS.svg
HEAT.svg [SCREENSHOT.png].

Prints "ok - …" or "not ok - …: why" for each thing shown. browser.sh makes the files and says what
is in them.
"""
import sys
import tempfile

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

OPTIONS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
--disable-background-networking --disable-component-update --disable-sync
--window-size=1300,900"""
HOSTILE = "</title><script>window.forged=1</script>]]>&\"'"
TESTS = []
WAITS = HEAT = None


def test(function):
    TESTS.append(function)
    return function


class Page:
    """One picture in the browser."""

    def __init__(self, driver, path):
        self.driver = driver
        driver.get("file://" + path)

    def resize(self, width, height):
        """The window; returns when the page has drawn itself anew."""
        self.driver.set_window_size(width, height)
        self.driver.execute_async_script(
            "const [size, done] = arguments;"
            "function look() { outerWidth == size[0] && outerHeight == size[1] && innerWidth <= size[0]"
            "    && innerWidth > size[0] - 50"
            "    ? requestAnimationFrame(() => requestAnimationFrame(done))"
            "    : requestAnimationFrame(look); }"
            "look();", [width, height])

    def frame(self, name):
        """The first box of that name."""
        for g in self.driver.find_elements(By.CSS_SELECTOR, ".frames g"):
            title = self.driver.execute_script("return arguments[0].firstChild.textContent", g)
            if title.rsplit(" (", 1)[0] == name:
                return g
        raise AssertionError("no frame '%s'" % name)

    def box(self, name):
        """Place of a frame on the screen: x, y, width in pixels; None when it is hidden."""
        r = self.driver.execute_script(
            "const r = arguments[0].querySelector('rect').getBoundingClientRect();"
            "return [r.x, r.y, r.width]", self.frame(name))
        return r if r[2] else None

    def text(self, selector):
        return self.driver.execute_script(
            "return document.querySelector(arguments[0]).textContent", selector)

    def label(self, name):
        """What is written on a frame."""
        return self.driver.execute_script(
            "const t = arguments[0].querySelector('text');"
            "return t && !t.classList.contains('hide') ? t.textContent : ''", self.frame(name))

    def shown(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector).is_displayed()

    def click(self, name):
        rect = self.frame(name).find_element(By.CSS_SELECTOR, "rect")
        ActionChains(self.driver).move_to_element(rect).click().perform()

    def color(self, name):
        """Of a frame: red, green, blue, and how much of them there is."""
        style = self.driver.execute_script(
            "const s = getComputedStyle(arguments[0].querySelector('rect'));"
            "return [s.fill, s.fillOpacity]", self.frame(name))
        return [int(n) for n in style[0][4:-1].split(",")] + [float(style[1])]

    def keys(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def chord(self, modifier, key):
        ActionChains(self.driver).key_down(modifier).send_keys(key).key_up(modifier).perform()

    def matches(self):
        return self.driver.execute_script(
            "return Array.from(document.querySelectorAll('.frames .match'), g => g.frame.name)")


def equal(got, want):
    assert got == want, "%r is not %r" % (got, want)


def near(got, want, margin=2):
    assert abs(got - want) <= margin, "%r is not about %r" % (got, want)


@test
def the_picture_is_as_wide_as_the_window(flame, icicle, big):
    flame.resize(1300, 900)
    wide = flame.box("all")[2]
    flame.resize(800, 900)
    narrow = flame.box("all")[2]
    flame.resize(1300, 900)
    assert narrow < 800 < wide, "%r, %r" % (narrow, wide)


@test
def widths_are_shares_of_the_samples(flame, icicle, big):
    all_width = flame.box("all")[2]
    near(flame.box("read_request")[2], all_width * 0.30)
    near(flame.box("parse")[2], all_width * 0.60)


@test
def the_root_is_below_in_a_flame_and_above_in_an_icicle(flame, icicle, big):
    assert flame.box("all")[1] > flame.box("main")[1]
    other = icicle()
    assert other.box("all")[1] < other.box("main")[1]


@test
def hovering_shows_name_samples_and_share(flame, icicle, big):
    ActionChains(flame.driver).move_to_element(
        flame.frame("read_request").find_element(By.CSS_SELECTOR, "rect")).perform()
    equal(flame.text(".details"), "read_request (300 samples, 30.00%)")


@test
def a_click_zooms_and_reset_goes_back(flame, icicle, big):
    before = flame.box("read_request")
    assert not flame.shown(".reset")
    flame.click("parse")
    near(flame.box("parse")[2], flame.box("all")[2])
    assert flame.box("read_request") is None, "a frame outside is still there"
    near(flame.box("tokenize")[2], flame.box("all")[2] / 2)
    flame.driver.find_element(By.CSS_SELECTOR, ".reset").click()
    near(flame.box("read_request")[0], before[0])
    near(flame.box("read_request")[2], before[2])
    assert not flame.shown(".reset")


@test
def labels_grow_when_there_is_room(flame, icicle, big):
    name = "a_very_long_name_that_does_not_fit_into_its_box_unless_the_box_is_zoomed"
    cut = flame.label(name)
    assert cut.endswith("…") and name.startswith(cut[:-1]), cut
    flame.click(name)
    equal(flame.label(name), name)
    flame.keys(Keys.ESCAPE)


@test
def slash_searches_by_regular_expression_and_shows_the_share(flame, icicle, big):
    flame.keys("/")
    flame.keys("^(read|write)_")
    flame.keys(Keys.ENTER)
    equal(flame.text(".matched"), "Matched: 35.00%")
    equal(sorted(flame.matches()), ["read_request", "write_reply"])
    flame.keys(Keys.ESCAPE)
    equal(flame.text(".matched"), "")
    equal(flame.matches(), [])


@test
def control_f_searches_too(flame, icicle, big):
    flame.chord(Keys.CONTROL, "f")
    flame.keys("tokenize", Keys.ENTER)
    equal(flame.text(".matched"), "Matched: 30.00%")
    flame.driver.find_element(By.CSS_SELECTOR, ".clear").click()
    equal(flame.text(".matched"), "")


@test
def a_stack_with_two_matches_counts_once(flame, icicle, big):
    flame.keys("/", "parse|tokenize", Keys.ENTER)
    equal(flame.text(".matched"), "Matched: 60.00%")
    flame.keys(Keys.ESCAPE)


@test
def a_bad_expression_is_marked_and_mended(flame, icicle, big):
    flame.keys("/", "(")
    button = flame.driver.find_element(By.CSS_SELECTOR, ".search")
    assert "bad" in button.get_attribute("class")
    flame.keys(Keys.BACKSPACE, "main")
    assert "bad" not in button.get_attribute("class")
    equal(flame.text(".matched"), "/main▏ Matched: 100.00%")
    flame.keys(Keys.ESCAPE)


@test
def case_can_be_ignored(flame, icicle, big):
    flame.keys("/", "PARSE", Keys.ENTER)
    equal(flame.text(".matched"), "Matched: 0.00%")
    flame.chord(Keys.CONTROL, "i")
    equal(flame.text(".matched"), "Matched: 60.00%")
    flame.chord(Keys.CONTROL, "i")
    flame.keys(Keys.ESCAPE)


@test
def the_search_button_works_by_mouse(flame, icicle, big):
    flame.driver.find_element(By.CSS_SELECTOR, ".search").click()
    flame.keys("tokenize", Keys.ENTER)
    equal(flame.text(".matched"), "Matched: 30.00%")
    flame.keys(Keys.ESCAPE)


@test
def the_keyboard_alone_reaches_frames_and_zooms(flame, icicle, big):
    page = Page(flame.driver, flame.path)
    page.keys(Keys.TAB, Keys.TAB)
    equal(page.text(".details"), "all (1,000 samples, 100.00%)")
    page.keys(Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_UP)
    equal(page.text(".details"), "parse (600 samples, 60.00%)")
    page.keys(Keys.ARROW_RIGHT)
    equal(page.text(".details"), "read_request (300 samples, 30.00%)")
    page.keys(Keys.ARROW_LEFT, Keys.ENTER)
    near(page.box("parse")[2], page.box("all")[2])
    page.keys(Keys.ARROW_DOWN)
    equal(page.text(".details"), "main (1,000 samples, 100.00%)")
    page.keys(Keys.ESCAPE)
    near(page.box("parse")[2], page.box("all")[2] * 0.6)


@test
def markup_in_a_name_stays_text(flame, icicle, big):
    equal(flame.driver.execute_script("return document.querySelectorAll('script').length"), 1)
    equal(flame.driver.execute_script("return window.forged"), None)
    flame.click(HOSTILE)
    equal(flame.driver.execute_script("return window.forged"), None)
    equal(flame.driver.execute_script("return document.querySelectorAll('script').length"), 1)
    assert flame.label(HOSTILE).startswith("</title><script>"), flame.label(HOSTILE)
    flame.keys("/", "window.forged", Keys.ENTER)
    equal(flame.matches(), [HOSTILE])
    flame.keys(Keys.ESCAPE, Keys.ESCAPE)


@test
def a_tall_flame_opens_at_its_root(flame, icicle, big):
    flame.resize(1300, 300)
    page = Page(flame.driver, flame.path)
    bottom = page.driver.execute_script("return window.innerHeight")
    assert 0 < page.box("all")[1] < bottom
    flame.resize(1300, 900)


@test
def title_and_subtitle_stand_above(flame, icicle, big):
    equal(flame.text(".title"), "CPU time of web1")
    for part in ("container web1", "host h1", "2026-01-02", "10.0 s at 100 Hz", "1,000 samples",
                 "3 lost"):
        assert part in flame.text(".subtitle"), part


@test
def a_file_of_very_many_frames_opens_within_two_seconds(flame, icicle, big):
    for _ in range(3):  # the machine may be busy with something else at first
        page = big()
        ms = page.driver.execute_script(
            "const t = performance.timing; return t.loadEventEnd - t.navigationStart")
        if 0 < ms <= 2000:
            break
    assert 0 < ms <= 2000, "%d ms" % ms
    assert "left out" in page.text(".left-out")


@test
def what_waited_is_blue_and_what_ran_is_not(flame, icicle, big):
    page = Page(flame.driver, WAITS)
    for name in "nap", "schedule":
        red, _, blue, _ = page.color(name)
        assert blue > red + 40, "%s is %r" % (name, page.color(name))
    red, _, blue, _ = page.color("spin")
    assert red > blue + 40, "spin is %r" % page.color("spin")
    for word in "waiting", "waiting, kernel", "paler: who woke it":
        assert word in page.text(".foot"), word


@test
def wakers_are_paler_than_who_waits(flame, icicle, big):
    page = Page(flame.driver, WAITS)
    equal(page.color("schedule")[3], 1)
    equal(page.color("--")[3], 1)
    assert page.color("wake_up")[3] < 0.7
    page.keys("/", "wake", Keys.ENTER)
    equal(page.color("wake_up")[3], 1)  # what matches is as bright as elsewhere
    page.keys(Keys.ESCAPE)


@test
def times_are_times_under_the_pointer_and_in_searches(flame, icicle, big):
    page = Page(flame.driver, WAITS)
    ActionChains(page.driver).move_to_element(
        page.frame("spin").find_element(By.CSS_SELECTOR, "rect")).perform()
    equal(page.text(".details"), "spin (1.500 s, 25.00%)")
    page.keys("/", "nap", Keys.ENTER)
    equal(page.text(".matched"), "Matched: 75.00% (4.500 s)")
    page.keys(Keys.ESCAPE)
    equal(page.text(".title"), "CPU and waiting time of web1")


@test
def cells_of_a_heat_map_lie_within_their_axes(flame, icicle, big):
    flame.driver.get("file://" + HEAT)
    panels = flame.driver.execute_script(
        "return Array.from(document.querySelectorAll('.panel'), p => {"
        "  const e = p.querySelector('.edge').getBoundingClientRect();"
        "  const c = Array.from(p.querySelectorAll('.cell'), c => c.getBoundingClientRect());"
        "  return [c.length, c.filter(b => b.x < e.x - 1 || b.right > e.right + 1 ||"
        "    b.y < e.y - 1 || b.bottom > e.bottom + 1).length,"
        "    p.querySelector('.cell title').textContent]; })")
    equal([p[:2] for p in panels], [[20, 0], [20, 0]])
    equal(panels[0][2], "1 wait of 8 µs to 12 µs, second 0.0 to 0.1")
    assert panels[1][2].startswith("1 wait of 65.5 ms to "), panels[1][2]
    equal(flame.driver.execute_script(
        "return Array.from(document.querySelectorAll('.heading'), t => t.textContent)"),
        ["waiting for a CPU", "throttled by the CPU quota"])


def main():
    global WAITS, HEAT
    flame_path, icicle_path, big_path, WAITS, HEAT = sys.argv[1:6]
    options = webdriver.ChromeOptions()
    for option in OPTIONS.split():
        options.add_argument(option)
    failed = False
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options.add_argument("--user-data-dir=" + profile)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        try:
            for function in TESTS:
                flame = Page(driver, flame_path)
                flame.path = flame_path
                name = function.__name__.replace("_", " ")
                try:
                    function(flame, lambda: Page(driver, icicle_path), lambda: Page(driver, big_path))
                    errors = [e["message"] for e in driver.get_log("browser")
                              if e["level"] == "SEVERE"]
                    assert not errors, "script errors: %s" % errors
                    print("ok - " + name)
                except Exception as error:  # a failed check must not hide the others
                    print("not ok - %s: %s" % (name, str(error).split("\n")[0]))
                    failed = True
            if len(sys.argv) > 6:
                Page(driver, flame_path)
                driver.save_screenshot(sys.argv[6])
        finally:
            driver.quit()
    return failed


if __name__ == "__main__":
    sys.exit(main())
