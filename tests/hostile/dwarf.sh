#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# F9 for DWARF: what is inlined is asked of files whose DWARF is a bomb, endless, deep, wide, circular
# or noise. The capture ends, names stay, the report says that it could not be expanded; the agent
# and its bounds hold.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq objcopy nm python3

A=pht$$-w
start_agent
agent=$AGENT_PID
on_exit "runc_stop $A"
victim_root "$A"
read -r LOW SIZE <<<"$(nm -S "$W/nested" | awk '$4 == "serve" { print $1, $2 }')"
HIGH=$(printf '%x' $((0x$LOW + 0x$SIZE)))

# attacked: --inline on /bin/app; $T/n.json
attacked() {
    rm -f "$T/n.json"
    runc_start "$A" "$T/$A" /bin/app || return 1
    timeout 60 "$B/porthole" cpu "$A" -d 1 -F 199 --inline -o "$T/n.json" 2>"$T/n.err"
    local status=$?
    runc_stop "$A"
    [ $status = 0 ] || { tail -n 1 "$T/n.err" && return 1; }
    folded "$T/n.json" >"$T/n.folded"
}

# told CAUSES: serve's frames are not expanded for one of these causes.
told() {
    jq -es --arg c "$1" 'map(select(.type == "quality"))[0].inlines | .not_expanded
        | any(.file == "/bin/app" and (.cause | IN($c | split(" ")[])) and .frames > 5)' \
        "$T/n.json" >/dev/null || { quality "$T/n.json" '.inlines | tostring' && return 1; }
}

# survived KIND CAUSES
survived() {
    check "$1: the capture ends as it should" attacked
    check "$1: the function keeps its name" grep -q ';serve' "$T/n.folded"
    check "$1: no inlined function is made up" lacks "$T/n.folded" '_\[i\]'
    check "$1: the report says why ($2)" told "$2"
    check "$1: nothing is lost in silence" conserved "$T/n.json"
    check "$1: the agent goes on" sh -c "kill -0 $agent && '$B/porthole' status >/dev/null"
}

app=$T/$A/rootfs/bin/app
# A file of less than a megabyte that unpacks to 300.
head -c 300M /dev/zero >"$T/zeros"
objcopy --update-section .debug_info="$T/zeros" "$W/nested" "$app" 2>"$T/err" &&
    objcopy --compress-debug-sections=zlib "$app" 2>"$T/err"
rm "$T/zeros"
survived bomb "bounds timeout"

for kind in noise endless deep wide ranges circle chain; do
    "$ROOT/tests/hostile/dwarf.py" "$kind" "$T" "$LOW" "$HIGH" || continue
    objcopy -R .debug_ranges -R .debug_rnglists "$W/nested" "$T/bare"
    objcopy --update-section .debug_info="$T/info" --update-section .debug_abbrev="$T/abbrev" \
        --add-section .debug_ranges="$T/ranges" "$T/bare" "$app" 2>"$T/err" || continue
    case $kind in
    circle | chain) survived "$kind" "parser bounds timeout" ;; # functions without a name
    deep) # more blocks than are looked into, none of which is a function
        check "deep: the capture ends as it should" attacked
        check "deep: no inlined function is made up" lacks "$T/n.folded" '_\[i\]'
        ;;
    *) survived "$kind" "parser bounds no-unit timeout" ;;
    esac
done
check "the parser itself was never given up" \
    jq -e '.children.parser | .restarts == 0 and .lost == 0' <("$B/porthole" status --json)
check "and the agent rests" wait_for 10 agent_rests
