#!/bin/bash
# One MailServer of the lab: makes its keys at the first start, tells the lab's DNS about itself, and
# goes on as any MailServer does. ADDRESS_IN_LAB is where the others find it, ZONES the DNS's folder.
set -eu

data=/data
[ -n "$(ls -A "$data")" ] || install -m 600 /usr/share/mailserver/users.txt "$data/users.txt"
for kind in rsa ed25519; do
  [ -f "$data/.mailserver/dkim/$MAIL_DOMAIN/$kind.pem" ] ||
    mailadmin --data "$data" dkim new "$MAIL_DOMAIN" --type "$kind" --selector "$kind" >/dev/null 2>&1
done

export MAILSERVER_DOMAINS=$MAIL_DOMAIN
mailadmin --data "$data" dns --address "$ADDRESS_IN_LAB" --policy reject >"$ZONES/$MAIL_DOMAIN.new"
mv "$ZONES/$MAIL_DOMAIN.new" "$ZONES/$MAIL_DOMAIN.zone"

exec mailserver-entrypoint "$@"
