#!/bin/bash
# The main job from the first file to the restore, on throw-away folders: a cache volume, a NAS stand-in, a
# policy whose ages are seconds. Shows each step as it happens and leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(swift build --show-bin-path)
demo=$(mktemp -d /tmp/tierd-demo.XXXXXX)
cache=$demo/cache nas=$demo/nas
export TIERD_SOCKET=$demo/run/tierd.sock
tierd_pid=

finish() {
  [ -z "$tierd_pid" ] || { kill "$tierd_pid" 2>/dev/null && wait "$tierd_pid" || true; }
  rm -rf "$demo"
}
trap finish EXIT

if [ -t 1 ]; then bold=$(tput bold) dim=$(tput dim) plain=$(tput sgr0); else bold='' dim='' plain=''; fi
step() { printf '\n%s== %s%s\n' "$bold" "$1" "$plain"; }
show() { printf '%s$ %s%s\n' "$dim" "${*//$demo\//}" "$plain"; "$@"; }
tierctl() { "$bin/tierctl" "$@"; }
wait_for() { # DESCRIPTION COMMAND...: until it succeeds, at most a minute
  local what=$1; shift
  for _ in $(seq 300); do if "$@" >/dev/null 2>&1; then return; fi; sleep 0.2; done
  echo "gave up waiting for $what; tierd said:" >&2; tail -20 "$demo/tierd.log" >&2; exit 1
}

mkdir -p "$cache" "$nas" "$demo/policies" "$demo/state" "$demo/run"
chmod 700 "$demo/run"
cat > "$demo/tierd.yaml" <<YAML
stateDirectory: $demo/state
socket: $TIERD_SOCKET
policies: $demo/policies
volumes:
  - name: vol01
    path: $cache
    settle: 1s
targets:
  - name: nas
    directory: { path: $nas }
    mountPath: $nas
YAML
cat > "$demo/policies/photos.yaml" <<'YAML'
name: photos
volume: vol01
path: photos
exclude: ["*.tmp"]
archive: { after: 3s, within: 5s }
release: { after: 8s, keepBelow: 1KiB }
YAML

step "A policy: photos are archived 3 s after their last change, released when unused for 8 s"
show cat "$demo/policies/photos.yaml"

step "tierd starts; the volume is empty, the NAS asleep"
"$bin/tierd" run --config "$demo/tierd.yaml" >"$demo/tierd.log" 2>&1 &
tierd_pid=$!
wait_for "tierd" tierctl status
grep -m1 ready "$demo/tierd.log" || true

step "An app writes files"
mkdir -p "$cache/photos/2026/lake"
for n in 1 2 3; do head -c $((n * 700000)) /dev/urandom > "$cache/photos/2026/lake/IMG_000$n.jpg"; done
echo "a small note" > "$cache/photos/notes.txt"
echo "half an upload" > "$cache/photos/IMG_0004.jpg.tmp"
(cd "$cache" && sha256sum photos/2026/lake/*.jpg) > "$demo/before.sha256"
show ls -lR --time-style=+%T "$cache/photos"

step "They are young: nothing has touched the NAS yet"
show find "$nas" -type f
wait_for "tierd to notice" sh -c "'$bin/tierctl' why '$cache/photos/2026/lake/IMG_0001.jpg' | grep -q 'may be archived'"
show tierctl why "$cache/photos/2026/lake/IMG_0001.jpg"

step "The oldest change reaches its deadline: one window for everything pending"
wait_for "the window" test -f "$nas/vol01/photos/2026/lake/IMG_0003.jpg"
wait_for "the window's end" sh -c "grep -q 'window closed' '$demo/tierd.log'"
show tierctl windows
step "The NAS holds plain files, readable without tierd"
show sh -c "cd '$nas' && find vol01 -type f | sort | xargs ls -l --time-style=+%T"

step "Unused for 8 s: the large files leave the cache; names, times and sizes stay"
wait_for "the release" test -L "$cache/photos/2026/lake/IMG_0003.jpg"
wait_for "the release" sh -c "! find '$cache/photos/2026' -type f | grep -q ."
wait_for "the blocks to be freed" sh -c "! '$bin/tierctl' ls '$cache/photos/2026/lake' | grep -q releasing"
show ls -l --time-style=+%T "$cache/photos/2026/lake"
show tierctl ls "$cache/photos/2026/lake"
show tierctl why "$cache/photos/2026/lake/IMG_0002.jpg"

step "A reader follows the stub to the NAS and gets the real content"
show sh -c "cd '$cache' && sha256sum --check '$demo/before.sha256'"

step "A restore brings them back, verified, each in one atomic step"
show tierctl restore "$cache/photos/2026/lake"
show sh -c "cd '$cache' && sha256sum --check '$demo/before.sha256'"
[ ! -L "$cache/photos/2026/lake/IMG_0001.jpg" ]

step "How things stand"
show tierctl status
show tierctl windows

step "tierd stops; the demo's folders go"
kill "$tierd_pid"; wait "$tierd_pid" || true; tierd_pid=
cat <<EOF

To go on with folders of your own:
  1. write tierd.yaml (docs/configuration.md) with your volume and your NAS:
       volumes: [{name: vol01, path: /mnt/vol01}]
       targets: [{name: nas, nfs: {host: 192.168.1.10, export: /volume1/tier}}]
       policies: policies
  2. put a policy of three lines into the folder policies beside it (docs/policies.md; examples in policies/)
  3. ${bin#"$PWD"/}/tierd check-policy --config tierd.yaml
     ${bin#"$PWD"/}/tierd run --config tierd.yaml
EOF
