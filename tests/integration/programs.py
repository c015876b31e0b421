"""Programs that nobody here wrote, and how each sends to MailServer and fetches from it.

Each command is a shell script, run in an empty folder of its own with these variables:

    to           sending: the recipient
    user         fetching: whose maildrop
    certificate  the server's certificate, a PEM file: what is to be trusted, and nothing else

and with the message to send in the file `message`. What was fetched goes to standard output. The
sender is alice, whose password is wonderland; that of every `user` is secret.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sender:
    """By SMTP; an empty command: it cannot."""

    in_clear: str = ""
    """To port 25, without AUTH."""
    starttls: str = ""
    """The same behind STARTTLS."""
    inside_tls: str = ""
    """To port 465, after AUTH."""
    auth: str = ""
    """To port 587, STARTTLS, then AUTH."""
    mechanism: str = "PLAIN"
    """Of this AUTH."""


@dataclass(frozen=True)
class Fetcher:
    """By POP3, likewise."""

    in_clear: str = ""
    """From port 110, with the password as it is."""
    starttls: str = ""
    """The same behind STLS."""
    inside_tls: str = ""
    """From port 995, likewise."""
    auth: str = ""
    """From port 110, in a way that keeps the password from those who listen."""
    mechanism: str = ""
    """By which."""


MANNERS = ("in_clear", "starttls", "inside_tls", "auth")

_CURL_SENDS = "curl -sS --crlf --mail-from alice@mailserver --mail-rcpt $to -T message"
_CURL_TLS = "--cacert $certificate --ssl-reqd"
_SWAKS = "swaks --server mailserver --from alice@mailserver --to $to --data @message"
_SWAKS_TLS = "--tls-verify --tls-verify-ca --tls-ca-path $certificate"
_SWAKS_USER = "--auth-user alice --auth-password wonderland"
_MSMTP = "msmtp --host=mailserver --from=alice@mailserver $to <message"
_MSMTP_TLS = "--tls=on --tls-trust-file=$certificate"
_MSMTP_USER = "--user=alice --passwordeval='echo wonderland'"
_NAIL = (
    "sed '1,/^$/d' message | s-nail -n -s hello -S v15-compat -S from=alice@mailserver"
    " -S tls-verify=strict -S tls-ca-no-defaults -S tls-ca-file=$certificate"
)
_MUTT = (
    "sed '1,/^$/d' message >body; mutt -n -F /dev/null -s hello"
    ' -e "set from=alice@mailserver smtp_pass=wonderland copy=no certificate_file=$certificate'
)
_GIT = (
    # it knows only domains with a dot
    "sed '/^To:/d' message >patch; git -c user.name=alice -c user.email=alice@mailserver.example"
    " send-email --quiet --confirm=never --suppress-cc=all --to=$to.example"
    " --smtp-server=mailserver --smtp-ssl-cert-path=$certificate"
)
_GIT_USER = "--smtp-user=alice --smtp-pass=wonderland --smtp-auth=PLAIN"
_SMTPLIB = """python3 -c '
import os, smtplib, ssl
trust = ssl.create_default_context(cafile=os.environ["certificate"])
def send(client):
    client.sendmail("alice@mailserver", [os.environ["to"]], open("message").read())
    client.quit()
{}
send(client)'"""
_NET_SMTP = """perl -MNet::SMTP -MAuthen::SASL -e '
my %trust = (SSL_ca_file => $ENV{{certificate}}, SSL_verifycn_name => "mailserver");
my $user = Authen::SASL->new(mechanism => "PLAIN", callback => {{
    user => "alice", authname => "", pass => "wonderland" }});
{}
open my $message, "<", "message";
$smtp->mail("alice\\@mailserver") && $smtp->to($ENV{{to}}) && $smtp->data(<$message>)
  && $smtp->quit or die $smtp->message'"""
_S_CLIENT = (
    "openssl s_client -quiet -verify_quiet -CAfile $certificate -verify_return_error"
    " -verify_hostname mailserver"
)
_SPOKEN_SMTP = (
    "{{ printf 'EHLO client\\r\\n{}MAIL FROM:<alice@mailserver>\\r\\n';"
    " printf 'RCPT TO:<%s>\\r\\nDATA\\r\\n' $to;"
    " sed 's/^[.]/../; s/$/\\r/' message; printf '.\\r\\nQUIT\\r\\n'; }} | " + _S_CLIENT
)
_AUTH_PLAIN = "AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=\\r\\n"

