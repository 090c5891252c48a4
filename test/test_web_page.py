"""The page in a real headless Chromium, with the real robot behind it: ears, mind, voice, gestures, simulated body."""

import json
import math
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager

import pytest
from conftest import ROOT, node_command

from esc_robot.audio.wavefile import write_wav
from esc_robot.body.profile import load_profile
from esc_robot.body.render import robot_model
from esc_robot.errors import Problem
from esc_robot.speaking.flite import flite_line
from esc_robot.web.picture import FLAGS, browser_path

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the page's tests need axe-playwright-python")
playwright = pytest.importorskip("playwright.sync_api", reason="the page's tests need playwright")
try:
    CHROMIUM = browser_path()
except Problem as problem:
    pytest.skip(str(problem), allow_module_level=True)

MEDIA_FLAGS = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
NODES = ("speech_to_text", "dialogue", "text_to_speech", "gesture", "mock_robot")
SPOKEN = "My sister called me last night"
LINKS = ["arm_left_7_link", "arm_right_7_link", "rgbd_link"]
PATIENCE_MS = 90_000


@contextmanager
def nodes(**parameters):
    """Real nodes as processes: name=parameters."""
    started = [subprocess.Popen(node_command(name, **given), cwd=ROOT) for name, given in parameters.items()]
    try:
        yield
    finally:
        for process in started:
            process.send_signal(signal.SIGINT)
        for process in started:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="module")
def address():
    """Of the page, once the robot behind it is awake."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with nodes(web={"port": port, "audio": "true", "country": "DE"}, **{name: {} for name in NODES}):
        wait_until_served(f"http://127.0.0.1:{port}/")
        yield f"http://127.0.0.1:{port}/"


def wait_until_served(address: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < until, "the page did not come up"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium, in whose microphone somebody says SPOKEN."""
    wav = tmp_path_factory.mktemp("microphone") / "line.wav"
    write_wav(wav, flite_line(SPOKEN), 16000)
    with playwright.sync_playwright() as driver:
        microphone = f"--use-file-for-fake-audio-capture={wav}%noloop"
        made = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *MEDIA_FLAGS, microphone])
        yield made
        made.close()


@pytest.fixture
def visit(browser, address):
    """visit(**context) -> a page that is awake; page.requests, page.errors and page.sounds say what went through it.

    Without picture=True it leaves out the 3D model, which takes seconds to draw without a graphics card.
    """
    contexts = []

    def open_page(picture: bool = False, **settings):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **settings})
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.requests, page.errors, page.sounds = [], [], []
        page.on("websocket", lambda opened: opened.on("framereceived", lambda frame: note_sound(page, frame)))
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)
        if not picture:
            page.route("**/robot.json", lambda route: route.fulfill(body="null", content_type="application/json"))
        page.goto(address)
        wait_for_status(page, "ready", "speaking")
        return page

    yield open_page
    for context in contexts:
        context.close()


def note_sound(page, frame) -> None:
    if isinstance(frame, bytes):
        page.sounds.append(frame)


def say(page, line: str) -> None:
    page.fill("#line", line)
    page.press("#line", "Enter")


def last_turn(page):
    return page.locator(".turn").last


def wait_for_turn(page, line: str) -> None:
    page.locator(".turn .user", has_text=line).last.wait_for()


def wait_for_status(page, *names: str) -> None:
    page.wait_for_selector(", ".join(f"body[data-status={name}]" for name in names))


def wait(page, condition) -> bool:
    until = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < until and not condition():
        page.wait_for_timeout(100)
    return condition()


def drawn(page) -> list[float]:
    """Where the page draws both hands and the forehead, in metres."""
    return page.evaluate("async links => { const { robot } = await import('/static/page.js');"
                         "return links.flatMap(link => robot.linkPosition(link)); }", arg=LINKS)


