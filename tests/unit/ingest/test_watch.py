"""The watched folder: what becomes of each file, at a crash after each step, with hostile names and a door that is away."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.ingest.watch import FAILPOINTS, NoFolder, Note, Taken, Watch
from services.runtime.client import Refused
from services.runtime.failpoints import EXIT_CODE, Failpoints


@dataclass
class FakeDoor:
    """Answers as the door does; a key that it knows is answered as before."""

    refusal: Refused | None = None
    accepts: bool = True
    pushed: list[tuple[str, bytes, str, str]] = field(default_factory=list)

    def push(self, carrier: str, content: bytes, content_type: str, key: str) -> Taken:
        if self.refusal is not None:
            raise self.refusal
        again = any(key == known for _, _, _, known in self.pushed)
        self.pushed.append((carrier, content, content_type, key))
        if self.accepts:
            return Taken({"receipt": f"r{len(self.pushed)}", "accepted": 1, "rejected": 0, "verdicts": []}, again)
        wrong = {"where": "row 2", "code": "bad_time", "text": "soon is no time"}
        verdicts = [{"outcome": "rejected", "problems": [wrong]}]
        return Taken({"receipt": "r1", "accepted": 0, "rejected": 1, "verdicts": verdicts}, again)


def turns(root: Path, door: FakeDoor, times: Sequence[float] = (0.0, 10.0), **more: object) -> list[Note]:
    """Look at these times; what was told."""
    with Watch(root, door.push, settle_s=5.0, **more) as watching:  # type: ignore[arg-type]  # what a test says more
        return [note for now_s in times for note in watching.turn(now_s)]


@pytest.fixture
def box(tmp_path: Path) -> Path:
    folder = tmp_path / "HBRT"
    folder.mkdir()
    return folder


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()} if folder.exists() else set()


def test_a_file_is_pushed_and_stands_in_done_with_its_receipt(box: Path, tmp_path: Path) -> None:
    (box / "week14.csv").write_bytes(b"a;b\n1;2\n")
    door = FakeDoor()

    (note,) = turns(tmp_path, door)

    assert (note.carrier, note.name, note.outcome) == ("HBRT", "week14.csv", "done")
    assert door.pushed[0][:3] == ("HBRT", b"a;b\n1;2\n", "text/csv")
    assert (box / "done" / "week14.csv").read_bytes() == b"a;b\n1;2\n"
    receipt = json.loads((box / "done" / "week14.csv.receipt.json").read_text())
    assert (receipt["file"], receipt["outcome"], receipt["attempts"]) == ("week14.csv", "done", 1)
    assert receipt["answers"][0]["receipt"] == "r1"
    assert names(box) == {".lovla", "done", "failed"}
    assert names(box / ".lovla") == set()


def test_what_says_nothing_stands_in_failed_with_its_complaint_and_its_receipt(box: Path, tmp_path: Path) -> None:
    (box / "week14.csv").write_bytes(b"a\n")

    (note,) = turns(tmp_path, FakeDoor(accepts=False))

    assert note.outcome == "failed"
    assert names(box / "failed") == {"week14.csv", "week14.csv.receipt.json", "week14.csv.complaint.txt"}
    assert "row 2: bad_time: soon is no time" in (box / "failed" / "week14.csv.complaint.txt").read_text()


def test_what_the_door_refuses_for_good_is_a_complaint(box: Path, tmp_path: Path) -> None:
    (box / "a.txt").write_bytes(b"x")

    (note,) = turns(tmp_path, FakeDoor(Refused("The body is too large: at most 5 bytes", 413)))

    assert note.outcome == "failed"
    assert "too large" in (box / "failed" / "a.txt.complaint.txt").read_text()


@pytest.mark.parametrize("status", [None, 401, 403, 429, 500, 503])
def test_while_the_door_is_away_or_the_key_is_refused_files_wait(status: int | None, box: Path, tmp_path: Path) -> None:
    (box / "a.txt").write_bytes(b"x")
    door = FakeDoor(Refused("not now", status))
    with Watch(tmp_path, door.push, settle_s=5.0) as watching:
        told = [note for now_s in (0.0, 10.0, 12.0, 15.0) for note in watching.turn(now_s)]
        assert [(note.outcome, note.text) for note in told] == [("waits", "not now")], "it is told once"
        door.refusal = None
        assert list(watching.turn(15.5)) == [], "it does not ask again at once"

        (note,) = watching.turn(100.0)

    assert note.outcome == "done"
    assert (box / "done" / "a.txt").read_bytes() == b"x"


def test_a_file_that_still_grows_is_not_taken(box: Path, tmp_path: Path) -> None:
    door = FakeDoor()
    with Watch(tmp_path, door.push, settle_s=5.0) as watching:
        for now_s, text in ((0.0, b"1"), (4.0, b"12"), (8.0, b"123"), (12.9, None)):
            if text is not None:
                (box / "a.txt").write_bytes(text)
            assert list(watching.turn(now_s)) == []
        assert door.pushed == []

        assert [note.outcome for note in watching.turn(13.0)] == ["done"]

    assert door.pushed[0][1] == b"123"


def test_a_file_that_its_sender_writes_to_while_it_is_taken_goes_back(box: Path, tmp_path: Path) -> None:
    (box / "a.txt").write_bytes(b"1")
    door = FakeDoor()

    class WritesOn:
        def reach(self, name: str) -> None:
            if name == "watch.taken":
                with (box / ".lovla" / "1" / "file").open("ab") as out:
                    out.write(b"2")

    with Watch(tmp_path, door.push, settle_s=5.0, failpoints=WritesOn()) as watching:  # type: ignore[arg-type]  # reaches only
        list(watching.turn(0.0))
        assert list(watching.turn(5.0)) == []

    assert (box / "a.txt").read_bytes() == b"12"
    assert (door.pushed, names(box / ".lovla")) == ([], set())


FSU = b"FSU/14\n020-12345675FRALAX/T10K100\n"
DEP = b"DEP/LH456/12APR/FRALAX/T10K100/A1012\n"


def test_a_file_that_its_writer_goes_on_with_after_a_pause_is_taken_back_and_pushed_whole(box: Path, tmp_path: Path) -> None:
    door = FakeDoor()
    with Watch(tmp_path, door.push, settle_s=5.0) as watching, (box / "x.fsu").open("wb") as writer:
        writer.write(FSU)
        writer.flush()
        told = [note for now_s in (0.0, 6.0) for note in watching.turn(now_s)]
        assert [note.outcome for note in told] == ["done"], "six seconds of silence look like the end"
        writer.write(DEP)
        writer.close()
        told = [note for now_s in (8.0, 12.9, 13.0) for note in watching.turn(now_s)]

    assert [(note.outcome, note.name) for note in told] == [("left", "x.fsu"), ("done", "x.fsu~2")]
    assert [content for _, content, _, _ in door.pushed] == [FSU, FSU + DEP]
    assert (box / "done" / "x.fsu~2").read_bytes() == FSU + DEP
    assert names(box) == {".lovla", "done", "failed"}


def test_a_file_that_failed_and_then_grows_is_taken_back_too(box: Path, tmp_path: Path) -> None:
    door = FakeDoor()
    with Watch(tmp_path, door.push, settle_s=5.0) as watching:
        (box / "x.fsu").write_bytes(b"")
        assert [note.outcome for now_s in (0.0, 5.0) for note in watching.turn(now_s)] == ["failed"]
        (box / "failed" / "x.fsu").write_bytes(FSU)

        assert [note.outcome for now_s in (6.0, 11.0) for note in watching.turn(now_s)] == ["left", "done"]

    assert [content for _, content, _, _ in door.pushed] == [FSU]


def test_a_client_that_sets_the_time_of_a_file_afterwards_does_not_bring_it_back(box: Path, tmp_path: Path) -> None:
    (box / "x.fsu").write_bytes(FSU)
    door = FakeDoor()
    with Watch(tmp_path, door.push, settle_s=5.0) as watching:
        assert len([note for now_s in (0.0, 5.0) for note in watching.turn(now_s)]) == 1
        os.utime(box / "done" / "x.fsu", (100, 100))

        assert [note for now_s in (6.0, 20.0) for note in watching.turn(now_s)] == []

    assert len(door.pushed) == 1


@pytest.mark.parametrize("refusal", [None, Refused("The body is no message", 422)])
def test_a_file_that_grows_while_it_is_pushed_goes_back_and_is_pushed_whole(
    refusal: Refused | None, box: Path, tmp_path: Path
) -> None:
    (box / "x.fsu").write_bytes(FSU)
    door = FakeDoor()

    def push(carrier: str, content: bytes, content_type: str, key: str) -> Taken:
        taken = door.push(carrier, content, content_type, key)
        if len(door.pushed) == 1:
            with (box / ".lovla" / "1" / "file").open("ab") as out:
                out.write(DEP)
            if refusal is not None:
                raise refusal
        return taken

    with Watch(tmp_path, push, settle_s=5.0) as watching:
        told = [note for now_s in (0.0, 5.0, 6.0, 11.0) for note in watching.turn(now_s)]

    assert [(note.outcome, note.name) for note in told] == [("done", "x.fsu")]
    assert [content for _, content, _, _ in door.pushed] == [FSU, FSU + DEP]


ISA = b"ISA*00*          *00*          *02*ABCD           *02*LOVLA          *200412*0820*U*00401*000000001*0*P*>~"
HALVES = [
    (ISA + b"GS*QM*ABCD*LOVLA*20200412*0820*1*X*004010~ST*214*0001~", b"SE*2*0001~GE*1*1~IEA*1*000000001~\n", "IEA"),
    (ISA + b"IEA*0*000000001~" + ISA, b"IEA*0*000000001~", "IEA"),
    (b"UNA:+.? '\nUNB+UNOA:2+A+B+200412:0820+9'UNH+1+IFTSTA:D:00B:UN'", b"UNT+2+1'UNZ+1+9'", "UNZ"),
    (b"UNB+UNOA:2+A+B+200412:0820+9'FSU/14\n", b"UNZ+1+9'", "UNZ"),
    (b'[{"eventID": "1"}', b"]\n", "closing ]"),
    (b'\xef\xbb\xbf{"events": [', b"]}", "closing }"),
    (b'<?xml version="1.0"?>\n<rsm:Status><a/>', b"</rsm:Status>\n", "</rsm:Status>"),
]


@pytest.mark.parametrize(("half", "rest", "missing"), HALVES)
def test_half_of_an_interchange_is_waited_for_and_then_refused(
    half: bytes, rest: bytes, missing: str, box: Path, tmp_path: Path
) -> None:
    (box / "half").write_bytes(half)
    (box / "whole").write_bytes(half + rest)
    door = FakeDoor()
    with Watch(tmp_path, door.push, settle_s=5.0, unended_s=60.0) as watching:
        told = [note for now_s in (0.0, 5.0, 59.0) for note in watching.turn(now_s)]
        assert [(note.name, note.outcome) for note in told] == [("whole", "done")]

        told = [note for now_s in (60.0,) for note in watching.turn(now_s)]

    assert [(note.name, note.outcome) for note in told] == [("half", "failed")]
    assert missing in (box / "failed" / "half.complaint.txt").read_text()
    assert [content for _, content, _, _ in door.pushed] == [half + rest]


def test_a_table_that_ends_within_a_line_is_waited_for_and_then_taken(box: Path, tmp_path: Path) -> None:
    (box / "cut.csv").write_bytes(b"load,status\nHRT-1,PU\nHRT-2")
    (box / "whole.csv").write_bytes(b"load,status\nHRT-1,PU\n")
    door = FakeDoor()
    with Watch(tmp_path, door.push, settle_s=5.0, unended_s=60.0) as watching:
        told = [note for now_s in (0.0, 5.0, 59.0) for note in watching.turn(now_s)]
        assert [(note.name, note.outcome) for note in told] == [("whole.csv", "done")]
        assert [(note.name, note.outcome) for note in watching.turn(60.0)] == [("cut.csv", "done")], "many tables end so"


def test_a_slow_upload_of_an_interchange_is_pushed_once_when_it_is_whole(box: Path, tmp_path: Path) -> None:
    half, rest, _ = HALVES[0]
    (box / "x.edi").write_bytes(half)
    door = FakeDoor()
    with Watch(tmp_path, door.push, settle_s=5.0) as watching:
        assert [note for now_s in (0.0, 30.0) for note in watching.turn(now_s)] == []
        (box / "x.edi").write_bytes(half + rest)
        assert [note.outcome for now_s in (31.0, 36.0) for note in watching.turn(now_s)] == ["done"]

    assert [content for _, content, _, _ in door.pushed] == [half + rest]


@dataclass
class PoisonedDoor(FakeDoor):
    """Fails at what says POISON, as a fault of the door's does."""

    asked: int = 0

    def push(self, carrier: str, content: bytes, content_type: str, key: str) -> Taken:
        if b"POISON" in content:
            self.asked += 1
            raise Refused("The door failed", 500)
        return super().push(carrier, content, content_type, key)


