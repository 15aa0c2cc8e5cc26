"""Judging commands: `judge(command, registration) -> (registration, Judgement)`, in the order of consignment.commands.

Every shard judges every command alike, so that `declared_version` means the same everywhere; the owner publishes the outcome.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from services.tracker.records import Command, Declaration, DockReceipt, Item, Registration, unit_key


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome of a command; `reason` is a stable code, `text` says what to do."""

    accepted: bool
    declared_version: int | None
    reason: str | None = None
    text: str | None = None


ITEMS, REFERENCES, PACKING = 500, 64, 1_000  # of a declaration: schemas/consignment_command_v1.py
RECEIPTS, RECEIPT_LINES = 200, 5_000  # of one consignment: its record must fit into a message
_UNKNOWN = ("unknown_or_not_yours", "no consignment of this id is registered under your code")


def judge(command: Command, current: Registration | None) -> tuple[Registration | None, Judgement]:
    """Applies the command, or says why not. Never raises: a refusal is an ordinary outcome."""
    if command.command == "register":
        return _register(command, current)
    if current is None or not _may(command, current):
        return current, _refused(current, *_UNKNOWN)
    if current.cancelled_at is not None and command.command != "receive":
        return current, _refused(current, "cancelled", "the consignment is cancelled")
    if command.if_match is not None and command.if_match != current.declared_version:
        return current, _refused(
            current,
            "version_mismatch",
            f"If-Match says {command.if_match}, the consignment is at {current.declared_version}: read it again, then amend",
        )
    if command.command == "receive" and _too_many(command, current):
        return current, _refused(current, "too_many", f"over {RECEIPTS} receipts or {RECEIPT_LINES} lines of them")
    if command.command == "receive" and (strange := _lines_not_declared(command, current)):
        return current, _refused(current, "no_such_line", f"line {strange} is not declared: see `lovla show`, or amend first")
    changed = _apply(command, current)
    return changed, Judgement(True, changed.declared_version)


def _register(command: Command, current: Registration | None) -> tuple[Registration | None, Judgement]:
    declaration = command.declaration
    assert declaration is not None
    if not command.operator and not command.consignment.startswith(f"{command.sender}-"):
        return current, _refused(current, "not_your_prefix", f"a consignment of {command.sender} begins with {command.sender}-")
    if current is not None:
        if current.declaration == declaration and current.buyer == command.sender and current.cancelled_at is None:
            return current, Judgement(True, current.declared_version, "unchanged", "it is registered exactly so already")
        if not _may(command, current):
            return current, _refused(current, *_UNKNOWN)
        if current.cancelled_at is not None:
            return current, _refused(current, "cancelled", "the consignment is cancelled")
        if command.onto is not None:
            return _register_onto(command, declaration, current)
        return current, _refused(current, "exists", "it is registered already: amend it")
    registered = Registration(
        consignment=command.consignment,
        buyer=command.sender,
        declared_version=1,
        registered_at=command.received_at,
        declaration=declaration,
    )
    return registered, Judgement(True, 1)


def _register_onto(command: Command, told: Declaration, current: Registration) -> tuple[Registration, Judgement]:
    declaration = _onto(current.declaration, told, command.onto == "replace_lines")
    if declaration == current.declaration:
        return current, Judgement(True, current.declared_version, "unchanged", "all of it is declared already")
    if len(declaration.items) > ITEMS or len(declaration.references) > REFERENCES or len(declaration.packing) > PACKING:
        text = f"with what is declared over {ITEMS} lines, {REFERENCES} references or {PACKING} packings"
        return current, _refused(current, "too_many", text)
    version = current.declared_version + 1
    changed = msgspec.structs.replace(
        current, declaration=declaration, declared_version=version, amended_at=command.received_at
    )
    return changed, Judgement(True, version)


