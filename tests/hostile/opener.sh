#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# Rows F1 to F7, F11, F13 and P1 against the opener and the parser alone, as the monitor starts them.
. "$(dirname "$0")/../lib.sh"
need_root
export OPENER=$B/porthole-opener PARSER=$B/porthole-parser
chmod 755 "$T"

for driver in opener_files opener_pids opener_fuse; do
    mkdir "$T/$driver"
    "$B/tests/hostile/$driver" "$T/$driver" 2>"$T/$driver.log" || tail -n 5 "$T/$driver.log"
done