def test_a_file_that_the_door_fails_at_gives_way_to_the_others_and_is_tried_again_later(box: Path, tmp_path: Path) -> None:
    (box / "a.txt").write_bytes(b"POISON")
    door = PoisonedDoor()
    with Watch(tmp_path, door.push, settle_s=0.0) as watching:
        list(watching.turn(0.0))
        (box / "b.txt").write_bytes(b"good")
        told = [note for now_s in range(1, 100) for note in watching.turn(float(now_s))]
        assert [(note.name, note.outcome) for note in told] == [("a.txt", "waits"), ("b.txt", "done")]
        assert "the files after it go first" in told[0].text
        (box / "c.txt").write_bytes(b"good")
        assert [note.name for note in watching.turn(101.0)] == ["c.txt"], "at once: the door is not away"
        asked = door.asked
        list(watching.turn(600.0))
        assert door.asked == asked + 1, "it comes back later"
        (box / ".lovla" / "1" / "file").write_bytes(b"mended")
        os.utime(
            box / ".lovla" / "1" / "file", ns=(0, json.loads((box / ".lovla" / "1" / "state.json").read_text())["mtime_ns"])
        )

        told = list(watching.turn(5_000.0))

    assert [(note.name, note.outcome) for note in told] == [("a.txt", "done")]
    assert names(box / ".lovla") == set()


