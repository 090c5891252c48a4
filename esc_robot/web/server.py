"""The page's web server: files, meshes and a WebSocket a page, in a thread of its own. No ROS.

On the loopback interface whoever uses the machine may open the page; its Host header is checked, so that no site
elsewhere can reach it under a name of its own. On any other interface the page wants the token. In both cases the
WebSocket wants an Origin that is the page's own.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import WSMsgType, web

from esc_robot.errors import Problem
from esc_robot.web.model import RobotDrawing

STATIC = Path(__file__).parent / "static"
COOKIE = "esc_robot"
#: A token shorter than this could be guessed; a wrong one is answered after WRONG_TOKEN_S.
SHORTEST_TOKEN = 12
WRONG_TOKEN_S = 1.0
#: A typed line, in characters, and a message from a page, in bytes: 100 ms of 48 kHz sound is 9,600.
LONGEST_LINE = 2000
LARGEST_MESSAGE = 64 * 1024
#: Messages that may wait for a slow page: past the first it gets no poses, past the second it is let go and may come
#: again.
POSES_WAIT = 4
MESSAGES_WAIT = 500

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                               "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True)
class Actions:
    """What a page can do; each is called in the server's thread. snapshot: all that a page shows, as it opens.

    microphone: bytes of int16 sound and its rate in Hz; None: this microphone has ended. remember: the person agrees,
    or no longer. forget: number of a fact; None: everything.
    """

    snapshot: Callable[[], dict]
    say: Callable[[str], None]
    stop: Callable[[], None]
    microphone: Callable[[bytes | None, int], None] | None = None
    remember: Callable[[bool], None] | None = None
    forget: Callable[[int | None], None] | None = None


@dataclass(eq=False)
class Page:
    """One open page: what waits to be sent to it, and the rate of its microphone while it is on."""

    waiting: asyncio.Queue = field(default_factory=lambda: asyncio.Queue(MESSAGES_WAIT))
    microphone_rate: int = 0
    hears: bool = False


class PageServer:
    """Serves the page from start() to close(). The methods that tell pages something may be called from any thread."""

    def __init__(self, host: str, port: int, token: str, actions: Actions, about: dict, drawing: RobotDrawing | None,
                 three_js: Path):
        self.host, self.port, self.token = host, port, token
        self.open_to_others = not is_loopback(host)
        if self.open_to_others and len(token) < SHORTEST_TOKEN:
            raise Problem("parameter web.token", "*" * len(token), f"other machines can reach host {host}, so the page "
                          f"needs a token of at least {SHORTEST_TOKEN} characters; set web_token:=...")
        self._actions, self._about, self._drawing, self._three_js = actions, about, drawing, three_js
        self._pages: set[Page] = set()
        self._speaker: Page | None = None       # the page whose microphone the ears hear
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="page", daemon=True)
        self._runner: web.AppRunner | None = None

    @property
    def pages(self) -> int:
        return len(self._pages)

    @property
    def address(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def start(self) -> None:
        """Raises Problem when the port cannot be had."""
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(timeout=20)
        except OSError as error:
            raise Problem("page address", f"{self.host}:{self.port}", f"cannot be had ({error.strerror}); choose "
                          "another as web.port in config/robot.yaml, or leave the page out with page:=false") from None

    def close(self) -> None:
        if not self._thread.is_alive():
            return
        if self._runner is not None:
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    def tell(self, updates: list[dict]) -> None:
        """Send each update to every page."""
        if self._pages:
            for update in updates:
                self._loop.call_soon_threadsafe(self._send, json.dumps(update))

    def pose(self, positions: list[float | None]) -> None:
        """Positions of the drawing's joints, in its order; None: not known. The next pose makes an unsent one
        worthless."""
        message = json.dumps({"pose": positions})
        self._loop.call_soon_threadsafe(self._send, message, POSES_WAIT)

    def sound(self, turn: str, rate: int, pcm: bytes) -> None:
        """A sentence's sound (int16) to the pages that play sound: a JSON line, then the samples."""
        if any(page.hears for page in self._pages):
            head = json.dumps({"turn": turn, "rate": rate}).encode() + b"\n"
            head += b" " * (len(head) % 2)      # a page reads the samples in place, so they begin at an even byte
            self._loop.call_soon_threadsafe(self._send_sound, head + pcm)

    def _send(self, message: str, room: int = MESSAGES_WAIT) -> None:
        for page in list(self._pages):
            if page.waiting.qsize() < room:
                page.waiting.put_nowait(message)
            elif room == MESSAGES_WAIT:
                self._let_go(page)

    def _send_sound(self, message: bytes) -> None:
        for page in list(self._pages):
            if page.hears and not page.waiting.full():
                page.waiting.put_nowait(message)

    @staticmethod
    def _answer(page: Page, update: dict) -> None:
        if not page.waiting.full():
            page.waiting.put_nowait(json.dumps(update))

    def _let_go(self, page: Page) -> None:
        """Too slow: dropping the queue for the end mark closes its WebSocket, and the page connects again."""
        self._pages.discard(page)
        while not page.waiting.empty():
            page.waiting.get_nowait()
        page.waiting.put_nowait(None)

    async def _open(self) -> None:
        application = web.Application(middlewares=[self._guard], client_max_size=LARGEST_MESSAGE)
        application.add_routes([
            web.get("/", _file(STATIC / "index.html", "text/html")),
            web.get("/three.js", _file(self._three_js, "text/javascript")),
            web.get("/robot.json", self._robot),
            web.get("/mesh/{number:[0-9]+}", self._mesh),
            web.get("/enter", _file(STATIC / "enter.html", "text/html")),
            web.post("/enter", self._enter),
            web.get("/socket", self._socket),
            web.static("/static", STATIC),
        ])
        application.on_response_prepare.append(_add_headers)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port).start()
        self.port = self._runner.addresses[0][1]        # port 0: any that is free

    @web.middleware
    async def _guard(self, request: web.Request, handler):
        if not self.open_to_others and not is_loopback(_without_port(request.host)):
            raise web.HTTPMisdirectedRequest(text="This page is served on this machine only.\n")
        if (request.path == "/socket" or request.method == "POST") and not same_origin(request):
            raise web.HTTPForbidden(text="The request comes from another site.\n")
        free = request.path == "/enter" or request.path.startswith("/static/")
        if self.open_to_others and not free and not self._has_token(request):
            if request.path == "/":
                raise web.HTTPSeeOther("/enter")
            raise web.HTTPUnauthorized(text="The token is missing; open / and give it there.\n")
        return await handler(request)

    def _has_token(self, request: web.Request) -> bool:
        return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), self._cookie().encode())

    def _cookie(self) -> str:
        """The cookie proves the token without being it."""
        return hmac.new(self.token.encode(), b"esc_robot page", hashlib.sha256).hexdigest()

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        given = str((await request.post()).get("token", ""))
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            await asyncio.sleep(WRONG_TOKEN_S)
            raise web.HTTPSeeOther("/enter?wrong=1")
        response = web.HTTPSeeOther("/")
        response.set_cookie(COOKIE, self._cookie(), httponly=True, samesite="Strict")
        raise response

    async def _robot(self, request: web.Request) -> web.Response:
        return web.json_response(self._drawing.description if self._drawing else None)

    async def _mesh(self, request: web.Request) -> web.FileResponse:
        number = int(request.match_info["number"])
        if self._drawing is None or number >= len(self._drawing.meshes):
            raise web.HTTPNotFound
        return web.FileResponse(self._drawing.meshes[number], headers={"Content-Type": "model/stl"})

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=20, max_msg_size=LARGEST_MESSAGE, compress=False)
        await socket.prepare(request)
        page = Page()
        self._pages.add(page)
        await socket.send_json({"hello": {**self._about, "microphone": self._actions.microphone is not None,
                                          **self._actions.snapshot()}})
        sender = asyncio.create_task(_drain(page, socket))
        try:
            async for message in socket:
                self._receive(page, message)
        finally:
            self._pages.discard(page)
            self._microphone_off(page)
            sender.cancel()
        return socket

    def _receive(self, page: Page, message) -> None:
        if message.type == WSMsgType.BINARY and page.microphone_rate and page is self._speaker:
            self._actions.microphone(message.data[:len(message.data) // 2 * 2], page.microphone_rate)
        elif message.type == WSMsgType.TEXT:
            try:
                asked = json.loads(message.data)
                (name, value), = asked.items()
            except (ValueError, AttributeError):
                return
            if name == "say" and isinstance(value, str) and 0 < len(value.strip()) <= LONGEST_LINE:
                self._actions.say(" ".join(value.split()))
            elif name == "stop":
                self._actions.stop()
            elif name == "remember" and isinstance(value, bool) and self._actions.remember:
                self._actions.remember(value)
            elif name == "forget" and (value == "everything" or type(value) is int) and self._actions.forget:
                self._actions.forget(None if value == "everything" else value)
            elif name == "hears":
                page.hears = value is True
            elif name == "microphone" and self._actions.microphone:
                self._microphone(page, value)

    def _microphone(self, page: Page, rate) -> None:
        """rate: of the page's microphone in Hz; 0: it is off. The ears hear one page at a time, the first that
        asked."""
        if not isinstance(rate, int) or not 8000 <= rate <= 192_000:
            self._microphone_off(page)
        elif self._speaker in (None, page):
            self._speaker, page.microphone_rate = page, rate
            self._answer(page, {"microphone": "on"})
        else:
            self._answer(page, {"microphone": "taken"})

    def _microphone_off(self, page: Page) -> None:
        if page is self._speaker:
            self._actions.microphone(None, page.microphone_rate)
            self._speaker = None
        page.microphone_rate = 0


def _file(path: Path, kind: str):
    async def handler(request: web.Request) -> web.FileResponse:
        return web.FileResponse(path, headers={"Content-Type": f"{kind}; charset=utf-8"})
    return handler


async def _drain(page: Page, socket: web.WebSocketResponse) -> None:
    try:
        while (message := await page.waiting.get()) is not None:
            await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send_str(message))
        await socket.close()
    except ConnectionError:
        pass    # the page has gone; its handler ends by itself


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own, out of reach of any other."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_port(host: str) -> str:
    """The name or address in a Host header: ``[::1]:8080`` is ``::1``."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") and ":" in host else host
    return name.strip("[]")


def same_origin(request: web.Request) -> bool:
    """Whether the browser says that the request comes from a page under this very host and port."""
    return request.headers.get("Origin", "").partition("://")[2] == request.host