def keep_picture(page, rest: list[float]) -> None:
    """runs/demo/page.png: the page while the body is furthest from rest; one that the demo has left stays."""
    pictures = [(math.dist(drawn(page), rest), page.screenshot()) for _ in range(6)]
    kept = ROOT / "runs" / "demo" / "page.png"
    kept.parent.mkdir(parents=True, exist_ok=True)
    if not kept.exists():
        kept.write_bytes(max(pictures)[1])


def open_memory(page) -> None:
    page.locator("#memory summary").click()
    page.locator("#remember").wait_for()


def test_consent_the_list_and_forgetting_work_by_keyboard_with_names_for_a_screen_reader(visit):
    """Before the tests that speak of danger: what is told in a crisis is not kept."""
    page, second = visit(), visit()
    open_memory(page)
    switch = page.get_by_role("switch", name="Remember me")
    assert switch.get_attribute("aria-checked") == "false" and not page.locator("#forget-me").is_visible()
    assert "keeps nothing of you" in page.locator("#memory-about").inner_text()
    switch.focus()
    page.keyboard.press("Space")
    for each in (page, second):
        each.locator("#remember[aria-checked=true]").wait_for(state="attached")
    for line in ("My sister Ottilie lives in Bristol.", "I lost my job in May."):
        say(page, line)
        page.locator("#facts li", has_text=line).wait_for()
    found = axe.Axe().run(page).response["violations"]
    assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == []

    page.get_by_role("button", name="Forget: I lost my job in May.").focus()
    page.keyboard.press("Enter")
    page.locator("#facts li", has_text="job").wait_for(state="detached")
    assert page.evaluate("document.activeElement.ariaLabel") == "Forget: My sister Ottilie lives in Bristol."
    assert wait(page, lambda: page.locator(".turn .user", has_text="my job").count() == 0)
    page.reload()
    wait_for_status(page, "ready", "speaking")
    open_memory(page)
    page.locator("#facts li", has_text="Ottilie").wait_for()

    page.once("dialog", lambda dialog: dialog.dismiss())
    page.locator("#forget-me").press("Enter")
    assert page.locator("#facts li").count() == 1
    page.once("dialog", lambda dialog: dialog.accept())
    page.locator("#forget-me").press("Enter")
    page.locator("#facts li").wait_for(state="detached")
    page.locator("#remember[aria-checked=false]").wait_for()
    for each in (page, second):
        assert wait(each, lambda each=each: each.locator(".turn").count() == 0)
    assert page.evaluate("document.activeElement.id") == "remember"
    assert page.errors == []


def test_a_typed_line_is_answered_aloud_while_the_body_moves(visit):
    page = visit(picture=True, device_scale_factor=1.5)
    page.wait_for_selector("#robot[data-ready=true]")
    wait_for_status(page, "ready")
    rest = drawn(page)
    model = robot_model("talos")
    model.place(load_profile("talos").rest)
    # It breathes: a centimetre.
    assert rest == pytest.approx([at for link in LINKS for at in model.data.body(link).xpos], abs=0.02)

    line = "I want to end my life."      # its answer is fixed, and long enough for the arms
    say(page, line)
    wait_for_turn(page, line)
    page.locator("#gesture", has_not_text="None yet").wait_for()
    assert wait(page, lambda: math.dist(drawn(page), rest) > 0.025)
    keep_picture(page, rest)
    page.click("#stop")
    wait_for_status(page, "ready")
    sentences = last_turn(page).locator(".reply .sentence").all_inner_texts()
    assert sentences and all(sentence.strip() for sentence in sentences)    # how many words is the model's affair
    assert page.locator("#strategy").inner_text() != "None yet"
    assert page.locator("#latency dt").all_inner_texts() == ["First word written", "First sound"]
    assert page.locator("#sound").get_attribute("aria-pressed") == "true"
    assert any(len(sound) > 10_000 for sound in page.sounds), "no sound came to the browser"
    assert page.errors == []
    assert all(url.startswith(page.url) for url in page.requests if not url.startswith(("data:", "blob:")))


