"""The mailbox as a part of the local stack: `python -m deploy.local.mailbox_process`."""

from __future__ import annotations

import logging
import sys

import uvicorn
from pydantic import Field, SecretStr

from deploy.local.mailbox import Faults, MailServer, Store, certificate
from deploy.local.sms_simulator import Account, Simulator
from services.runtime import logs
from services.runtime.settings import Settings, SettingsError


class MailboxSettings(Settings):
    """What the sender is told too, seen from the other side."""

    smtp_port: int = Field(ge=1, le=65535)
    smtp_user: str
    smtp_password: SecretStr
    sms_account: str
    sms_token: SecretStr
    sms_from: str = "+15005550006"
    alerts_port: int = Field(ge=1, le=65535)
    stack_mailbox_port: int = Field(ge=1, le=65535, description="of the SMS provider's API")


def main() -> int:
    """Serve until SIGTERM."""
    try:
        told = MailboxSettings.load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    logs.setup("mailbox", told.log_level)
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's own: a line for every address
    folder = told.state_dir / "mailbox"
    store, faults = Store(folder), Faults()
    mail = MailServer(
        store,
        faults,
        told.smtp_port,
        certificate=certificate(folder),
        credentials=(told.smtp_user, told.smtp_password.get_secret_value()),
    )
    account = Account(
        told.sms_account,
        told.sms_token.get_secret_value(),
        told.sms_from,
        inbound_url=f"http://127.0.0.1:{told.alerts_port}/sms/inbound",
    )
    mail.start()
    try:
        app = Simulator(store, faults, account).app()
        uvicorn.run(app, host="127.0.0.1", port=told.stack_mailbox_port, log_config=None, access_log=False)
    finally:
        mail.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
