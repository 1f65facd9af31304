#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# Runs every fuzz target on its corpus, built with ASan and UBSan: no crash comes back.
. "$(dirname "$0")/../lib.sh"
cd "$ROOT" || exit 1

B=${B:-build}
build_log=$(make -s SAN=1 B="${B%/san}/san" fuzz-replay 2>&1) || {
    not_ok "the fuzz targets build" "make fuzz-replay failed"
    echo "$build_log"
    exit 1
}

for corpus in tests/fuzz/corpus/*/; do
    target=$(basename "$corpus")
    said="every input kept for '$target' is survived"
    if log=$("${B%/san}/san/tests/fuzz/replay_$target" "$corpus" 2>&1); then
        ok "$said ($(echo "$log" | tail -n 1))"
    else
        not_ok "$said" "$(echo "$log" | grep -m 1 -E 'ERROR|error|\.c:[0-9]+:' || echo crashed)"
        echo "$log"
    fi
done
