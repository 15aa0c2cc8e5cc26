"""Kafka's jars: a lock file with their SHA-256, fetched by jgo into its own cache, checked before every use.

The lock (`kafka.jars.lock`) is made by `python -m deploy.local.jars --relock`, which resolves Kafka and its log library *one by
one*: resolved together, jgo applies the log library's version table to Kafka too, and takes kafka-clients 3.9.1.
What is in the cache and has the right hash is used without network; what is missing, cut short or altered is fetched.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StackError

LOCK = Path(__file__).with_name("kafka.jars.lock")
ROOTS = ("org.apache.kafka:kafka_2.13:4.3.1", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4")
TIMEOUT_S = 30
ATTEMPTS = 3

Progress = Callable[[int, int, str], None]
"""(done, total, name of the jar)"""


@dataclass(frozen=True, slots=True)
class Jar:
    group: str
    name: str
    version: str
    sha256: str
    size: int

    @property
    def path(self) -> Path:
        """Where jgo keeps it."""
        return cache() / self.group.replace(".", "/") / self.name / self.version / f"{self.name}-{self.version}.jar"


def cache() -> Path:
    """jgo's repository (its own default, or M2_REPO)."""
    from jgo.constants import default_maven_repo

    return Path(default_maven_repo())


def locked() -> list[Jar]:
    """The jars of the lock file, Kafka's own first."""
    jars = []
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            coordinate, size, sha256 = line.split()
            group, name, version = coordinate.split(":")
            jars.append(Jar(group=group, name=name, version=version, sha256=sha256, size=int(size)))
    return jars


def classpath() -> str:
    """Java's -cp, from jars that are all there. Fetches what is missing."""
    return ":".join(str(path) for path in ensure())


def ensure(progress: Progress = lambda done, total, name: None, registries: Mapping[str, str] | None = None) -> list[Path]:
    """Every locked jar, whole and with the right hash, fetched where need be (`registries`: name -> URL; None: jgo's own).

    Raises:
        StackError: a registry that does not answer, or a jar that is not what the lock says.
    """
    if wanting():
        with _alone():
            _fetch_all(wanting(), progress, registries)  # another process may just have done it
    return [jar.path for jar in locked()]


def fetched(jar: Jar) -> Path:
    """A jar beside the stack's (tests compile Java with one), whole and with the right hash. Raises StackError as `ensure`."""
    if not _whole(jar):
        with _alone():
            _fetch(jar, None)
    return jar.path


def wanting() -> list[Jar]:
    """The jars that are missing, cut short or altered."""
    return [jar for jar in locked() if not _whole(jar)]


def _stamp() -> Path:
    """Remembers size and mtime of jars whose hash was right, so that a start need not hash 45 MB again."""
    return cache() / ".lovla-jars.json"


def _seen() -> dict[str, list[int]]:
    try:
        seen = json.loads(_stamp().read_text(encoding="utf-8"))
        return seen if isinstance(seen, dict) else {}
    except (FileNotFoundError, ValueError):
        return {}


def _whole(jar: Jar) -> bool:
    try:
        stat = jar.path.stat()
    except FileNotFoundError:
        return False
    if stat.st_size != jar.size:
        return False
    mark = [stat.st_size, stat.st_mtime_ns]
    seen = _seen()
    if seen.get(jar.sha256) == mark:
        return True
    if _sha256(jar.path) != jar.sha256:
        return False
    draft = _stamp().with_suffix(".tmp")
    with contextlib.suppress(OSError):  # a cache that we may not write to costs time only
        draft.write_text(json.dumps({**seen, jar.sha256: mark}), encoding="utf-8")
        draft.replace(_stamp())
    return True


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One process at a time downloads into the cache."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / ".lovla-jars.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch_all(jars: list[Jar], progress: Progress, registries: Mapping[str, str] | None) -> None:
    if not jars:
        return
    done = 0
    with ThreadPoolExecutor(max_workers=4) as pool:  # a registry's latency, not its bandwidth, is what takes time
        for jar in pool.map(lambda jar: _fetch(jar, registries), jars):
            done += 1
            progress(done, len(jars), jar.path.name)


def _fetch(jar: Jar, registries: Mapping[str, str] | None) -> Jar:
    import requests
    from jgo.maven import MavenContext

    context = MavenContext(timeout=TIMEOUT_S, remote_repos=dict(registries) if registries else None)
    artifact = context.project(jar.group, jar.name).at_version(jar.version).artifact()
    failure: Exception | None = None
    for _ in range(ATTEMPTS):
        jar.path.unlink(missing_ok=True)  # half a file of an earlier attempt; jgo would take it for whole
        try:
            artifact.resolve()
        except (requests.RequestException, RuntimeError) as error:
            failure = error
            continue
        except OSError as error:
            jar.path.unlink(missing_ok=True)
            raise StackError(
                f"cannot write {jar.path} ({error.strerror}); make room or set M2_REPO, and run this again"
            ) from error
        if _whole(jar):
            return jar
    jar.path.unlink(missing_ok=True)
    if failure is not None:
        raise StackError(
            f"the jar registry did not deliver {jar.path.name} in {ATTEMPTS} attempts ({_short(failure)}); "
            "check the network or proxy and run this again: what is already there is kept"
        ) from failure
    raise StackError(
        f"{jar.path.name} came {ATTEMPTS} times with another content than {LOCK.name} says; "
        "a proxy may alter downloads: do not use it, and tell whoever runs it"
    )


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:120]}"


def relock() -> str:
    """Resolve the roots anew and give the text of the lock file. For maintainers, with network."""
    from jgo import resolve
    from jgo.maven import Artifact

    found: dict[tuple[str, str], Artifact] = {}
    for root in ROOTS:
        for artifact in resolve(root):
            if artifact.packaging != "jar" or artifact.classifier:
                raise StackError(f"{artifact} is not a plain jar: the lock cannot say it")
            known = found.setdefault((artifact.groupId, artifact.artifactId), artifact)
            if known.version != artifact.version:
                raise StackError(f"{known} and {artifact}: two roots want different versions")
    lines = ["# Made by `python -m deploy.local.jars --relock`: coordinate, size in bytes, SHA-256."]
    for (group, name), artifact in found.items():
        path = artifact.resolve()
        lines.append(f"{group}:{name}:{artifact.version} {path.stat().st_size} {_sha256(path)}")
    return "\n".join(lines) + "\n"


def _tell(done: int, total: int, name: str) -> None:
    sys.stdout.write(f"jars: {done} of {total} {name}\n")
    sys.stdout.flush()


def main() -> None:
    """`python -m deploy.local.jars`: fetch what is missing. With `--relock`: make the lock file anew."""
    try:
        if sys.argv[1:] == ["--relock"]:
            LOCK.write_text(relock(), encoding="utf-8")
        if wanting():
            ensure(_tell)
    except StackError as error:
        sys.exit(f"jars: {error}")


if __name__ == "__main__":
    main()