def _onto(declared: Declaration, told: Declaration, replaces_lines: bool) -> Declaration:
    """What is declared, and what `told` tells more: see `schemas.consignment_command_v1.RegisterConsignment`."""
    known = {item.line: item for item in declared.items}
    lines = {item.line: _line_onto(known.get(item.line), item) for item in told.items}
    packing = declared.packing
    if told.packing:
        packing = (*(packed for packed in packing if packed.line not in {one.line for one in told.packing}), *told.packing)
    if replaces_lines and lines:
        packing = tuple(packed for packed in packing if packed.line in lines)
    else:
        lines = known | lines
    route = {
        name: getattr(told.route, name)
        for name in told.route.__struct_fields__
        if name != "mode" and not getattr(declared.route, name)
    }
    return msgspec.structs.replace(
        declared,
        items=tuple(lines[line] for line in sorted(lines)),
        packing=packing,
        references=tuple(dict.fromkeys((*declared.references, *told.references))),
        parties={**told.parties, **declared.parties},
        plan={**told.plan, **declared.plan},
        route=msgspec.structs.replace(declared.route, **route),
        required_by=declared.required_by or told.required_by,
        note=declared.note or told.note,
    )


def _line_onto(known: Item | None, told: Item) -> Item:
    if known is None:
        return told
    return msgspec.structs.replace(
        told,
        category=known.category,
        description=told.description or known.description,
        lot=told.lot or known.lot,
        expires_on=told.expires_on or known.expires_on,
    )


def _refused(current: Registration | None, reason: str, text: str) -> Judgement:
    hidden = reason == _UNKNOWN[0]
    return Judgement(False, None if current is None or hidden else current.declared_version, reason, text)


def _may(command: Command, current: Registration) -> bool:
    """The buyer that made it, or an operator; the dock counts what it receives."""
    if command.operator or command.sender == current.buyer:
        return True
    declaration = current.declaration
    docks = (declaration.parties.get("consignee"), declaration.route.place_of_delivery)
    return command.command == "receive" and command.sender in docks


def _too_many(command: Command, current: Registration) -> bool:
    lines = sum(len(receipt.lines) for receipt in current.receipts) + len(command.lines)
    return len(current.receipts) >= RECEIPTS or lines > RECEIPT_LINES


def _lines_not_declared(command: Command, current: Registration) -> str:
    declared = {item.line for item in current.declaration.items}
    return ", ".join(str(line.line) for line in command.lines if line.line not in declared)


def _apply(command: Command, current: Registration) -> Registration:
    replace = msgspec.structs.replace
    version = current.declared_version + 1
    match command.command:
        case "amend":
            return replace(current, declaration=command.declaration, declared_version=version, amended_at=command.received_at)
        case "cancel":
            return replace(current, cancelled_at=command.received_at, declared_version=version)
        case "link":
            assert command.reference is not None
            linked = tuple(sorted({*current.linked, command.reference}))
            unlinked = tuple(ref for ref in current.unlinked if ref != command.reference)
            return replace(current, linked=linked, unlinked=unlinked, declared_version=version)
        case "unlink":
            assert command.reference is not None
            linked = tuple(ref for ref in current.linked if ref != command.reference)
            unlinked = tuple(sorted({*current.unlinked, command.reference}))
            return replace(current, linked=linked, unlinked=unlinked, declared_version=version)
        case "appoint":
            assert command.role is not None and command.party is not None
            new = (command.role, command.party)
            appointed = (*(one for one in current.appointed if one != new), new)  # the newest last: publishing.py tells of it
            return replace(current, appointed=appointed, declared_version=version)
        case "receive":
            assert command.occurred_at is not None
            receipt = DockReceipt(
                command_id=command.command_id,
                sender=command.sender,
                occurred_at=command.occurred_at,
                received_at=command.received_at,
                lines=command.lines,
                final=command.final,
                unit=unit_key(command.unit) if command.unit else "",
                recorded_by=command.recorded_by,
            )
            if any(known.command_id == receipt.command_id for known in current.receipts):
                return current
            before = current.receipts
            if command.replaces:
                before = tuple(replace(known, replaced=True) for known in before)
            return replace(current, receipts=(*before, receipt))
        case other:
            raise ValueError(f"unknown command {other}")
