#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# One saved stream in every format: they agree on the samples, read back, and come out the same
# twice. Needs no agent and no rights; the check of pprof needs go.
. "$(dirname "$0")/../lib.sh"

need_commands python3 jq zcat

HERE=$(cd "$(dirname "$0")" && pwd)
python3 "$HERE/browser/make_stream.py" >"$T/x.json"

for suffix in folded svg json pb.gz txt; do
    check "a stream becomes .$suffix" porthole render "$T/x.json" -o "$T/x.$suffix.copy" \
        -f "$(case $suffix in pb.gz) echo pprof ;; txt) echo tree ;; *) echo "$suffix" ;; esac)"
    check "the suffix .$suffix says as much" porthole render "$T/x.json" -o "$T/y.$suffix"
    check "the same stream gives the same .$suffix" cmp "$T/x.$suffix.copy" "$T/y.$suffix"
done
check "a stream saved as json is the stream as it came" cmp "$T/x.json" "$T/y.json"

sum_is() {
    [ "$(samples "$1")" = "$2" ] || { echo "$(samples "$1") samples, not $2" && return 1; }
}
check "folded lines hold every sample" sum_is "$T/y.folded" 1000

from_stdin() {
    porthole render - <"$1" >"$T/z.folded"
}
check "a stream is read from stdin" from_stdin "$T/x.json"
check "it gives the same folded lines" cmp "$T/y.folded" "$T/z.folded"
check "folded lines are read from stdin" from_stdin "$T/y.folded"
check "folded lines come out as they went in" cmp "$T/y.folded" "$T/z.folded"
check "folded lines become a stream" porthole render "$T/y.folded" -o "$T/z.json"
check "that stream reads back" from_stdin "$T/z.json"
check "and holds the same folded lines" cmp "$T/y.folded" "$T/z.folded"

no_controls() {
    ! LC_ALL=C grep -aqP '[\x00-\x08\x0b-\x1f\x7f]' "$@" || { echo "control bytes" && return 1; }
}
check "no text output has a control byte" no_controls "$T/y.folded" "$T/y.txt" "$T/y.svg"

# ---- a terminal ----
on_terminal() {
    python3 -c 'import os, pty, sys
os.environ.update(COLUMNS="72", TERM="xterm")
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))' "$@" >"$T/screen" </dev/null
}
check "a terminal gets a tree" on_terminal "$B/porthole" render "$T/x.json"
check "the tree names shares" grep -q '60.0%' "$T/screen"
check "the tree has colours" grep -q $'\033\[33mksys_read' "$T/screen"
check "NO_COLOR is respected" env NO_COLOR=1 bash -c "$(declare -f on_terminal); T='$T' on_terminal \
    '$B/porthole' render '$T/x.json' && ! grep -q \$'\\033\\[33m' '$T/screen'"
exits_with 2 "binary output is kept from terminals" on_terminal "$B/porthole" render "$T/x.json" \
    -f pprof

# ---- pprof ----
if command -v go >/dev/null && go tool pprof -h >/dev/null 2>&1; then
    pprof() {
        HOME=$T go tool pprof -symbolize=none "$@" 2>"$T/err"
    }
    pprof -top -sample_index=samples "$T/y.pb.gz" >"$T/top"
    check "go tool pprof reads all samples" grep -q 'of 1000 total' "$T/top"
    check "go tool pprof names the functions" grep -qE '^ +300 .* read_request$' \
        <(awk '{ $1 = $1; print " " $4 " " $0 }' "$T/top")
    pprof -top "$T/y.pb.gz" >"$T/top"
    check "samples at a frequency are time" grep -qE 'of 10(s|000ms) total' "$T/top"
    pprof -tags "$T/y.pb.gz" >"$T/tags"
    check "the container is a label" grep -q 'web1' "$T/tags"
    check "the thread's name is a label" grep -q 'comm' "$T/tags"
else
    skip "go tool pprof opens the file" "needs go"
fi
