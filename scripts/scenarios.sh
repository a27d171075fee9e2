#!/bin/bash
# Plays every scenario of released files on every file system and 1,000 rounds of the race, and writes what came of
# them to docs/scenarios.md (or to $1). Needs root and what tests need; built tests.
set -uo pipefail
cd "$(dirname "$0")/.."
page=${1:-docs/scenarios.md}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

TIERD_SCENARIOS_ON=all TIERD_SCENARIOS_TABLE=$results/table.md \
  TIERD_RACE_ROUNDS=${TIERD_RACE_ROUNDS:-1000} TIERD_RACE_TABLE=$results/race.md \
  "${SWIFT:-swift}" test --skip-build --disable-xctest --no-parallel --filter 'ScenarioTests|RaceTests'
status=$?
[ -s "$results/table.md" ] && [ -s "$results/race.md" ] || { echo "no results" >&2; exit 1; }

version() { dpkg-query -W -f='${Version}' "$1" 2>/dev/null || echo "unknown"; }
{
  cat <<END
# Scenarios of released files

What apps, people, the NAS and tierd itself do to released files, one scenario a line, played for both kinds of stubs
(placeholders, symbolic links) on each file system. At the end of each, every content that it has written is read back by
another process, every copy on the target is compared with it, nothing is left in tierd's folders, and nothing is
unfinished. \`–\`: the kind of stub or the file system has no such thing.

Written by \`make scenarios\`; the tests are \`Tests/TierEngineTests/Stubs\`. \`make test\` plays those on ext4.

Linux $(uname -r), $(. /etc/os-release && echo "$PRETTY_NAME"), bindfs $(version bindfs), GlusterFS $(version glusterfs-server) (a replica on two
bricks). The guard covers what is opened on its machine; with bindfs it is FUSE's kind of guard.

## Race

Release, recall, archive, write, rename and compare at once, \`RaceTests\`: two threads of tierd's own do what they please
with four files on which six apps in two other processes work. Every read is compared with what was written before, every
twenty rounds what the target holds.

$(cat "$results/race.md")

## Scenarios

$(cat "$results/table.md")
END
} >"$page"
exit $status
