#!/bin/bash
# A NAS in a box: nfs-ganesha (NFSv3), rsync daemon and, if asked for, sshd, on a loop-device disk, in private
# network, mount and process namespaces. Needs root.
#
# Reads commands from stdin, one a line, and answers each with one line, `ok …` or `error …`. The end of stdin is
# the end of the box: its first process exits, the kernel ends all others, and mounts, loop device (autoclear),
# image (unlinked while in use) and network link go with them. Nothing is left, whoever was killed.
#
# usage: nas-stand-in.sh [ext4|btrfs] [disk size in MiB] [ssh]
set -euo pipefail

if [ "${1:-}" != --inside ]; then
  exec 9</proc/self/ns/net
  exec unshare --net --mount --pid --fork --kill-child --propagation private -- bash "$0" --inside "$@"
fi
shift
file_system=${1:-ext4} disk_mib=${2:-8192} ssh=${3:-}

# /proc is still the outer one: its `self` names this process as the host knows it.
read -r host_pid _ </proc/self/stat
outside() { nsenter --net=/proc/self/fd/9 -- "$@"; }
fail() { echo "error $*"; exit 1; }
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/nas/log /run/nas/recovery /run/rpcbind /run/sshd

make_disk() {
  local image
  image=$(mktemp "${TMPDIR:-/tmp}/tierd-nas-disk.XXXXXX")
  truncate -s "${disk_mib}M" "$image"
  device=$(losetup --find --show "$image")
  rm "$image"
  if [ "$file_system" = btrfs ]; then
    mkfs.btrfs -q "$device" >/dev/null
  else
    # Nothing is left for the kernel to initialise later: it would move the disk's counters between windows.
    mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$device"
  fi
  mkdir -p /run/nas/volume1
  mount -o noatime "$device" /run/nas/volume1
  losetup --detach "$device" # takes effect with the last unmount
  mkdir /run/nas/volume1/tier /run/nas/volume1/squash /run/nas/volume1/NetBackup
  chown 1024:100 /run/nas/volume1/squash
}

# The first free number: the link's name is the claim, the address follows from it.
make_network() {
  local try n
  for try in {1..50}; do
    n=$((RANDOM % 16384))
    if outside ip link add "tnas$n" type veth peer name nas netns 1 2>/dev/null; then
      local net="10.213.$((n / 64))" base=$((n % 64 * 4))
      address=$net.$((base + 2))
      outside ip addr add "$net.$((base + 1))/30" dev "tnas$n"
      outside ip link set "tnas$n" up
      ip link set lo up
      ip addr add "$address/30" dev nas
      ip link set nas up
      return
    fi
  done
  fail "no free network link"
}

squash=No_Root_Squash access=RW privileged=true
write_ganesha_config() {
  cat >/run/nas/ganesha.conf <<CONF
NFS_CORE_PARAM {
  Bind_addr = $address; NFS_Port = 2049; MNT_Port = 20048; Protocols = 3;
  Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false;
  mount_path_pseudo = true;
  # Handles must survive a restart, whatever the loop device's number.
  fsid_device = false;
  Plugins_Dir = "$(dirname "$(find /usr/lib -name libfsalvfs.so -print -quit)")";
}
NFS_KRB5 { Active_krb5 = false; }
NFSv4 { Graceless = true; RecoveryBackend = fs; RecoveryRoot = "/run/nas/recovery"; }
EXPORT_DEFAULTS { SecType = sys; Protocols = 3; Transports = TCP; Attr_Expiration_Time = 0; }
# As the kernel's server: what a person does on the NAS itself is seen at once.
MDCACHE { Dir_Chunk = 0; }
EXPORT {
  Export_Id = 1; Path = "/run/nas/volume1/tier"; Pseudo = "/volume1/tier"; Access_Type = $access;
  Squash = $squash; PrivilegedPort = $privileged; FSAL { Name = VFS; }
}
EXPORT {
  Export_Id = 2; Path = "/run/nas/volume1/squash"; Pseudo = "/volume1/squash"; Access_Type = RW;
  Squash = All_Squash; Anonymous_uid = 1024; Anonymous_gid = 100; PrivilegedPort = false; FSAL { Name = VFS; }
}
LOG { Default_Log_Level = CRIT; }
CONF
}

