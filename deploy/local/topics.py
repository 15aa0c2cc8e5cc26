"""Declare the topics of schemas/topics.py on a broker: create what is missing, bring settings in line, refuse the rest."""

from __future__ import annotations

import time
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs import these names without exporting them
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from deploy.local.errors import StackError
from schemas.topics import TOPICS, Topic
from services.runtime import kafka

TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Declared:
    """What was done to a topic: created, changed (settings), or nothing."""

    name: str
    partitions: int
    kept: str
    outcome: str


def declare(bootstrap: str, shards: int) -> list[Declared]:
    """Make the broker's topics be those of the topic table. Harmless to repeat.

    Raises:
        StackError: the broker does not answer, or a topic has another number of partitions: a keyed topic's is chosen
            once, since another number would send a key's later records to another partition.
    """
    try:
        with kafka.admin(bootstrap, TIMEOUT_S) as admin:
            existing = {name: len(found.partitions) for name, found in admin.list_topics(timeout=TIMEOUT_S).topics.items()}
            _refuse_other_partitions(existing, shards)
            created = _create([topic for topic in TOPICS if topic.name not in existing], admin, shards)
            changed = _configure([topic for topic in TOPICS if topic.name in existing], admin)
    except KafkaException as error:
        raise StackError(f"Kafka at {bootstrap} did not declare the topics: {error.args[0].str()}; is it up?") from error
    except TimeoutError as error:
        raise StackError(f"Kafka at {bootstrap} did not declare the topics within {TIMEOUT_S} s; run this again") from error
    outcomes = dict.fromkeys(created, "created") | dict.fromkeys(changed, "changed")
    return [
        Declared(topic.name, partitions(topic, shards), str(topic.kept), outcomes.get(topic.name, "unchanged"))
        for topic in TOPICS
    ]


def partitions(topic: Topic, shards: int) -> int:
    """How many partitions a topic has in a deployment of `shards` tracker shards."""
    return shards if topic.sharded else topic.partitions


def _refuse_other_partitions(existing: dict[str, int], shards: int) -> None:
    for topic in TOPICS:
        found, wanted = existing.get(topic.name, 0), partitions(topic, shards)
        if topic.sharded and topic.kept == "compacted" and found > wanted:
            continue  # there were more shards once; what they had has moved, and a partition cannot be taken away
        if found and found != wanted:
            raise StackError(
                f"topic {topic.name} has {found} partitions, {wanted} are wanted: "
                + ("set LOVLA_SHARDS back, or refold to change it" if topic.sharded else "use another state folder")
            )


def _create(topics: list[Topic], admin: AdminClient, shards: int) -> list[str]:
    if not topics:
        return []
    futures = admin.create_topics(
        [NewTopic(topic.name, partitions(topic, shards), replication_factor=1, config=topic.config()) for topic in topics],
        operation_timeout=TIMEOUT_S,
    )
    for future in futures.values():
        try:
            future.result(TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # a first attempt whose answer came too late did it
                raise
    await_led({topic.name: partitions(topic, shards) for topic in topics}, admin)
    return list(futures)


def await_led(made: dict[str, int], admin: AdminClient) -> None:
    """Returns when the broker tells of a leader of each partition (topic -> how many): its word that it has made a topic comes
    before it knows of it itself (seen on a busy machine). Raises TimeoutError."""
    until = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until:
        told = admin.list_topics(timeout=TIMEOUT_S).topics
        led = {name: sum(part.leader >= 0 for part in found.partitions.values()) for name, found in told.items()}
        if all(led.get(name) == wanted for name, wanted in made.items()):
            return
        time.sleep(0.05)
    raise TimeoutError(f"the broker does not tell of all of {sorted(made)}")


def _configure(topics: list[Topic], admin: AdminClient) -> list[str]:
    """Set what differs; what the topic table does not name is left alone."""
    if not topics:
        return []
    asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic.name) for topic in topics])
    current = {resource.name: future.result(TIMEOUT_S) for resource, future in asked.items()}
    resources = []
    for topic in topics:
        differs = {name: value for name, value in topic.config().items() if current[topic.name][name].value != value}
        if differs:
            entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in differs.items()]
            resources.append(ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=entries))
    if resources:
        for future in admin.incremental_alter_configs(resources).values():
            future.result(TIMEOUT_S)
    return [resource.name for resource in resources]
