"""The page's server over real sockets: who may come in, and what reaches whom."""

import asyncio
import http.client
import json
import socket
from pathlib import Path

import aiohttp
import pytest

from esc_robot.body.profile import load_profile
from esc_robot.errors import Problem
from esc_robot.web.model import robot_drawing
from esc_robot.web.server import LONGEST_LINE, MESSAGES_WAIT, Actions, PageServer

TOKEN = "twelve-or-more"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Robot:
    """Stands behind the server and remembers what the pages did."""

    def __init__(self, tmp_path: Path, host: str = "127.0.0.1", token: str = "", port: int = 0):
        self.said, self.stops, self.heard, self.memory = [], 0, [], []
        three_js = tmp_path / "three.js"
        three_js.write_text("export const REVISION = 180;")
        actions = Actions(lambda: {"turns": []}, self.said.append, self.stop,
                          lambda pcm, rate: self.heard.append((pcm, rate)),
                          self.memory.append, lambda number: self.memory.append(("forget", number)))
        self.server = PageServer(host, port or free_port(), token, actions, {"robot": "TALOS"},
                                 robot_drawing(load_profile("talos")), three_js)

    def stop(self):
        self.stops += 1

    def __enter__(self):
        self.server.start()
        self.address = f"http://127.0.0.1:{self.server.port}"
        return self

    def __exit__(self, *_):
        self.server.close()


def origin(robot: Robot) -> dict:
    return {"Origin": robot.address}


def visit(conversation):
    """Run ``conversation(session)`` with a browser's cookies."""
    async def run():
        jar = aiohttp.CookieJar(unsafe=True)     # unsafe: cookies of an address without a name, as browsers keep them
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            return await asyncio.wait_for(conversation(session), 20)
    return asyncio.run(run())


def status(robot: Robot, path: str, **headers) -> int:
    """Of a request that no client tidies up."""
    connection = http.client.HTTPConnection("127.0.0.1", robot.server.port, timeout=10)
    connection.request("GET", path, headers=headers)
    return connection.getresponse().status


async def until(condition):
    while not condition():
        await asyncio.sleep(0.01)


def test_the_page_its_code_and_every_mesh_are_served_with_a_strict_policy(tmp_path):
    async def look(session):
        kinds = []
        for path in ("/", "/static/page.js", "/three.js", "/robot.json"):
            async with session.get(robot.address + path) as response:
                assert response.status == 200, path
                assert "default-src 'none'" in response.headers["Content-Security-Policy"]
                kinds.append(response.content_type.split("/")[1])
        model = json.loads(await (await session.get(robot.address + "/robot.json")).text())
        for number in range(model["meshes"]):
            async with session.get(f"{robot.address}/mesh/{number}") as response:
                assert response.status == 200 and len(await response.read()) > 84
        return kinds

    with Robot(tmp_path) as robot:
        assert visit(look) == ["html", "javascript", "javascript", "json"]


@pytest.mark.parametrize("path", ["/mesh/999", "/mesh/-1", "/static/../server.py", "/static/%2e%2e/server.py",
                                  "/static//etc/passwd"])
def test_nothing_else_is_served(tmp_path, path):
    with Robot(tmp_path) as robot:
        assert status(robot, path) in (403, 404)


@pytest.mark.parametrize("host", ["evil.example", "192.168.1.5:8080", "127.0.0.1.evil.example", "[bad"])
def test_the_loopback_page_is_not_given_under_another_hosts_name(tmp_path, host):
    with Robot(tmp_path) as robot:
        assert status(robot, "/", Host=host) in (400, 421)


@pytest.mark.parametrize("given", ["https://evil.example", "null", ""])
def test_a_socket_of_another_origin_is_refused(tmp_path, given):
    async def connect(session):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(robot.address + "/socket", headers={"Origin": given} if given else {})
        return refused.value.status

    with Robot(tmp_path) as robot:
        assert visit(connect) == 403


@pytest.mark.parametrize("token", ["", "short"])
def test_a_page_for_other_machines_without_a_good_token_does_not_start(tmp_path, token):
    with pytest.raises(Problem, match="web.token.*at least 12") as problem:
        Robot(tmp_path, "0.0.0.0", token)
    assert "short" not in str(problem.value)


def test_a_page_for_other_machines_gives_nothing_before_the_token(tmp_path):
    async def enter(session):
        for path in ("/three.js", "/robot.json", "/mesh/0"):
            assert (await session.get(robot.address + path)).status == 401
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(robot.address + "/socket", headers=origin(robot))
        at = (await session.get(robot.address + "/")).url.path
        wrong = await session.post(robot.address + "/enter", data={"token": "guess"}, headers=origin(robot))
        foreign = await session.post(robot.address + "/enter", data={"token": TOKEN}, headers={"Origin": "https://evil.example"})
        right = await session.post(robot.address + "/enter", data={"token": TOKEN}, headers=origin(robot))
        cookies = [cookie.value for cookie in session.cookie_jar]
        async with session.ws_connect(robot.address + "/socket", headers=origin(robot)) as page:
            hello = await page.receive_json()
        return at, wrong.url.path, foreign.status, right.url.path, cookies, hello["hello"]["robot"]

    with Robot(tmp_path, "0.0.0.0", TOKEN) as robot:
        at, wrong, foreign, right, cookies, name = visit(enter)
    assert (at, wrong, foreign, right, name) == ("/enter", "/enter", 403, "/", "TALOS")
    assert cookies and TOKEN not in cookies


def test_a_port_in_use_is_one_problem_with_its_remedy(tmp_path):
    with Robot(tmp_path) as robot, pytest.raises(Problem, match="page:=false"):
        Robot(tmp_path, port=robot.server.port).__enter__()