def test_stop_silences_the_robot_and_marks_what_was_not_said(visit):
    page = visit()
    say(page, "I want to end my life.")
    wait_for_turn(page, "end my life")
    assert wait(page, lambda: last_turn(page).locator(".reply .sentence").count() >= 3)
    wait_for_status(page, "speaking")
    page.click("#stop")
    wait_for_status(page, "ready")
    assert last_turn(page).locator(".reply .unsaid").count() >= 1


def test_escape_stops_too(visit):
    page = visit()
    say(page, "I want to end my life.")
    wait_for_status(page, "speaking")
    page.keyboard.press("Escape")
    wait_for_status(page, "ready")
    assert "interrupted" in last_turn(page).get_attribute("class")


def test_a_reload_and_a_second_page_show_the_same_conversation_typed_and_spoken(visit):
    page, second = visit(), visit()
    say(page, "Thank you for listening.")
    for each in (page, second):
        wait_for_turn(each, "Thank you for listening.")
    page.keyboard.press("Escape")
    wait_for_status(page, "ready")
    page.click("#talk")
    wait_for_turn(page, "sister")
    assert page.locator("#talk").get_attribute("aria-pressed") == "true"
    page.click("#talk")
    page.click("#stop")
    wait_for_status(page, "ready")
    before = page.locator(".turn .user").all_inner_texts()
    page.reload()
    wait_for_turn(page, "sister")
    assert page.locator(".turn .user").all_inner_texts() == before
    assert second.locator(".turn .user").all_inner_texts() == before
    assert [line for line in before if "Thank you" in line] and "sister" in before[-1]


@pytest.mark.parametrize("look", [{"color_scheme": "light"}, {"color_scheme": "dark"},
                                  {"color_scheme": "light", "viewport": {"width": 390, "height": 844}}],
                         ids=["light", "dark", "phone"])
def test_axe_finds_nothing_serious(visit, look):
    page = visit(**look)
    for details in page.locator("details").all():
        details.evaluate("element => { element.open = true; }")
    found = axe.Axe().run(page).response["violations"]
    serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    assert [(fault["id"], fault["nodes"][0]["html"]) for fault in serious] == []


def test_everything_can_be_reached_by_tab_in_the_order_in_which_it_stands(visit):
    page = visit()
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"
                                     " || document.activeElement.textContent.trim()"))
    wanted = ["skip", "call", "call", "Lines in other countries", "log", "line", "Send", "talk", "sound", "stop",
              "Behind the last answer"]
    assert [name or "Send" for name in reached if (name or "Send") in [*wanted, "primary"]][:len(wanted)] == [
        "primary" if name == "Send" else name for name in wanted]


def test_the_skip_link_leads_to_writing(visit):
    page = visit()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.type("Hello")
    assert page.input_value("#line") == "Hello"


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_help_and_writing_are_in_sight_at_every_width_and_nothing_is_cut_off(visit, width):
    page = visit(viewport={"width": width, "height": 800})
    for selector in ("#care a", "#line", "#stop"):
        box = page.locator(selector).first.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        assert box["y"] >= 0 and box["y"] + box["height"] <= 800
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_help_lines_of_the_robots_country_can_be_dialled(visit):
    page = visit()
    assert page.locator("#care a").first.get_attribute("href") == "tel:112"
    assert json.dumps(page.locator("#care").inner_text()).count("0800") == 1


def test_what_is_said_is_announced_to_a_screen_reader_once(visit):
    page = visit()
    assert page.locator("[role=log][aria-live=polite]").count() == 1
    assert page.locator(".captions").get_attribute("aria-hidden") == "true"
    assert page.locator("[role=status]").count() == 2


def test_a_page_that_loses_the_robot_says_so_and_keeps_the_line(visit):
    page = visit()
    page.evaluate("() => { WebSocket.prototype.send = function () { this.close(); };"
                  "WebSocket = class { static OPEN = 1; constructor() { setTimeout(() => this.onclose()); } }; }")
    page.click("#stop")
    wait_for_status(page, "lost")
    say(page, "Are you there?")
    assert page.input_value("#line") == "Are you there?"
    assert "lost the robot" in page.locator("#notice").inner_text()