listens() { ss -Hltn "( sport = :$1 )" | grep -q .; }
await_listening() {
  local try
  for try in {1..500}; do
    listens "$1" && return
    sleep 0.01
  done
  fail "port $1 never opened: $(tail -n 3 "/run/nas/log/$2" 2>/dev/null | tr '\n' ' ')"
}
await_silent() {
  local try
  for try in {1..500}; do
    listens "$1" || return 0
    sleep 0.01
  done
  fail "port $1 never closed"
}

start_nfs() {
  write_ganesha_config
  # In the foreground: its pid is ours. It leaves at once where NFSv3 is on and no rpcbind answers.
  ganesha.nfsd -F -f /run/nas/ganesha.conf -L /run/nas/log/ganesha -p /run/nas/ganesha.pid \
    >/run/nas/log/ganesha.out 2>&1 </dev/null 9<&- &
  nfs_pid=$!
  await_listening 2049 ganesha
  await_listening 20048 ganesha
}

# The leader is dead before its threads have closed the sockets, and an early restart couldn't bind them.
kill_nfs() {
  kill -KILL "$nfs_pid" 2>/dev/null || true
  wait "$nfs_pid" 2>/dev/null || true
  await_silent 2049
  await_silent 20048
}

start_rsync() {
  cat >/run/nas/rsyncd.conf <<CONF
address = $address
port = 873
log file = /run/nas/log/rsyncd
use chroot = yes
uid = root
gid = root
reverse lookup = no
auth users = tierd
secrets file = /run/nas/rsyncd.secrets
read only = false
[NetBackup]
  path = /run/nas/volume1/NetBackup
[readonly]
  path = /run/nas/volume1/NetBackup
  read only = true
CONF
  echo 'tierd:s3cret' >/run/nas/rsyncd.secrets
  chmod 600 /run/nas/rsyncd.secrets
  rsync --daemon --no-detach --config=/run/nas/rsyncd.conf >/run/nas/log/rsyncd.out 2>&1 </dev/null 9<&- &
  await_listening 873 rsyncd
}

start_ssh() {
  mkdir /run/nas/ssh
  ssh-keygen -q -t ed25519 -N '' -f /run/nas/ssh/host
  ssh-keygen -q -t ed25519 -N '' -f /run/nas/ssh/identity
  cp /run/nas/ssh/identity.pub /run/nas/ssh/authorized_keys
  echo "$address $(cut -d' ' -f1,2 /run/nas/ssh/host.pub)" >/run/nas/ssh/known_hosts
  cat >/run/nas/ssh/config <<CONF
ListenAddress $address:22
HostKey /run/nas/ssh/host
AuthorizedKeysFile /run/nas/ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
StrictModes no
UseDNS no
# Else bash, started by sshd, reads ~/.bashrc, and all wait for what this machine's user has there.
SetEnv SHLVL=1
Subsystem sftp internal-sftp
CONF
  /usr/sbin/sshd -D -E /run/nas/log/sshd -f /run/nas/ssh/config >/dev/null 2>&1 </dev/null 9<&- &
  await_listening 22 sshd
}

# Leaves about as many bytes free.
fill() {
  local available
  available=$(df --output=avail -B1 /run/nas/volume1 | tail -1)
  fallocate -l $((available - $1)) /run/nas/volume1/filler
}

reformat() {
  kill_nfs
  umount -l /run/nas/volume1
  make_disk
  start_nfs
}

make_disk
make_network
rpcbind -f -h "$address" >/run/nas/log/rpcbind 2>&1 </dev/null 9<&- &
await_listening 111 rpcbind
start_nfs
start_rsync
[ -z "$ssh" ] || start_ssh
trap - ERR
set +e
echo "ok $host_pid $address ${device#/dev/}"

while read -r command argument; do
  result=
  case $command in
    kill) kill_nfs ;;
    start) start_nfs ;;
    freeze) kill -STOP "$nfs_pid" ;;
    thaw) kill -CONT "$nfs_pid" ;;
    link) ip link set nas "$argument" ;;
    squash) squash=$argument && kill_nfs && start_nfs ;;
    access) access=$argument && kill_nfs && start_nfs ;;
    privileged) privileged=$argument && kill_nfs && start_nfs ;;
    fill) fill "$argument" ;;
    unfill) rm -f /run/nas/volume1/filler ;;
    reformat) reformat && result=${device#/dev/} ;;
    sync) sync -f /run/nas/volume1 ;;
    counters) result=$(cat "/sys/class/block/${device#/dev/}/stat") ;;
    connections) result=$(ss -Htn state established | wc -l) ;;
    *) false ;;
  esac && echo "ok $result" || echo "error $command $argument failed"
done
