#!/bin/bash
# What the formatter doesn't see. Prints each finding and fails if there is one.
set -uo pipefail
cd "$(dirname "$0")/.."
status=0
report() { if [ -n "$2" ]; then printf '%s\n%s\n' "$1" "$2"; status=1; fi; }

report "files over 500 lines: is there a seam?" \
  "$(git ls-files '*.swift' | xargs wc -l | awk '$2 != "total" && $1 > 500 {print "  " $2 ": " $1}')"
report "unfinished marks:" "$(git grep -nwE 'TODO|FIXME|XXX' -- '*.swift' '*.sh' '*.yaml' '*.md' ':!scripts/tidy.sh')"
report "tests that sleep (wait for an event instead):" \
  "$(git grep -nE 'Task\.sleep|usleep\(|Thread\.sleep|[^a-zA-Z.]sleep\(' -- 'Tests/**/*.swift' ':!Tests/*Support/*')"
report "adapters import each other (dependencies point down):" \
  "$(git grep -nE '^import Tier(Catalog|Targets|PolicyFile|Observe|Engine|Server)' -- \
    Sources/TierLinux Sources/TierCatalog Sources/TierTargets Sources/TierPolicyFile Sources/TierObserve)"
report "the core imports something:" "$(git grep -nE '^import ' -- Sources/TierCore)"
exit $status