def test_a_line_reaches_the_robot_and_an_update_reaches_every_page(tmp_path):
    async def talk(session):
        pages = [await session.ws_connect(robot.address + "/socket", headers=origin(robot)) for _ in range(2)]
        for page in pages:
            assert "turns" in (await page.receive_json())["hello"]
        await pages[0].send_json({"say": "  I had\n a bad day. "})
        await pages[0].send_json({"stop": True})
        await until(lambda: robot.stops)
        robot.server.tell([{"status": "thinking"}])
        return [await page.receive_json() for page in pages]

    with Robot(tmp_path) as robot:
        assert visit(talk) == [{"status": "thinking"}] * 2
    assert robot.said == ["I had a bad day."]


@pytest.mark.parametrize("sent", ["", "{", "[]", "3", '{"say": 3}', '{"say": ""}', '{"say": " "}',
                                  '{"a": 1, "say": "x"}', '{"microphone": "loud"}', '{"microphone": 1e300}',
                                  '{"nothing": 1}', '{"remember": 1}', '{"forget": true}', '{"forget": "x"}',
                                  '{"forget": 1.5}', json.dumps({"say": "x" * (LONGEST_LINE + 1)})])
def test_a_malformed_message_is_dropped_and_the_page_lives_on(tmp_path, sent):
    async def talk(session):
        page = await session.ws_connect(robot.address + "/socket", headers=origin(robot))
        await page.receive_json()
        await page.send_str(sent)
        await page.send_bytes(b"\x01\x02\x03")
        await page.send_json({"say": "still here"})
        await until(lambda: robot.said)

    with Robot(tmp_path) as robot:
        visit(talk)
    assert robot.said == ["still here"] and robot.memory == []


def test_consent_and_forgetting_reach_the_robot(tmp_path):
    async def talk(session):
        page = await session.ws_connect(robot.address + "/socket", headers=origin(robot))
        for message in ({"remember": True}, {"forget": 2**40}, {"forget": "everything"}, {"remember": False}):
            await page.send_json(message)
        await until(lambda: len(robot.memory) == 4)

    with Robot(tmp_path) as robot:
        visit(talk)
    assert robot.memory == [True, ("forget", 2**40), ("forget", None), False]


def test_the_ears_hear_one_page_at_a_time_and_are_told_when_it_ends(tmp_path):
    async def talk(session):
        first, second = [await session.ws_connect(robot.address + "/socket", headers=origin(robot)) for _ in range(2)]
        answers = []
        for page in (first, second):
            await page.receive_json()
            await page.send_json({"microphone": 48000})
            answers.append(await page.receive_json())
        await second.send_bytes(b"\x09\x09")
        await first.send_bytes(b"\x01\x02\x03\x04")
        await first.close()
        await until(lambda: len(robot.heard) == 2)
        await second.send_json({"microphone": 44100})
        return [*answers, await second.receive_json()]

    with Robot(tmp_path) as robot:
        assert visit(talk) == [{"microphone": "on"}, {"microphone": "taken"}, {"microphone": "on"}]
    assert robot.heard[:2] == [(b"\x01\x02\x03\x04", 48000), (None, 48000)]


def test_sound_goes_only_to_pages_that_play_it_and_begins_at_an_even_byte(tmp_path):
    async def listen(session):
        deaf, hearing = [await session.ws_connect(robot.address + "/socket", headers=origin(robot)) for _ in range(2)]
        for page in (deaf, hearing):
            await page.receive_json()
        await hearing.send_json({"hears": True})
        await until(lambda: any(page.hears for page in robot.server._pages))
        for turn in ("t1", "t12"):
            robot.server.sound(turn, 24000, b"\x10\x20")
        robot.server.tell([{"status": "ready"}])
        return await deaf.receive_json(), [await hearing.receive_bytes() for _ in range(2)]

    with Robot(tmp_path) as robot:
        first, sounds = visit(listen)
    assert first == {"status": "ready"}
    for turn, sound in zip(("t1", "t12"), sounds, strict=True):
        head, _, rest = sound.partition(b"\n")
        assert json.loads(head) == {"turn": turn, "rate": 24000}
        assert rest.strip() == b"\x10\x20".strip() and (len(sound) - 2) % 2 == 0


def test_a_page_that_does_not_read_is_let_go_and_the_others_are_not(tmp_path):
    async def talk(session):
        page = await session.ws_connect(robot.address + "/socket", headers=origin(robot))
        await page.receive_json()
        slow = next(iter(robot.server._pages))
        # More than the queue holds, in one step of the server's loop: this page cannot have read any of it.
        robot.server._loop.call_soon_threadsafe(lambda: [robot.server._send("{}") for _ in range(MESSAGES_WAIT + 2)])
        await until(lambda: slow not in robot.server._pages)
        async with session.ws_connect(robot.address + "/socket", headers=origin(robot)) as again:
            return await again.receive_json()

    with Robot(tmp_path) as robot:
        assert "hello" in visit(talk)


def test_the_drawing_has_every_joint_of_the_robot_and_stands_parents_first():
    for name in ("talos", "tiago_pro"):
        profile = load_profile(name)
        drawing = robot_drawing(profile)
        assert set(profile.joints) <= set(drawing.joints)
        assert all(link["parent"] < number for number, link in enumerate(drawing.description["links"]))
        assert all(path.is_file() and path.suffix.lower() == ".stl" for path in drawing.meshes)
        rest = dict(zip(drawing.joints, drawing.description["pose"], strict=True))
        assert all(abs(rest[joint] - position) < 1e-3 for joint, position in profile.rest.items())


def test_a_robot_without_a_urdf_has_no_drawing():
    assert robot_drawing(load_profile("generic")) is None
