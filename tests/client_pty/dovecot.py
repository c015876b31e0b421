"""A Dovecot of one's own on this machine: a folder, a configuration, a free port. 2.3 and 2.4."""

from __future__ import annotations

import getpass
import grp
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

# Of a package: what is in the way of a server of one's own is given another place.
_BOTH = """\
protocols = pop3
listen = 127.0.0.1
base_dir = {run}
state_dir = {run}
log_path = {folder}/log
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
auth_mechanisms = plain scram-sha-256
ssl = yes
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
auth_failure_delay = 0
mbox_read_locks = dotlock fcntl
mbox_write_locks = dotlock fcntl
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""
_OLD = """\
mail_location = mbox:~/folders:INBOX={inbox}
disable_plaintext_auth = no
ssl_cert = <{tls}/certificate.pem
ssl_key = <{tls}/key.pem
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/passwords
}}
userdb {{
  driver = static
  args = uid={owner} gid={group} home={folder}/%u
}}
"""
_NEW = """\
mail_driver = mbox
mail_home = {folder}/%{{user}}
mail_path = ~/folders
mail_inbox_path = {inbox}
auth_allow_cleartext = yes
ssl_server_cert_file = {tls}/certificate.pem
ssl_server_key_file = {tls}/key.pem
passdb passwd-file {{
  passwd_file_path = {folder}/passwords
  default_password_scheme = PLAIN
}}
userdb static {{
  fields {{
    uid = {owner}
    gid = {group}
    home = {folder}/%{{user}}
  }}
}}
"""


def program() -> str | None:
    """Where Dovecot is; None where it is not installed."""
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Dovecot:
    """POP3 on 127.0.0.1. Mail is in `folder`/USER/inbox, or in another mbox file."""

    def __init__(
        self, path: str, folder: Path, users: Mapping[str, str], tls: Path, inbox: str = "~/inbox"
    ) -> None:
        """`tls` is a folder with certificate.pem and key.pem."""
        self._path = path
        self.folder = folder
        self._config = folder / "dovecot.conf"
        # root's mail is what Dovecot does not serve
        owner = pwd.getpwnam("nobody" if os.geteuid() == 0 else getpass.getuser())
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        words = {
            "run": folder / "run",
            "folder": folder,
            "user": getpass.getuser() if os.geteuid() else "dovecot",
            "owner": owner.pw_name,
            "group": grp.getgrgid(owner.pw_gid).gr_name,
            "port": self.port,
            "tls": tls,
            "inbox": inbox,
        }
        version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
        is_old = version.stdout.startswith(("2.2", "2.3"))
        heads = (
            "" if is_old else "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
        )
        text = heads + (_BOTH + (_OLD if is_old else _NEW)).format_map(words)
        self._config.write_text(text)
        passwords = "".join(f"{user}:{password}\n" for user, password in users.items())
        (folder / "passwords").write_text(passwords)
        folder.chmod(0o755)
        for user in users:
            (folder / user).mkdir()
            os.chown(folder / user, owner.pw_uid, owner.pw_gid)
        self._owner = owner

    def fill(self, user: str, box: bytes) -> None:
        """The user's mail, as an mbox file."""
        path = self.folder / user / "inbox"
        path.write_bytes(box)
        os.chown(path, self._owner.pw_uid, self._owner.pw_gid)

    def start(self) -> subprocess.Popen[bytes]:
        """Returns once it listens."""
        command = [self._path, "-F", "-c", str(self._config)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port)) as connection:
                    if connection.recv(1000).startswith(b"+OK"):
                        return process
            except OSError:
                continue
        log = self.folder / "log"
        raise AssertionError(log.read_text() if log.exists() else "Dovecot did not start")
