"""One sentence of what the RFC says about a line of the dialogue, and where it says it.

A new command is a row. The sentences are ours; the sections are the standards' own.
"""

from __future__ import annotations

import re

_POP3 = {
    "USER": "Names the mailbox; +OK does not say that there is one. RFC 1939 7",
    "PASS": "The password for USER; +OK locks the mailbox until the session ends. RFC 1939 7",
    "APOP": "A digest of the greeting's time stamp and a shared secret. RFC 1939 7",
    "AUTH": "Begins a SASL login; the server answers with challenges behind +. RFC 5034 4",
    "CAPA": "Asks what the server can do; the list ends with a full stop. RFC 2449 5",
    "STLS": "Encrypts the connection; what was learned before is forgotten. RFC 2595 4",
    "STAT": "How many messages there are and their octets, without those marked. RFC 1939 5",
    "LIST": "The octets of one message or of all, as they will be sent. RFC 1939 5",
    "UIDL": "A name for each message that stays the same in all sessions. RFC 1939 7",
    "RETR": "The whole message; a line that begins with a dot gets one more. RFC 1939 5",
    "TOP": "The header, a blank line, and so many lines of the body. RFC 1939 7",
    "DELE": "Marks the message; it is removed at QUIT and not before. RFC 1939 5",
    "RSET": "Takes all marks away again. RFC 1939 5",
    "NOOP": "Does nothing, and is answered +OK. RFC 1939 5",
    "QUIT": "Ends the session; marked messages are removed now. RFC 1939 6",
    "UTF8": "From here on, headers and names may be in UTF-8. RFC 6856 2",
    "LANG": "The language of the server's words to people. RFC 6856 3",
    "+OK": "The command succeeded; several lines end with a full stop alone. RFC 1939 3",
    "-ERR": "The command failed; a word in brackets says why. RFC 1939 3, RFC 2449 8",
    "+": "A challenge, in base64, or an invitation to go on. RFC 5034 4",
    ".": "The end of an answer of several lines. RFC 1939 3",
}
_SMTP = {
    "EHLO": "Says who the client is, and asks which extensions there are. RFC 5321 4.1.1.1",
    "HELO": "Says who the client is, to a server without extensions. RFC 5321 4.1.1.1",
    "MAIL": "Begins a message: the reverse-path is where failures go. RFC 5321 4.1.1.2",
    "RCPT": "One recipient; given once for each, and answered for each. RFC 5321 4.1.1.3",
    "DATA": "The message follows, and ends with a line of one full stop. RFC 5321 4.1.1.4",
    "BDAT": "So many octets of the message follow, with no dots to care for. RFC 3030 2",
    "RSET": "Gives the message up: sender, recipients and data are forgotten. RFC 5321 4.1.1.5",
    "VRFY": "Asks whether this is a user; a server may answer 252. RFC 5321 4.1.1.6",
    "EXPN": "Asks who is on a list. RFC 5321 4.1.1.7",
    "HELP": "Asks for help, to be read by people. RFC 5321 4.1.1.8",
    "NOOP": "Does nothing, and is answered 250. RFC 5321 4.1.1.9",
    "QUIT": "Ends the session; the server answers 221 and closes. RFC 5321 4.1.1.10",
    "STARTTLS": "Encrypts the connection; both sides begin anew. RFC 3207 4",
    "AUTH": "Begins a SASL login; challenges come behind 334. RFC 4954 4",
    "220": "The server is ready. RFC 5321 4.2.2",
    "221": "The server closes the connection. RFC 5321 4.2.2",
    "235": "The login succeeded. RFC 4954 6",
    "250": "Done; after the data it means: from here on it is my duty. RFC 5321 4.2.2, 6.1",
    "251": "The user has moved; the server passes the message on. RFC 5321 3.4",
    "252": "Not verified, but the message would be taken. RFC 5321 3.5.3",
    "334": "A challenge in base64. RFC 4954 4",
    "354": "Now the message; a full stop alone on a line ends it. RFC 5321 4.2.2",
    "421": "The server gives up and closes; try again later. RFC 5321 3.8",
    "535": "User name and password are not right. RFC 4954 6",
    "2": "Done. RFC 5321 4.2.1",
    "3": "Understood so far; the server waits for more. RFC 5321 4.2.1",
    "4": "Not now: the same may succeed later. RFC 5321 4.2.1",
    "5": "No: the same must not be tried again as it is. RFC 5321 4.2.1",
}
_TABLES = {"POP3": _POP3, "SMTP": _SMTP}
_REPLY = re.compile(r"([2-5])[0-9]{2}(?=[ -]|$)")


def sentence(protocol: str, line: str) -> str:
    """What the RFC says about a line of either side; empty when it says nothing."""
    table = _TABLES[protocol]
    word = line.split(" ", 1)[0].upper()
    if reply := _REPLY.match(line):
        return table.get(reply[0], table.get(reply[1], ""))
    return table.get(word, "") if not word.isdigit() else ""