def test_a_next_run_asks_about_the_others_first(box: Path, tmp_path: Path) -> None:
    (box / "a.txt").write_bytes(b"POISON")
    with Watch(tmp_path, PoisonedDoor().push, settle_s=0.0) as watching:
        for now_s in range(100):
            list(watching.turn(float(now_s)))
    (box / "b.txt").write_bytes(b"good")

    with Watch(tmp_path, PoisonedDoor().push, settle_s=0.0) as watching:
        told = list(watching.turn(0.0))

    assert [(note.name, note.outcome) for note in told] == [("b.txt", "done"), ("a.txt", "waits")]


@pytest.mark.parametrize("name", [".hidden", "~$open.csv", "a.csv.part", "a.csv.filepart", "a.CSV.TMP", "a.csv~", "a.lock"])
def test_what_looks_unfinished_is_left_alone(name: str, box: Path, tmp_path: Path) -> None:
    (box / name).write_bytes(b"x")

    assert turns(tmp_path, FakeDoor()) == []
    assert (box / name).exists()


def test_a_lock_file_keeps_a_file_where_it_is(box: Path, tmp_path: Path) -> None:
    (box / "a.csv").write_bytes(b"x\n")
    (box / "a.csv.lock").write_bytes(b"")
    assert turns(tmp_path, FakeDoor()) == []

    (box / "a.csv.lock").unlink()

    assert [note.outcome for note in turns(tmp_path, FakeDoor())] == ["done"]


