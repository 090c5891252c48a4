"""What the robot keeps of a person from one conversation to the next: facts, each with its source sentence and date.

Off until the person agrees; before that nothing is written, not even a key. The facts lie in SQLite, each sealed with
AES-256-GCM, the key (mode 0600) in another folder than the file. Forgetting writes what is left into a new file under
a new key and destroys the old ones: copies of erased facts that a disk may still hold then have no key.

Turns that the crisis protocol answers are never given to ``remember``. A helper of the next day meets the danger anew
by its rules and needs no note of it, while nothing could hurt more if it were read by others, read out to whoever
asks, or shown to a model that takes it up unasked.
"""

import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from esc_robot.dialogue.conversation import Turn
from esc_robot.dialogue.facts import Fact, speaks_of, told_in
from esc_robot.dialogue.triples import Triple
from esc_robot.errors import Problem

FILE = "memory.db"
MOST = 500          # facts; beyond them the oldest are forgotten
KEY_BYTES, NONCE_BYTES = 32, 12
_SCHEMA = ("CREATE TABLE owner (key TEXT, sealed BLOB)", "CREATE TABLE facts (id INTEGER PRIMARY KEY, sealed BLOB)")
_DAMAGE = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Memory:
    """One person's memory in ``folder``, its key in ``keys``; None: the XDG folders for data and for configuration.

    ``state``: ``off``: nothing is kept; ``on``: the person has agreed; ``stopped``: no longer, what was kept lies
    unused; ``unreachable``: there is a file that cannot be had now, it stays where it is. ``problem``: the line to say
    once where a file could not be used; one that is damaged or of another key was set aside and the memory is off.
    What writes raises Problem where the disk or the state does not let it. For any thread.
    """

    def __init__(self, folder: Path | None = None, keys: Path | None = None):
        self._folder = folder or _xdg("XDG_DATA_HOME", ".local/share")
        self._keys = keys or _xdg("XDG_CONFIG_HOME", ".config")
        self._lock = threading.RLock()
        self._database: sqlite3.Connection | None = None
        self._cipher: AESGCM | None = None
        self._facts: list[Fact] = []
        self.state, self.problem = "off", None
        try:
            if os.path.lexists(self._file):
                self._open()
        except Problem as problem:
            self.problem = problem

    def facts(self) -> list[Fact]:
        """All that is kept, oldest first."""
        with self._lock:
            return list(self._facts)

    def agree(self) -> None:
        """The person agrees: from now on ``remember`` keeps what they tell."""
        with self._lock:
            self._write(self._facts, "on")

    def stop(self) -> None:
        """The person agrees no longer: nothing is added, what was kept is not used, and stays until it is forgotten."""
        with self._lock:
            if self._facts:
                self._write(self._facts, "stopped")
            elif self.state == "on":
                self.forget_all()

    def remember(self, turn: Turn, whole: bool = False) -> list[Fact]:
        """Keeps the facts that a turn tells, and gives them; none while the memory is not on.

        ``whole``: the person asked for it, so every sentence is kept, with facts or without. What was kept before is
        kept once, with the newer date.
        """
        with self._lock:
            if self.state != "on":
                return []
            now = time.time()
            new = [Fact(secrets.randbits(48), sentence, tuple(told), now)
                   for sentence, told in told_in(turn.user, whole)]
            again = {fact.source.lower() for fact in new}
            if any(fact.source.lower() in again for fact in self._facts) or len(self._facts) + len(new) > MOST:
                kept = [fact for fact in self._facts if fact.source.lower() not in again]
                self._write([*kept, *new][-MOST:], "on")
            elif new:
                with self._disk(), self._database:
                    _insert(self._database, self._cipher, new)
                self._facts += new
            return new

    def forget_last(self) -> list[Fact]:
        """Erases what the latest turn told that is kept, and gives it."""
        with self._lock:
            latest = max((fact.told for fact in self._facts), default=0.0)
            return self._erase(lambda fact: fact.told == latest)

    def forget(self, about: str) -> list[Fact]:
        """Erases every fact in whose sentence all content words of ``about`` stand, and gives them."""
        with self._lock:
            return self._erase(lambda fact: speaks_of(fact.source, about))

    def forget_number(self, number: int) -> list[Fact]:
        """Erases the fact of this number, and gives it; none where it is gone."""
        with self._lock:
            return self._erase(lambda fact: fact.number == number)

    def forget_all(self) -> None:
        """Erases everything, with the key and the files that were set aside; the memory is off."""
        with self._lock, self._disk():
            if self._database:
                _destroy(self._key_file(self._key_name()))
            self._forsake("unreachable")
            for path in self._folder.glob(f"{FILE}*"):
                _destroy(path)
            self._forsake("off")

    def close(self) -> None:
        with self._lock:
            if self._database:
                self._database.close()

    @property
    def _file(self) -> Path:
        return self._folder / FILE

    def _key_file(self, name: str) -> Path:
        return self._keys / f"memory-{name}.key"

    def _key_name(self) -> str:
        return self._database.execute("SELECT key FROM owner").fetchone()[0]

    def _open(self) -> None:
        """Raises Problem; what can never be read is set aside before."""
        try:
            self._database = _connect(self._file)
            name, sealed = self._database.execute("SELECT key, sealed FROM owner").fetchone()
            self._key_file(name).chmod(0o600)
            self._cipher = AESGCM(self._key_file(name).read_bytes())
            self.state = _unsealed(self._cipher, sealed)["state"]
            rows = self._database.execute("SELECT sealed FROM facts ORDER BY id")
            self._facts = [_fact(_unsealed(self._cipher, sealed)) for sealed, in rows]
            return
        except InvalidTag:
            why = "is of another key"
        except FileNotFoundError as error:
            why = f"has lost its key {error.filename}"
        except ValueError:
            why = "has a key that is damaged"
        except (TypeError, sqlite3.Error) as error:
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _DAMAGE:
                self._out_of_reach(error)
            why = "is damaged"
        except OSError as error:
            self._out_of_reach(error.strerror)
        self._forsake("off")
        aside = self._file.with_name(f"{FILE}.unreadable-{time.strftime('%Y%m%d-%H%M%S')}")
        try:
            self._file.rename(aside)
        except OSError as error:
            self._out_of_reach(error.strerror)
        raise Problem("memory file", self._file, f"{why}; it was set aside as {aside.name}, and nothing is remembered")

    def _forsake(self, state: str) -> None:
        if self._database:
            self._database.close()
        self._database, self._facts, self.state = None, [], state

    def _out_of_reach(self, why) -> None:
        self._forsake("unreachable")
        raise Problem("memory file", self._file, f"cannot be used ({why}), and nothing is remembered; let the robot's "
                      f"user read and write it and its key in {self._keys}, and run one robot on it") from None

    def _write(self, facts: list[Fact], state: str) -> None:
        """All of the memory into a new file under a new key, which then takes the place of the old ones."""
        if self.state == "unreachable":
            raise Problem("memory file", self._file, "cannot be used; start the robot again when it can")
        name, key, new = secrets.token_hex(8), AESGCM.generate_key(8 * KEY_BYTES), self._folder / f"{FILE}.new"
        cipher = AESGCM(key)
        old_key = self._key_file(self._key_name()) if self._database else None
        with self._disk():
            for folder in (self._folder, self._keys):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if new.exists():
                _destroy(new)
            _create(self._key_file(name), key)
            _create(new, b"")
            with closing(_connect(new)) as database, database:
                for statement in _SCHEMA:
                    database.execute(statement)
                database.execute("INSERT INTO owner VALUES (?, ?)", (name, _sealed(cipher, {"state": state})))
                _insert(database, cipher, facts)
        with self._disk(lost=True):
            if self._database:
                self._database.close()
            with _overwritten(self._file):
                new.replace(self._file)
            if old_key:
                _destroy(old_key)
            self._database, self._cipher = _connect(self._file), cipher
        self._facts, self.state = list(facts), state

    @contextmanager
    def _disk(self, lost: bool = False) -> Iterator[None]:
        """Raises Problem for what the disk refuses; ``lost``: after that there is no memory until the next start."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            if lost:
                self._database = None
                self._forsake("unreachable")
            raise Problem("memory file", self._file, f"cannot be written ({error}); see that the disk has room and "
                          f"that {self._folder} and {self._keys} can be written by the robot's user") from None

    def _erase(self, hit: Callable[[Fact], bool]) -> list[Fact]:
        erased = [fact for fact in self._facts if hit(fact)]
        kept = [fact for fact in self._facts if not hit(fact)]
        if erased and (kept or self.state == "on"):
            self._write(kept, self.state)
        elif erased:
            self.forget_all()
        return erased


def memory_in(folder: str) -> Memory | None:
    """The memory in a folder; ``default``: in the XDG folders; None for an empty one."""
    return Memory(None if folder == "default" else Path(folder).expanduser()) if folder else None


def _xdg(variable: str, otherwise: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / otherwise) / "esc_robot"


def _sealed(cipher: AESGCM, content: dict) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, json.dumps(content).encode(), None)


def _unsealed(cipher: AESGCM, sealed: bytes) -> dict:
    return json.loads(cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None))


def _fact(content: dict) -> Fact:
    return Fact(**{**content, "triples": tuple(Triple(*parts) for parts in content["triples"])})


def _insert(database: sqlite3.Connection, cipher: AESGCM, facts: list[Fact]) -> None:
    """A triple goes as the list of its three parts."""
    contents = [{**vars(fact), "triples": [list(vars(triple).values()) for triple in fact.triples]} for fact in facts]
    database.executemany("INSERT INTO facts (sealed) VALUES (?)", [(_sealed(cipher, each),) for each in contents])


def _connect(path: Path) -> sqlite3.Connection:
    """A file of this process alone, whose journal is emptied; what is replaced in it is overwritten."""
    database = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
    try:
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=TRUNCATE", "secure_delete=ON", "temp_store=MEMORY"):
            database.execute(f"PRAGMA {pragma}").fetchall()
        database.execute("BEGIN EXCLUSIVE")
        database.commit()
    except sqlite3.Error:
        database.close()
        raise
    return database


def _create(path: Path, content: bytes) -> None:
    """For its owner's eyes only, from the first byte on."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _overwritten(path: Path) -> Iterator[None]:
    """What the file holds now is overwritten when another has taken its place, or it is gone."""
    if not path.exists():
        yield
        return
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        yield
        file.write(bytes(size))
        file.flush()
        os.fsync(file.fileno())


def _destroy(path: Path) -> None:
    with _overwritten(path):
        path.unlink(missing_ok=True)
