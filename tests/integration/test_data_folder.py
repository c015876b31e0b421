"""What MailServer says and does when its data folder is not as it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import MailSystem


def test_a_removed_account_does_not_come_back(mail_system: MailSystem) -> None:
    mail_system.exec("rm", "/data/users.txt")
    mail_system.container.stop(timeout=15)
    mail_system.container.start()
    mail_system.container.wait(condition="next-exit", timeout=30)
    assert not (mail_system.volume_copy() / "users.txt").exists()


def test_a_volume_of_somebody_else_is_explained(mail_system: MailSystem) -> None:
    mail_system.container.stop(timeout=15)
    # as root with what handing over a folder takes; the log must say this very command
    hand_over = ("run", "--rm", "-T", "--user", "0", "--cap-add", "CHOWN")
    chown = ("--cap-add", "DAC_OVERRIDE", "--entrypoint", "chown", "mailserver", "-R")
    mail_system.compose(*hand_over, *chown, "0:0", "/data")
    mail_system.container.start()
    mail_system.container.wait(condition="next-exit", timeout=30)
    assert "chown mailserver -R 10001:10001 /data" in mail_system.logs()
    mail_system.container.stop()
    mail_system.compose(*hand_over, *chown, "10001:10001", "/data")
    mail_system.up()
