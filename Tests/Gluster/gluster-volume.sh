#!/bin/bash
# A GlusterFS volume of a test's own: glusterd and two bricks on loop-device disks, in private network, mount and
# process namespaces; and FUSE clients, outside of the private mounts, so that what they mount is seen by the caller.
# Needs root.
#
# Reads commands from stdin, one a line, and answers each with one line, `ok …` or `error …`. The end of stdin is the
# end of it all: the clients and their mounts go, then the namespaces' first process and with it all others, their
# mounts, sockets and disks. No other glusterd is ever spoken to: this one's network is its own.
#
# usage: gluster-volume.sh replica|distribute FOLDER [disk size in MiB]
# FOLDER exists; clients are mounted at FOLDER/NAME and write FOLDER/NAME.log.
set -uo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
# Not "localhost", which gluster refuses.
host=127.1.1.1

# ---- In the namespaces

inside() {
  local mib=$1 pid
  # /proc is still the outer one: its `self` names this process as the caller knows it.
  read -r pid _ </proc/self/stat
  mount -t proc proc /proc
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p /run/gluster /run/bricks
  for place in /var/lib/glusterd /var/log/glusterfs; do
    mkdir -p $place && mount -t tmpfs tmpfs $place || exit
  done
  mkdir -p /var/log/glusterfs/bricks
  hide_gsyncd
  ip link set lo up || exit
  make_disk 1 "$mib" && make_disk 2 "$mib" || exit
  glusterd || exit
  echo "$pid"
  # Until the other side is gone. As the first process it reaps what the daemons leave behind.
  read -r
}

# At its first start glusterd runs the program of geo-replication a dozen times, for seconds, just to hear its version.
hide_gsyncd() {
  local program
  for program in /usr/lib/*/glusterfs/gsyncd /usr/libexec/glusterfs/gsyncd; do
    [ -e "$program" ] || continue
    printf '#!/bin/sh\necho gsyncd 0.0.1\n' >/run/gsyncd
    chmod 755 /run/gsyncd
    mount --bind /run/gsyncd "$program"
    return
  done
}

make_disk() {
  local image device
  image=$(mktemp "${TMPDIR:-/tmp}/tierd-brick.XXXXXX") && truncate -s "$2M" "$image" &&
    device=$(losetup --find --show "$image") && rm "$image" &&
    mkfs.ext4 -q -b 4096 -I 512 -E lazy_itable_init=1,lazy_journal_init=1 "$device" >/dev/null &&
    mkdir "/run/bricks/$1" && mount -o noatime "$device" "/run/bricks/$1" &&
    losetup --detach "$device" # takes effect with the last unmount
}

if [ "${1:-}" = --inside ]; then
  inside "$2"
  exit
fi

# ---- Outside

kind=$1 folder=$2 mib=${3:-1024}
declare -A clients=()

# Its output is our input, and the end of its input is its end.
coproc box { exec unshare --net --mount --pid --fork --kill-child --propagation private -- \
  bash "$0" --inside "$mib" 2>"$folder/box.log"; }
unshare_pid=$! box_pid=

in_box() { nsenter --target "$box_pid" --mount --net --pid -- "$@" </dev/null; }
gluster() { in_box gluster --mode=script "$@" >"$folder/cli.log" 2>&1; }
await() {
  local try
  for try in {1..600}; do
    "$@" && return
    sleep 0.05
  done
  return 1
}

# In the network of the volume, but among the caller's mounts.
start_client() {
  local place=$folder/$1
  mkdir -p "$place"
  # Attributes that need an option; `mount -t glusterfs -o acl,capability` says the same.
  setpriv --pdeathsig KILL nsenter --target "$box_pid" --net -- glusterfs --no-daemon --process-name fuse \
    --acl --capability --volfile-server=$host --volfile-id=cache \
    --log-level=WARNING --log-file="$place.log" "$place" \
    </dev/null >/dev/null 2>&1 &
  clients[$1]=$!
  await is_served "$1" && await is_connected "$1" "$(running_bricks)"
}

# GlusterFS's root has this number.
is_served() { [ "$(stat -c %i "$folder/$1" 2>/dev/null)" = 1 ]; }

# To so many bricks.
is_connected() {
  [ "$(grep -hs '^connected = 1' "$folder/$1"/.meta/graphs/active/cache-client-*/private | wc -l)" = "$2" ]
}

end_client() {
  [ -n "${clients[$1]:-}" ] || return
  kill "-$2" "${clients[$1]}" 2>/dev/null
  wait "${clients[$1]}" 2>/dev/null
  unset "clients[$1]"
}

brick_pid() { in_box cat "/run/gluster/vols/cache/$host-run-bricks-$1-brick.pid" 2>/dev/null; }
is_gone() { ! in_box kill -0 "$1" 2>/dev/null; }
running_bricks() {
  local count=0 number
  for number in 1 2; do is_gone "$(brick_pid $number)" || count=$((count + 1)); done
  echo $count
}
kill_brick() {
  local pid
  pid=$(brick_pid "$1") && in_box kill -KILL "$pid" && await is_gone "$pid"
}

start_bricks() {
  local name
  gluster volume start cache force || return
  for name in "${!clients[@]}"; do await is_connected "$name" 2 || return; done
}

cleanup() {
  local name
  for name in "${!clients[@]}"; do
    umount -l "$folder/$name" 2>/dev/null
    end_client "$name" KILL
  done
  # A client that died has left its mount.
  for name in "$folder"/*/; do umount -l "$name" 2>/dev/null; done
  # The first process: once it is gone, and unshare with it, all others are.
  [ -z "$box_pid" ] || kill -KILL "$box_pid" 2>/dev/null || kill -KILL "$unshare_pid" 2>/dev/null
  wait "$unshare_pid" 2>/dev/null
  # A caller that was killed doesn't.
  rm -rf --one-file-system "$folder"
}
trap cleanup EXIT
fail() {
  echo "error $*: $(tail -qn 2 "$folder"/*.log 2>/dev/null | tr '\n' ' ')"
  exit 1
}

read -r box_pid <&"${box[0]}" || fail "glusterd doesn't start"
await gluster volume list || fail "glusterd doesn't answer"
bricks=("$host:/run/bricks/1/brick" "$host:/run/bricks/2/brick")
[ "$kind" = distribute ] || bricks=(replica 2 "${bricks[@]}")
gluster volume create cache "${bricks[@]}" force || fail "volume create"
gluster volume start cache || fail "volume start"
echo "ok $box_pid"

while read -r command argument; do
  result=
  case $command in
    mount) start_client "$argument" ;;
    # As an administrator does it.
    unmount) umount "$folder/$argument" && end_client "$argument" TERM ;;
    # The mount stays, and every call on it fails.
    kill-client) end_client "$argument" KILL ;;
    detach) umount -l "$folder/$argument" ;;
    kill-brick) kill_brick "$argument" ;;
    start-bricks) start_bricks ;;
    # shellcheck disable=SC2086 # two words: option and value
    set) gluster volume set cache $argument ;;
    *) false ;;
  esac && echo "ok $result" || echo "error $command $argument: $(tr '\n' ' ' <"$folder/cli.log")"
done