SENDERS = {
    "curl": Sender(
        f"{_CURL_SENDS} smtp://mailserver:25/client",
        f"{_CURL_SENDS} {_CURL_TLS} smtp://mailserver:25/client",
        f"{_CURL_SENDS} {_CURL_TLS} smtps://mailserver:465/client --user alice:wonderland",
        f"{_CURL_SENDS} {_CURL_TLS} smtp://mailserver:587/client --user alice:wonderland"
        " --login-options AUTH=PLAIN",
    ),
    "swaks": Sender(
        _SWAKS,
        f"{_SWAKS} --tls {_SWAKS_TLS}",
        f"{_SWAKS} --tls-on-connect --port 465 {_SWAKS_TLS} --auth PLAIN {_SWAKS_USER}",
        f"{_SWAKS} --tls --port 587 {_SWAKS_TLS} --auth LOGIN {_SWAKS_USER}",
        mechanism="LOGIN",
    ),
    "msmtp": Sender(
        f"{_MSMTP} --port=25",
        f"{_MSMTP} --port=25 {_MSMTP_TLS}",
        f"{_MSMTP} --port=465 {_MSMTP_TLS} --tls-starttls=off --auth=plain {_MSMTP_USER}",
        f"{_MSMTP} --port=587 {_MSMTP_TLS} --auth=scram-sha-256-plus {_MSMTP_USER}",
        mechanism="SCRAM-SHA-256-PLUS",
    ),
    "s-nail": Sender(
        # without AUTH it says HELO, and hears of no STARTTLS
        f"{_NAIL} -S mta=smtp://mailserver:25 -S smtp-auth=none $to",
        inside_tls=f"{_NAIL} -S mta=smtps://alice:wonderland@mailserver:465 -S smtp-auth=plain $to",
        auth=f"{_NAIL} -S mta=smtp://alice:wonderland@mailserver:587 -S smtp-auth=login"
        " -S smtp-use-starttls $to",
        mechanism="LOGIN",
    ),
    "mutt": Sender(
        f'{_MUTT} smtp_url=smtp://mailserver:25 ssl_force_tls=no ssl_starttls=no" $to <body',
        f'{_MUTT} smtp_url=smtp://mailserver:25 ssl_force_tls=yes" $to <body',
        f'{_MUTT} smtp_url=smtps://alice@mailserver:465 smtp_authenticators=plain" $to <body',
        f"{_MUTT} smtp_url=smtp://alice@mailserver:587 ssl_force_tls=yes"
        ' smtp_authenticators=scram-sha-256" $to <body',
        mechanism="SCRAM-SHA-256",
    ),
    "git send-email": Sender(
        f"{_GIT} --smtp-server-port=25 patch",
        f"{_GIT} --smtp-server-port=25 --smtp-encryption=tls patch",
        f"{_GIT} --smtp-server-port=465 --smtp-encryption=ssl {_GIT_USER} patch",
        f"{_GIT} --smtp-server-port=587 --smtp-encryption=tls {_GIT_USER} patch",
    ),
    "Python smtplib": Sender(
        _SMTPLIB.format('client = smtplib.SMTP("mailserver", 25)'),
        _SMTPLIB.format('client = smtplib.SMTP("mailserver", 25)\nclient.starttls(context=trust)'),
        _SMTPLIB.format(
            'client = smtplib.SMTP_SSL("mailserver", 465, context=trust)\n'
            'client.login("alice", "wonderland")'
        ),
        _SMTPLIB.format(
            'client = smtplib.SMTP("mailserver", 587)\nclient.starttls(context=trust)\n'
            'client.login("alice", "wonderland")'
        ),
    ),
    "Perl Net::SMTP": Sender(
        _NET_SMTP.format('my $smtp = Net::SMTP->new("mailserver") or die $@;'),
        _NET_SMTP.format(
            'my $smtp = Net::SMTP->new("mailserver") or die $@; $smtp->starttls(%trust) or die $@;'
        ),
        _NET_SMTP.format(
            'my $smtp = Net::SMTP->new("mailserver", Port => 465, SSL => 1, %trust) or die $@;'
            "$smtp->auth($user) or die $smtp->message;"
        ),
        _NET_SMTP.format(
            'my $smtp = Net::SMTP->new("mailserver", Port => 587) or die $@;'
            "$smtp->starttls(%trust) && $smtp->auth($user) or die $smtp->message;"
        ),
    ),
    "openssl s_client": Sender(
        starttls=_SPOKEN_SMTP.format("") + " -connect mailserver:25 -starttls smtp",
        inside_tls=_SPOKEN_SMTP.format(_AUTH_PLAIN) + " -connect mailserver:465",
        auth=_SPOKEN_SMTP.format(_AUTH_PLAIN) + " -connect mailserver:587 -starttls smtp",
    ),
}

