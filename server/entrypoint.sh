#!/bin/bash
# Runs the two servers of one MailServer over one data folder and ends when either ends:
#
#   entrypoint.sh SMTP_PORT POP3_PORT
#
# The container's first process, and what `make run` calls. Settings, all by environment:
#   DATA         the data folder (/data)
#   SEED         accounts for a data folder that is still empty
#   ADDRESS      where to listen (0.0.0.0)
#   MAIL_DOMAIN  the local domains, separated by spaces (the setting `domains`)
#   MAILSERVER_… any setting of the servers, see docs/settings.md
#
# TERM and INT are passed to both servers, and both are waited for. Exit: 0 when told to stop,
# 78 for a setting that only a person can put right, otherwise the failed server's own (1 for 0).
set -u

smtp_port=${1:-25} pop3_port=${2:-110}
data=${DATA:-/data}
seed=${SEED:-/usr/share/mailserver/users.txt}
address=${ADDRESS:-0.0.0.0}

say() { echo "mailserver: $*" >&2; }

if [ -n "${MAIL_DOMAIN:-}" ]; then
  export MAILSERVER_DOMAINS=$MAIL_DOMAIN
  say "MAILSERVER_DOMAINS is what MAIL_DOMAIN says: $MAIL_DOMAIN"
fi

# --- the data folder ---------------------------------------------------------------------------
probe=$data/.writable.$$
if ! { : >"$probe"; } 2>/dev/null; then
  say "$data cannot be written by $(id -u):$(id -g). It is $(stat -c '%u:%g, mode %a' "$data" 2>&1)."
  say "Is it read-only, or full? If it only belongs to somebody else, this hands it over:"
  say "  docker compose run --rm --user 0 --cap-add CHOWN --cap-add DAC_OVERRIDE --entrypoint chown mailserver -R $(id -u):$(id -g) /data"
  say "or, for a folder of the host: sudo chown -R $(id -u):$(id -g) THE-FOLDER"
  exit 78
fi
rm -f "$probe"

# Only an empty folder is given the seed: accounts that somebody removed must not come back. A copy
# that a kill left behind counts as empty.
rm -f "$data/.users.seed"
content=$(find "$data" -mindepth 1 -maxdepth 1 ! -name lost+found -print -quit)
if [ -z "$content" ] && [ -f "$seed" ]; then
  (umask 077 && cp "$seed" "$data/.users.seed") && sync "$data/.users.seed" &&
    mv "$data/.users.seed" "$data/users.txt" && sync "$data" || exit 78
  say "$data was empty: accounts copied from the seed; their passwords are public, so change them"
fi

# --- the two servers ---------------------------------------------------------------------------
stopping=
stop() {
  stopping=yes
  local pids
  pids=$(jobs -p)
  # shellcheck disable=SC2086 # one word each
  [ -z "$pids" ] || kill -TERM $pids 2>/dev/null
}
trap stop TERM INT

smtpmail "$smtp_port" --data "$data" --host "$address" &
smtp=$!
popserver "$pop3_port" --data "$data" --host "$address" &

result=0 left=2
while [ "$left" -gt 0 ]; do
  wait -n -p ended
  status=$?
  # a signal interrupts the wait too; then no server has ended yet
  [ -n "${ended:-}" ] || continue
  left=$((left - 1))
  if [ -z "$stopping" ]; then
    [ "$ended" = "$smtp" ] && name=SMTP || name=POP3
    say "the $name server ended by itself, status $status: stopping"
    result=$((status ? status : 1))
    stop
  elif [ "$status" != 0 ] && [ "$status" != 143 ] && [ "$result" = 0 ]; then
    result=$status # 143: it was told to stop before it was listening
  fi
done
exit "$result"