def test_names_may_hold_any_bytes(box: Path, tmp_path: Path) -> None:
    wild = [b"\xff\xfe.csv", b"a\nb.txt", b"\x1b[31mred", b" ", b"-rf", b"n" * 255, "жук.json".encode()]
    for name in wild:
        (Path(os.fsdecode(os.fsencode(box) + b"/" + name))).write_bytes(b"x" + name + b"\n")

    told = turns(tmp_path, FakeDoor())

    assert [note.outcome for note in told] == ["done"] * len(wild)
    assert all(note.name.isprintable() for note in told)
    moved = os.listdir(os.fsencode(box / "done"))
    assert {name for name in wild if len(name) < 200} <= set(moved)
    assert len(moved) == 2 * len(wild)
    for name in wild[:2]:
        assert json.loads(Path(os.fsdecode(os.fsencode(box / "done") + b"/" + name + b".receipt.json")).read_text())


def test_symbolic_links_are_refused_and_nothing_is_read_through_them(box: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"key")
    (box / "a.csv").symlink_to(secret)
    (tmp_path / "EVIL").symlink_to(box)
    door = FakeDoor()

    (note,) = turns(tmp_path, door)

    assert (note.carrier, note.outcome, door.pushed) == ("HBRT", "failed", [])
    assert "symbolic link" in (box / "failed" / "a.csv.complaint.txt").read_text()
    assert secret.read_bytes() == b"key"