_CURL_FETCHES = "curl -sS --user $user:secret"
_MPOP = (
    "mpop --host=mailserver --user=$user --passwordeval='echo secret' --keep=on --uidls-file=uidls"
    " --delivery=mbox,box"
)
_MPOP_TLS = "--tls=on --tls-trust-file=$certificate"
_FETCHMAIL = (
    """printf '%s\\n' "poll mailserver {} user $user password secret keep {}" 'mda "cat >>box"'"""
    " >rc; chmod 600 rc; fetchmail -f rc >&2; cat box"
)
_FETCHMAIL_TLS = "sslcertck sslcertfile $certificate"
_GETMAIL = (
    "mkdir -p box/cur box/new box/tmp; printf '%s\\n' '[retriever]' server=mailserver"
    " username=$user password=secret {} '[destination]' type=Maildir path=$PWD/box/ >rc"
    # once in a hundred times it misses the end of its own child, and waits for ever
    "; for try in 1 2 3; do timeout 10 getmail --getmaildir=. -r rc >&2 && break; done"
    "; cat box/new/*"
)
_NAIL_FETCHES = (
    "s-nail -n -S v15-compat -S tls-verify=strict -S tls-ca-no-defaults -S tls-ca-file=$certificate"
    " -S pop3-keepalive=0 -Y 'Type 1' -Y xit {} </dev/null"
)
_MUTT_FETCHES = (
    # a copy goes to a file, as if somebody had typed it: it has no other way to fetch
    'echo "set pop_pass=secret pop_delete=no move=no confirmappend=no confirmcreate=no'
    ' certificate_file=$certificate pop_authenticators={} ssl_force_tls={} ssl_starttls={}"'
    " >rc; echo \"push '<copy-message>box<enter><exit>'\" >>rc; TERM=xterm script -qec"
    ' "stty rows 24 cols 80; mutt -n -F rc -f {}" /dev/null </dev/null >&2; cat box'
)
_POPLIB = """python3 -c '
import os, poplib, ssl, sys
trust = ssl.create_default_context(cafile=os.environ["certificate"])
user = os.environ["user"]
{}
sys.stdout.buffer.write(b"\\n".join(client.retr(1)[1]))
client.quit()'"""
_NET_POP3 = """perl -MNet::POP3 -e '
my %trust = (SSL_ca_file => $ENV{{certificate}}, SSL_verifycn_name => "mailserver");
my $user = $ENV{{user}};
{}
print @{{$pop3->get(1)}}; $pop3->quit'"""
_SPOKEN_POP3 = (
    "{{ {}; printf 'RETR 1\\r\\nQUIT\\r\\n'; }} | "
    + _S_CLIENT
    + " -connect mailserver:{} | sed 's/^[.][.]/./'"
)
_USER_PASS = "printf 'USER %s\\r\\nPASS secret\\r\\n' $user"
_POP3_PLAIN = "printf 'AUTH PLAIN %s\\r\\n' $(printf '\\0%s\\0secret' $user | base64)"

