"""The lease: as many owners as shards, the others wait, and one of them takes over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid

import pytest
from confluent_kafka.cimpl import NewTopic

from services.runtime.lease import ShardLease
from services.runtime.settings import Settings
from tests import forks, topics
from tests.integration.runtime.bench import ROOT


@pytest.fixture
def topic(kafka_settings: Settings) -> str:
    name = f"l{uuid.uuid4().hex[:10]}"
    topics.create(kafka_settings.kafka, NewTopic(name, 1, 1))
    return name


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_standby_waits_and_takes_over_when_the_owner_leaves(kafka_settings: Settings, topic: str, protocol: str) -> None:
    settings = kafka_settings.model_copy(update={"group_protocol": protocol})
    stop = threading.Event()
    owner = ShardLease(settings, topic, f"{topic}.g")
    assert owner.acquire(stop) == 0
    standby = ShardLease(settings, topic, f"{topic}.g")
    found: list[int | None] = []
    waiting = threading.Thread(target=lambda: found.append(standby.acquire(stop)))
    waiting.start()
    waiting.join(3)
    assert found == [] and not owner.lost.is_set()
    owner.close()
    waiting.join(60)
    assert found == [0]
    assert not standby.lost.is_set()
    standby.close()


def test_waiting_ends_when_told_to(kafka_settings: Settings, topic: str) -> None:
    owner = ShardLease(kafka_settings, topic, f"{topic}.g")
    owner.acquire(threading.Event())
    standby = ShardLease(kafka_settings, topic, f"{topic}.g")  # not before: it could be given the shard
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    assert standby.acquire(stop) is None
    standby.close()
    owner.close()


OWNER = """
import sys, threading
from services.runtime.lease import ShardLease
from services.runtime.settings import Settings
from tests import forks, topics
lease = ShardLease(Settings.load(), sys.argv[1], sys.argv[1] + ".g")
print(lease.acquire(threading.Event()), flush=True)
lease.lost.wait(60)
print("lost" if lease.lost.is_set() else "kept", flush=True)
lease.close()
"""


def test_a_frozen_owner_is_replaced_and_told_when_it_wakes(kafka_settings: Settings, topic: str) -> None:
    environ = os.environ | {"LOVLA_KAFKA": kafka_settings.kafka, "LOVLA_GROUP_PROTOCOL": "classic"}
    command = [sys.executable, "-c", OWNER, topic]
    with forks.popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "0\n"
            owner.send_signal(signal.SIGSTOP)
            standby = ShardLease(kafka_settings, topic, f"{topic}.g")
            assert standby.acquire(threading.Event()) == 0
            owner.send_signal(signal.SIGCONT)
            assert owner.stdout.readline() == "lost\n"
            standby.close()
        finally:
            owner.kill()
