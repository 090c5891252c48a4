"""A picture of the page as it was at one moment: the same server, in a browser without a screen."""

import shutil

from esc_robot.assets import wheel_files
from esc_robot.errors import Problem
from esc_robot.web.model import RobotDrawing
from esc_robot.web.server import Actions, PageServer

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: WebGL without a graphics card, and no way out of this machine.
FLAGS = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-dev-shm-usage",
         "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync")
SIZE = {"width": 1280, "height": 800}
SCALE = 1.5         # dots a pixel
PATIENCE_MS = 30_000


def browser_path() -> str:
    """Raises Problem where no browser is installed that can be driven."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise Problem("browser", BROWSERS[0], "is not installed, so there is no picture of the page; "
                      "apt install chromium")
    return found


def page_picture(about: dict, drawing: RobotDrawing | None, snapshot: dict) -> bytes:
    """A PNG. about, snapshot: what a page is told as it opens (web.server, web.state); drawing: the robot, drawn where
    its description says it is (web.model). Raises Problem where there is no browser, or it fails."""
    browser = browser_path()
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise Problem("Python package", "playwright", "is not installed, so there is no picture of the page; "
                      "pip install -r requirements.txt") from None
    actions = Actions(lambda: snapshot, lambda text: None, lambda: None)
    server = PageServer("127.0.0.1", 0, "", actions, about, drawing, wheel_files("nicegui") / "index.js")
    server.start()
    try:
        with sync_playwright() as driver:
            opened = driver.chromium.launch(executable_path=browser, args=FLAGS, timeout=PATIENCE_MS)
            page = opened.new_page(viewport=SIZE, device_scale_factor=SCALE)
            page.set_default_timeout(PATIENCE_MS)
            page.goto(server.address)
            page.wait_for_selector("body:not([data-status=connecting]) #robot[data-ready]", state="attached")
            return page.screenshot()
    except Error as error:
        raise Problem("browser", browser, "cannot show the page, so there is no picture of it: "
                      f"{str(error).splitlines()[0]}") from None
    finally:
        server.close()