FETCHERS = {
    "curl": Fetcher(
        f"{_CURL_FETCHES} --login-options AUTH=PLAIN pop3://mailserver/1",
        f"{_CURL_FETCHES} --login-options AUTH=PLAIN {_CURL_TLS} pop3://mailserver/1",
        f"{_CURL_FETCHES} --login-options AUTH=PLAIN {_CURL_TLS} pop3s://mailserver/1",
        f"{_CURL_FETCHES} --login-options AUTH=+APOP pop3://mailserver/1",
        mechanism="APOP",
    ),
    "mpop": Fetcher(
        f"{_MPOP} --auth=user --tls=off >&2; cat box",
        f"{_MPOP} --auth=user {_MPOP_TLS} >&2; cat box",
        f"{_MPOP} --auth=user {_MPOP_TLS} --tls-starttls=off >&2; cat box",
        f"{_MPOP} --auth=scram-sha-256-plus {_MPOP_TLS} >&2; cat box",
        mechanism="SCRAM-SHA-256-PLUS",
    ),
    "fetchmail": Fetcher(
        _FETCHMAIL.format("proto pop3", "sslproto ''"),
        _FETCHMAIL.format("proto pop3", "sslproto TLS1.2+ " + _FETCHMAIL_TLS),
        _FETCHMAIL.format("proto pop3 port 995", "ssl " + _FETCHMAIL_TLS),
        _FETCHMAIL.format("proto apop", "sslproto ''"),
        mechanism="APOP",
    ),
    "getmail6": Fetcher(
        _GETMAIL.format("type=SimplePOP3Retriever"),
        inside_tls=_GETMAIL.format("type=SimplePOP3SSLRetriever ca_certs=$certificate"),
        auth=_GETMAIL.format("type=SimplePOP3Retriever use_apop=True"),
        mechanism="APOP",
    ),
    "s-nail": Fetcher(
        _NAIL_FETCHES.format("-S pop3-no-apop -f pop3://$user:secret@mailserver"),
        _NAIL_FETCHES.format(
            "-S pop3-no-apop -S pop3-use-starttls -f pop3://$user:secret@mailserver"
        ),
        _NAIL_FETCHES.format("-S pop3-no-apop -f pop3s://$user:secret@mailserver"),
        _NAIL_FETCHES.format("-f pop3://$user:secret@mailserver"),
        mechanism="APOP",
    ),
    "mutt": Fetcher(
        _MUTT_FETCHES.format("user", "no", "no", "pop://$user@mailserver"),
        _MUTT_FETCHES.format("user", "yes", "yes", "pop://$user@mailserver"),
        _MUTT_FETCHES.format("user", "yes", "no", "pops://$user@mailserver"),
        _MUTT_FETCHES.format("scram-sha-256", "yes", "yes", "pop://$user@mailserver"),
        mechanism="SCRAM-SHA-256",
    ),
    "Python poplib": Fetcher(
        _POPLIB.format(
            'client = poplib.POP3("mailserver"); client.user(user); client.pass_("secret")'
        ),
        _POPLIB.format(
            'client = poplib.POP3("mailserver"); client.stls(context=trust)\n'
            'client.user(user); client.pass_("secret")'
        ),
        _POPLIB.format(
            'client = poplib.POP3_SSL("mailserver", context=trust)\n'
            'client.user(user); client.pass_("secret")'
        ),
        _POPLIB.format('client = poplib.POP3("mailserver"); client.apop(user, "secret")'),
        mechanism="APOP",
    ),
    "Perl Net::POP3": Fetcher(
        _NET_POP3.format('my $pop3 = Net::POP3->new("mailserver"); $pop3->login($user, "secret");'),
        _NET_POP3.format(
            'my $pop3 = Net::POP3->new("mailserver"); $pop3->starttls(%trust) or die $@;'
            '$pop3->login($user, "secret");'
        ),
        _NET_POP3.format(
            'my $pop3 = Net::POP3->new("mailserver", SSL => 1, %trust) or die $@;'
            '$pop3->login($user, "secret");'
        ),
        _NET_POP3.format('my $pop3 = Net::POP3->new("mailserver"); $pop3->apop($user, "secret");'),
        mechanism="APOP",
    ),
    "openssl s_client": Fetcher(
        starttls=_SPOKEN_POP3.format(_USER_PASS, "110 -starttls pop3"),
        inside_tls=_SPOKEN_POP3.format(_USER_PASS, "995"),
        auth=_SPOKEN_POP3.format(_POP3_PLAIN, "110 -starttls pop3"),
        mechanism="PLAIN",
    ),
}


@dataclass(frozen=True)
class Use:
    """One way in which one program is used."""

    program: str
    protocol: str
    manner: str
    command: str
    mechanism: str

    def __str__(self) -> str:
        return f"{self.program.replace(' ', '-')}-{self.protocol}-{self.manner}"


USES = [
    Use(program, protocol, manner, command, can.mechanism)
    for protocol, programs in (("SMTP", SENDERS), ("POP3", FETCHERS))
    for program, can in programs.items()
    for manner in MANNERS
    if (command := getattr(can, manner))
]


def table() -> str:
    """All of it, as the README shows it."""
    head = ("program", "by", "in clear", "STARTTLS, STLS", "inside TLS", "AUTH")
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for use in USES:
        cells = rows.setdefault((use.program, use.protocol), dict.fromkeys(MANNERS, "–"))
        cells[use.manner] = use.mechanism if use.manner == "auth" else "yes"
    lines = [head, ["---"] * len(head), *((*key, *cells.values()) for key, cells in rows.items())]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace(" --- ", "---")
