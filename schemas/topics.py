"""The topic table (docs/architecture.md, "The flow"): names, partitions, how long kept, and which contract each holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from schemas import alert_states_v1, alerts_v1, registers_v1
from schemas.consignment_command_v1 import (
    AmendConsignment,
    AppointParty,
    CancelConsignment,
    LinkReference,
    ReceiveGoods,
    RegisterConsignment,
    UnlinkReference,
)
from schemas.dead_letter_v1 import DeadLetter
from schemas.journey_change_v1 import CommandJudged, ExceptionChanged, HandedOver, JourneyClosed, MilestoneReached
from schemas.journey_v1 import Clock, Closed, Feed, Journey
from schemas.letter_settled_v1 import LetterSettled
from schemas.raw_message_v1 import RawMessage, Tick
from schemas.shipment_event_v1 import ControlRecord, ShipmentEvent
from schemas.work_act_v1 import WorkAct

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Topic:
    """`kept`: ever, compacted, or a number of days. `sharded`: one partition a tracker shard."""

    name: str
    key: str
    partitions: int
    kept: Literal["ever", "compacted"] | int
    records: tuple[type[BaseModel], ...]
    transactional: bool = False
    log_append_time: bool = False
    sharded: bool = False
    sunk: bool = True
    max_message_bytes: int = 1_048_588

    def config(self) -> dict[str, str]:
        """Kafka's topic settings."""
        settings = {"max.message.bytes": str(self.max_message_bytes)}
        if self.log_append_time:
            settings["message.timestamp.type"] = "LogAppendTime"
        if self.kept == "ever":
            settings |= {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
        elif self.kept == "compacted":
            settings |= {
                "cleanup.policy": "compact",
                "max.compaction.lag.ms": str(DAY_MS),
                "min.cleanable.dirty.ratio": "0.1",
                "segment.ms": str(DAY_MS),
            }
        else:
            settings |= {"cleanup.policy": "delete", "retention.ms": str(self.kept * DAY_MS)}
        return settings


RAW_MESSAGES = Topic(
    "raw.messages.v1",
    "sender; of commands the consignment's buyer",
    4,
    "ever",
    (RawMessage, Tick),
    log_append_time=True,
    max_message_bytes=6 * 1024 * 1024,
)
SHIPMENT_EVENTS = Topic("shipment.events.v1", "sender", 4, "ever", (ShipmentEvent, ControlRecord), transactional=True)
CONSIGNMENT_COMMANDS = Topic(
    "consignment.commands.v1",
    "consignment",
    1,
    "ever",
    (
        RegisterConsignment,
        AmendConsignment,
        CancelConsignment,
        LinkReference,
        UnlinkReference,
        AppointParty,
        ReceiveGoods,
        ControlRecord,
    ),
    transactional=True,
)
DEAD_LETTERS = Topic("dead.letters.v1", "sender", 1, 400, (DeadLetter,), transactional=True)
LETTERS_SETTLED = Topic("dead.letters.settled.v1", "letter_id", 1, "ever", (LetterSettled,), sunk=False)
JOURNEYS = Topic("journeys.v1", "consignment", 1, "compacted", (Journey, Feed, Clock, Closed), transactional=True, sharded=True)
JOURNEY_CHANGES = Topic(
    "journey.changes.v1",
    "consignment",
    4,
    "ever",
    (MilestoneReached, HandedOver, ExceptionChanged, CommandJudged, JourneyClosed),
    transactional=True,
)
TRACKER_SHARDS = Topic("tracker.shards.v1", "-", 1, 1, (), sharded=True, sunk=False)
SENDERS = Topic("senders.v1", "code", 1, "compacted", (registers_v1.Sender,))
FACILITIES = Topic("facilities.v1", "code", 1, "compacted", (registers_v1.Facility,))
ACCOUNTS = Topic("accounts.v1", "key_id", 1, "compacted", (registers_v1.Account,), sunk=False)
SECRETS = Topic("secrets.v1", "secret_id", 1, "compacted", (registers_v1.Secret,), sunk=False)
PARKED = Topic("readers.parked.v1", "sender", 1, "compacted", (ControlRecord,), transactional=True, sunk=False)
SUBSCRIPTIONS = Topic("subscriptions.v1", "subscription", 1, "compacted", (alerts_v1.Subscription,), sunk=False)
SUPPRESSIONS = Topic("suppressions.v1", "address_hash", 1, "compacted", (alerts_v1.Suppression,), sunk=False)
ALERT_CANDIDATES = Topic("alert.candidates.v1", "subscription", 4, 30, (alerts_v1.AlertCandidate,), sunk=False)
ALERT_WAITING = Topic("alert.waiting.v1", "consignment", 4, "compacted", (alert_states_v1.Waiting,), sunk=False)
ALERT_STATES = Topic(
    "alert.states.v1",
    "subscription; beside it subscription/consignment, in the same partition",
    4,
    "compacted",
    (alert_states_v1.Watch, alert_states_v1.Subscriber),
    sunk=False,
)
ACKNOWLEDGEMENTS = Topic("alert.acknowledgements.v1", "subscription", 4, "ever", (alerts_v1.Acknowledgement,))
NOTIFICATIONS = Topic("notifications.v1", "subscription", 4, "ever", (alerts_v1.Notification,))
DELIVERIES = Topic("deliveries.v1", "subscription", 4, "ever", (alerts_v1.Delivery,))
ALERTS_CONTROL = Topic(
    "alerts.control.v1", "switch, or retry:notification", 1, "compacted", (alerts_v1.AlertsControl,), sunk=False
)
CONSENT = Topic("consent.v1", "subscription", 4, "ever", (alerts_v1.Consent,))
WORK_ACTS = Topic("work.acts.v1", "consignment", 4, "ever", (WorkAct,))

TOPICS: tuple[Topic, ...] = (
    RAW_MESSAGES,
    SHIPMENT_EVENTS,
    CONSIGNMENT_COMMANDS,
    DEAD_LETTERS,
    LETTERS_SETTLED,
    JOURNEYS,
    JOURNEY_CHANGES,
    TRACKER_SHARDS,
    SENDERS,
    FACILITIES,
    ACCOUNTS,
    SECRETS,
    PARKED,
    SUBSCRIPTIONS,
    SUPPRESSIONS,
    ALERT_CANDIDATES,
    ALERT_WAITING,
    ALERT_STATES,
    ACKNOWLEDGEMENTS,
    NOTIFICATIONS,
    DELIVERIES,
    ALERTS_CONTROL,
    CONSENT,
    WORK_ACTS,
)
