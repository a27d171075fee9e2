#!/bin/bash
# Installs the Debian packages that a purpose needs, if they are missing: build, test, bench.
set -euo pipefail

packages=()
for purpose in "$@"; do
  case $purpose in
    build) packages+=(libsqlite3-dev libnfs-dev libssl-dev libyaml-dev pkg-config) ;;
    test) packages+=(nfs-ganesha nfs-ganesha-vfs rpcbind rsync openssh-server openssh-client iproute2 iptables
      e2fsprogs xfsprogs btrfs-progs attr acl util-linux procps glusterfs-server glusterfs-client zsh fish bindfs) ;;
    bench) packages+=(rclone inotify-tools findutils time) ;;
    *) echo "usage: $0 build|test|bench ..." >&2; exit 64 ;;
  esac
done

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

sudo=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "as root, run: apt-get install ${missing[*]}" >&2; exit 1; }
  sudo=(sudo)
fi
echo "installing ${missing[*]}"
# Servers come along with the tests' packages; none of them may start by itself on this machine.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee $policy >/dev/null
  "${sudo[@]}" chmod 755 $policy
  trap '"${sudo[@]}" rm -f $policy' EXIT
fi
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
