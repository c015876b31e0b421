#!/bin/bash
# Makes a Debian machine (12 or 13) able to run `make e2e`, even where no image registry can be
# reached: a running Docker engine, Compose v2 with buildx, and the base image of our Dockerfiles.
#
# What is there already is left alone, so a second run does nothing and needs no root. What is
# missing is named, then installed, which needs root. Run it again after a failure: each step
# checks its result by using it, and leaves nothing half made in place.
set -euo pipefail

BASE=debian:trixie-slim
PLUGINS=/usr/local/lib/docker/cli-plugins
work=

say() { echo "lab: $*"; }
die() { echo "lab: $*" >&2; exit 1; }
clean_up() { [ -z "$work" ] || rm -rf "$work"; }
trap clean_up EXIT

# Each step that installs something begins here.
missing() {
  [ "$(id -u)" = 0 ] || die "$1 is missing: run 'sudo lab/prepare.sh' once"
  say "$2"
  clean_up
  work=$(mktemp -d)
  chmod 755 "$work" # apt downloads as a user of its own
}

install_packages() {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$work/apt.log" 2>&1 ||
    { cat "$work/apt.log" >&2; die "apt could not install: $*"; }
}

# Where this machine gets Debian's main section from; apt knows, whatever the form of its lists.
mirror() {
  # shellcheck disable=SC2016 # apt fills these in
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
    awk '$3 == "main" && $2 !~ /-/ { print $1; exit }'
}

engine_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

start_engine() {
  if [ -d /run/systemd/system ]; then
    systemctl start docker || true
  elif pidof dockerd >/dev/null; then
    # just starting, or deaf: a second one on the same folder could damage what the first one keeps
    say "dockerd runs already (process $(pidof dockerd)): waiting for it to answer"
  else
    setsid dockerd >/var/log/dockerd.log 2>&1 </dev/null &
  fi
  for _ in $(seq 60); do
    ! engine_answers || return 0
    sleep 1
  done
  tail -n 20 /var/log/dockerd.log >&2 2>/dev/null || true
  die "the Docker engine does not answer: see its log (above, or journalctl -u docker), restart it"
}

if ! engine_answers; then
  if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then
    missing "a Docker engine" "installing the Docker engine"
    packages=(docker.io ca-certificates)
    # since Debian 13 the command is a package of its own
    apt-get update -qq
    ! apt-cache show docker-cli >/dev/null 2>&1 || packages+=(docker-cli)
    install_packages "${packages[@]}"
  fi
  # the installation may have started it
  if ! engine_answers; then
    missing "a running Docker engine that $(id -un) may use" "starting the Docker engine"
    start_engine
  fi
fi

if ! docker compose version >/dev/null 2>&1 || ! docker buildx version >/dev/null 2>&1; then
  missing "Compose v2 or buildx" "adding Compose v2 and buildx (trixie's packages, unpacked as plugins)"
  mkdir "$work"/{lists,cache,parts,plugins}
  # Debian 12 has neither, so the lists are private ones: the machine's own apt stays as it is.
  key=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -f $key ] || install_packages debian-archive-keyring
  echo "deb [signed-by=$key] $(mirror) trixie main" >"$work/sources.list"
  options=(-qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts="$work/parts"
    -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o Acquire::Languages=none
    -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update
  (cd "$work" && apt-get "${options[@]}" download docker-compose docker-buildx)
  for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/plugins"; done
  mkdir -p $PLUGINS
  for plugin in docker-compose docker-buildx; do
    install "$work/plugins/usr/libexec/docker/cli-plugins/$plugin" "$PLUGINS/.$plugin.new"
    mv "$PLUGINS/.$plugin.new" "$PLUGINS/$plugin"
  done
  docker compose version >/dev/null && docker buildx version >/dev/null
fi

if ! docker image inspect $BASE >/dev/null 2>&1; then
  say "pulling $BASE"
  if ! timeout 120 docker pull -q $BASE >/dev/null 2>&1; then
    missing "the image $BASE" "no image registry answers: making $BASE from Debian's packages"
    command -v mmdebstrap >/dev/null || install_packages mmdebstrap
    # What makes Debian's own image slim: no documentation, no translations. And the certificates
    # that this machine trusts, under /usr/local too, where update-ca-certificates keeps them.
    ca=/etc/ssl/certs/ca-certificates.crt
    hooks=()
    [ ! -f $ca ] || hooks=(--customize-hook="upload $ca $ca"
      --customize-hook="upload $ca /usr/local/share/ca-certificates/machine.crt")
    mmdebstrap --quiet --variant=minbase --include=ca-certificates \
      --aptopt='Acquire::Languages "none"' \
      --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
      --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
      "${hooks[@]}" trixie "$work/base.tar" "$(mirror)"
    docker import --change 'CMD ["bash"]' "$work/base.tar" $BASE >/dev/null
  fi
fi

say "ready: engine $(docker version --format '{{.Server.Version}}')," \
  "Compose $(docker compose version --short), $BASE"