@pytest.mark.parametrize("planted", ["done", "failed", ".lovla"])
def test_a_folder_of_ours_that_is_a_link_elsewhere_is_not_used(planted: str, box: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (box / planted).symlink_to(elsewhere)
    (box / "a.txt").write_bytes(b"x")

    told = turns(tmp_path, FakeDoor())

    assert [note.outcome for note in told] == ["waits"]
    assert (names(elsewhere), (box / "a.txt").exists()) == (set(), True)


@pytest.mark.parametrize("target", ["../../stolen", "/etc/x", "..", ""])
def test_a_state_that_was_planted_leads_nowhere(target: str, box: Path, tmp_path: Path) -> None:
    work = box / ".lovla" / "7"
    work.mkdir(parents=True)
    (work / "file").write_bytes(b"x")
    planted = {"name": "a", "size": 1, "mtime_ns": 1, "outcome": "done", "target": target, "answers": [], "complaints": []}
    (work / "state.json").write_text(json.dumps(planted))

    (note,) = turns(tmp_path, FakeDoor())

    assert (note.name, note.outcome) == ("unnamed-7", "done")
    assert names(box / "done") == {"unnamed-7", "unnamed-7.receipt.json"}
    assert not (tmp_path / "stolen").exists()


def test_pipes_and_folders_are_no_messages(box: Path, tmp_path: Path) -> None:
    os.mkfifo(box / "pipe")
    (box / "folder").mkdir()

    assert turns(tmp_path, FakeDoor()) == []


@pytest.mark.parametrize(("content", "said"), [(b"x" * 11, "11 bytes; at most 10"), (b"", "it is empty")])
def test_what_is_too_large_or_empty_is_not_pushed(content: bytes, said: str, box: Path, tmp_path: Path) -> None:
    (box / "a.txt").write_bytes(content)
    door = FakeDoor()

    (note,) = turns(tmp_path, door, most_bytes=10)

    assert (note.outcome, door.pushed) == ("failed", [])
    assert said in (box / "failed" / "a.txt.complaint.txt").read_text()


def test_nobodys_file_is_written_over(box: Path, tmp_path: Path) -> None:
    for content in (b"1", b"2", b"3"):
        (box / "a.txt").write_bytes(content)
        turns(tmp_path, FakeDoor())

    found = {name: (box / "done" / name).read_bytes() for name in ("a.txt", "a.txt~2", "a.txt~3")}
    assert found == {"a.txt": b"1", "a.txt~2": b"2", "a.txt~3": b"3"}


def test_json_lines_are_pushed_a_thousand_a_request(box: Path, tmp_path: Path) -> None:
    (box / "a.ndjson").write_bytes(b"{}\n" * 2_500)
    door = FakeDoor()

    (note,) = turns(tmp_path, door)

    assert [content.count(b"\n") for _, content, _, _ in door.pushed] == [1_000, 1_000, 500]
    assert note.text.startswith("3 accepted")


def test_one_carriers_folder_may_be_the_watched_one(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x")

    (note,) = turns(tmp_path, FakeDoor(), carrier="MAEU")

    assert (note.carrier, names(tmp_path / "done")) == ("MAEU", {"a.txt", "a.txt.receipt.json"})


def test_folders_that_are_no_carriers_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_bytes(b"x")

    assert turns(tmp_path, FakeDoor()) == []


def test_two_do_not_watch_one_folder(tmp_path: Path) -> None:
    with Watch(tmp_path, FakeDoor().push), pytest.raises(NoFolder, match="another"), Watch(tmp_path, FakeDoor().push):
        pass


def test_the_oldest_comes_first(box: Path, tmp_path: Path) -> None:
    for name, at in (("b", 300), ("c", 100), ("a", 200)):
        (box / name).write_bytes(name.encode())
        os.utime(box / name, (at, at))
    door = FakeDoor()

    turns(tmp_path, door)

    assert [content for _, content, _, _ in door.pushed] == [b"c", b"a", b"b"]


def run(root: Path, failpoint: str = "") -> int:
    """Watch in a process of its own, which a failpoint may end as a kill does; its exit code."""
    log = root / "pushed.log"

    def push(carrier: str, content: bytes, content_type: str, key: str) -> Taken:
        again = log.exists() and key in log.read_text().split()
        with log.open("a") as out:
            out.write(f"{key}\n")
        return Taken({"receipt": "r", "accepted": 1, "rejected": 0, "verdicts": []}, again)

    child = os.fork()
    if child == 0:
        try:
            with Watch(root, push, settle_s=0, failpoints=Failpoints(failpoint)) as watching:
                list(watching.turn(0.0))
            os._exit(0)
        finally:
            os._exit(1)  # whatever went wrong: never back into the tests' own process
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_after_a_kill_at_any_step_nothing_is_lost_and_nothing_counts_twice(failpoint: str, box: Path, tmp_path: Path) -> None:
    (box / "one.csv").write_bytes(b"1\n")
    assert run(tmp_path, failpoint) == EXIT_CODE

    assert run(tmp_path) == 0

    assert (box / "done" / "one.csv").read_bytes() == b"1\n"
    receipt = json.loads((box / "done" / "one.csv.receipt.json").read_text())
    keys = (tmp_path / "pushed.log").read_text().split()
    assert len(set(keys)) == 1, "what repeats has the same Idempotency-Key"
    repeats = failpoint in ("watch.counted", "watch.pushed")
    assert len(keys) == (2 if failpoint == "watch.pushed" else 1)
    assert receipt["attempts"] == (2 if repeats else 1), "the receipt tells that it may have come twice"
    assert receipt["answered_as_before"] is (failpoint == "watch.pushed")
    assert names(box) == {".lovla", "done", "failed"}
    assert names(box / ".lovla") == set()
    assert names(box / "done") == {"one.csv", "one.csv.receipt.json"}


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_a_kill_at_the_second_file_leaves_the_first_as_it_is(failpoint: str, box: Path, tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        (box / name).write_bytes(name.encode() + b"\n")
    assert run(tmp_path, f"{failpoint}:2") == EXIT_CODE

    assert run(tmp_path) == 0

    assert names(box / "done") == {"one.csv", "one.csv.receipt.json", "two.csv", "two.csv.receipt.json"}
    assert len(set((tmp_path / "pushed.log").read_text().split())) == 2
