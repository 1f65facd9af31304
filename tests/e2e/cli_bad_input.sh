#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Wrong options, files, formats and places, no agent, agents that misbehave: one line with a remedy,
# the exit status of the design, and nothing half-written. Needs no agent and no rights.
. "$(dirname "$0")/../lib.sh"

need_commands python3 jq

OUT=$T/results
mkdir "$OUT"
cd "$OUT" || exit 1

# The last command said exactly one line on stderr, "porthole: …" with this in it, and left no file.
says() {
    [ "$(wc -l <"$T/err")" = 1 ] || { echo "not one line: $(head -c 300 "$T/err")" && return 1; }
    grep -qE "^porthole: .*$1" "$T/err" || { cat "$T/err" && return 1; }
    [ -z "$(ls -A "$OUT")" ] || { echo "left behind: $(ls -A "$OUT")" && return 1; }
}

# refused STATUS PATTERN COMMAND…
refused() {
    local status=$1 pattern=$2
    shift 2
    exits_with "$status" "'$(echo "$*" | cut -c 1-60)' exits with $status" porthole "$@"
    check "'$(echo "$*" | cut -c 1-60)' says why in one line" says "$pattern"
}

# ---- usage ----
refused 2 'no command given; ' # nothing at all
refused 2 "unknown command 'frobnicate'; " frobnicate
refused 2 "unknown option '--frob'; " cpu web1 --frob
refused 2 'needs a TARGET; ' cpu
refused 2 'one argument too many' cpu a b
refused 2 'needs a value' cpu web1 -d
for seconds in 0 -1 0.01 86401 1000000000000 abc 1e3 ''; do
    refused 2 'from 0.1 to 86400' cpu web1 -d "$seconds"
done
for hertz in 0 10001 1000000000 99999999999999999999 -5; do
    refused 2 'from 1 to 10000' cpu web1 -F "$hertz"
done
refused 2 'exclude each other' cpu web1 -F 99 -c 1000
refused 2 'from 1 to' cpu web1 -p 0
refused 2 'one of tree\|folded\|svg\|json\|pprof' cpu web1 -f html
refused 2 '\.txt \.folded \.svg \.json \.pb\.gz' cpu web1 -o x.html
refused 2 'from 0 to 100' render x.json --min-percent 101
refused 2 'needs a FILE; ' render

# Rows or stacks, and what goes with which.
refused 2 'from 0.1 to 86400' offcpu web1 -d 0
for seconds in -1 86401 abc; do
    refused 2 'from 0 to 86400' tcp web1 -d "$seconds"
done
refused 2 'is 0, until interrupted, or seconds from 0.1 to 86400' block web1 -d 0.05
for view in block tcp; do
    refused 2 'needs a TARGET; ' $view
    refused 2 '\-\-events and --stacks exclude each other' $view web1 --events --stacks
    refused 2 '\-\-weight is for stacks, and .* rows; give --stacks' $view web1 --weight bytes
    refused 2 '\-\-per-thread is for stacks, and .* rows; give --stacks' $view web1 --per-thread
    refused 2 'folded cannot show the rows .*; give --stacks' $view web1 -f folded
    refused 2 "'x.pb.gz' says no format; give --stacks" $view web1 -o x.pb.gz
    refused 2 '\-\-max-stack is for stacks' $view web1 --max-stack 10
    refused 2 '\-\-full-names is for stacks' $view web1 --full-names --events
    refused 2 '\-\-inline is for stacks' $view web1 --inline --json
    refused 2 'one of calls\|bytes\|time' $view web1 --stacks --weight kilos
    refused 2 'yields stacks, and --json is for rows; give --format=json' $view web1 --stacks --json
    refused 2 '\-\-json and --format exclude each other' $view web1 --json -f rows
    refused 2 'table cannot show stacks' $view web1 --stacks -f table
    refused 2 '\.txt \.tsv \.svg \.json' $view web1 --events -o x.folded
    refused 2 "unknown option '--min-us'" $view web1 --min-us 5
done
refused 2 '\-\-per-process is for stacks, and tcp yields rows; give --stacks' tcp web1 --per-process
refused 2 'no --weight of tcp: give one of calls\|bytes' tcp web1 --stacks --weight time
refused 2 "unknown option '--stacks'" cpu web1 --stacks
refused 2 "unknown option '--events'" runq web1 --events

# ---- places ----
refused 1 "cannot write 'none/x.svg'.*; choose another" cpu web1 -o none/x.svg
refused 1 "Is a directory; " cpu web1 -f svg -o "$OUT"
refused 1 "cannot read 'none.json'" render none.json
refused 1 "Is a directory" render "$OUT"
if [ "$(id -u)" = 0 ]; then
    chmod 755 "$T"
    mkdir -m 755 "$T/locked" "$T/bin"
    cp "$B/porthole" "$T/bin/"
    locked() {
        (cd "$T/locked" && setpriv --reuid 65534 --regid 65534 --clear-groups "$T/bin/porthole" \
            cpu web1 -o x.svg)
    }
    exits_with 5 "a directory without permission is refused before the capture" locked
    check "a directory without permission is named" says 'Permission denied; '
fi

# ---- saved files ----
bad_file() {
    printf '%b' "$2" >"$T/bad"
    refused 1 "$1" render "$T/bad" -o x.svg
}
bad_file 'the input is empty' ''
bad_file 'line 1: not a folded stack' 'just words\n'
bad_file 'line 2: not a folded stack' 'a;b 1\na;b\n'
bad_file 'line 1: not JSON' '{"type":"started","porthole":1\n'
bad_file 'version' '{"type":"started","porthole":9}\n'
bad_file 'the stream has no end' '{"type":"started","porthole":1}\n'
bad_file 'did not come before' \
    '{"type":"started","porthole":1}\n{"type":"stack","frames":[4294967296],"value":1}\n'
bad_file 'this capture failed: x' '{"type":"error","code":"failed","message":"x"}\n'
head -c 100000 /dev/urandom >"$T/noise"
refused 1 'line' render "$T/noise" -o x.svg

full() {
    echo 'a;b 1' | "$B/porthole" render - -f svg >/dev/full
}
exits_with 1 "a full disk is an error" full
check "a full disk is named" says 'No space left'

# ---- agents ----
refused 3 'no agent at .*; start portholed' list
refused 3 'no agent at .*; start portholed' status
refused 3 'no agent at .*; start portholed' cpu web1 -o x.svg
refused 3 'no agent at .*; start portholed' --socket "$T/other.sock" list
refused 2 'longer than' --socket "$(printf 'x%.0s' {1..200})" list

# agent_that LINE…: takes one client, reads its request, says these lines, hangs up.
agent_that() {
    printf '%b\n' "$@" >"$T/script"
    rm -f "$T/ready" "$T/request"
    python3 "$ROOT/tests/e2e/fake_agent.py" "$PORTHOLE_SOCKET" "$T/script" "$T/request" &
    FAKE=$!
    wait_for 10 test -S "$PORTHOLE_SOCKET" || not_ok "a fake agent starts"
}

# answer STATUS PATTERN COMMAND…: refused, by the agent that stands now.
answered() {
    refused "$@"
    stop_process "$FAKE"
    rm -f "$PORTHOLE_SOCKET"
}

STARTED='{"type":"started","porthole":1,"view":"cpu","unit":"samples","target":"web1"}'
agent_that "$STARTED" '{"type":"frame","id":0,"name":"f","kind":"user","named":true}'
answered 1 'went away in mid-capture; ' cpu web1 -o x.svg
agent_that "$STARTED"
answered 1 'went away in mid-capture; ' cpu web1 -o x.json
agent_that "$STARTED" 'garbage'
answered 1 'line 2 of the agent.*; are porthole and portholed' cpu web1 -o x.folded
agent_that '{"type":"error","code":"target-unknown","message":"no container '"'web1'"'","remedy":"see porthole list"}'
answered 4 "no container 'web1'; see porthole list" cpu web1 -o x.svg
agent_that '{"type":"error","code":"target-ambiguous","message":"fits 2","candidates":["web1","web12"]}'
answered 4 'fits 2; did you mean web1, web12' cpu web -o x.svg
agent_that '{"type":"error","code":"denied","message":"not yours"}'
answered 5 'not yours' cpu web1 -o x.svg
agent_that '{"type":"error","code":"unsupported","message":"no such event"}'
answered 6 'no such event' cpu web1 -e frob -o x.svg
agent_that '{"type":"error","code":"usage","message":"bad\\u001b[31m\\nname"}'
answered 2 'bad\\x1b\[31m\\x0aname' cpu web1 -o x.svg
agent_that ''
answered 1 'not JSON' list
agent_that '{"type":"record","kind":"container","name":"a"}'
answered 1 'went away before' list

# An interrupt before anything was captured; then one that ends a capture early and delivers it.
agent_that "$STARTED" '@stop' '{"type":"end","status":"interrupted","elapsed_ms":10}'
interrupted() {
    env --default-signal=INT "$B/porthole" cpu web1 -o "$1" &
    local pid=$!
    wait_for 10 test -s "$T/request" || return 99
    kill -INT $pid
    wait $pid
}
exits_with 130 "an interrupt before the first sample exits with 130" interrupted x.svg
check "an interrupt before the first sample leaves nothing" says 'interrupted before'
check "an interrupt asks the agent to stop" wait_for 10 grep -q '"op":"stop"' "$T/request"
stop_process "$FAKE"
rm -f "$PORTHOLE_SOCKET"

agent_that "$STARTED" '@stop' '{"type":"frame","id":0,"name":"f","kind":"user","named":true}' \
    '{"type":"stack","frames":[0],"value":7,"comm":"c"}' \
    '{"type":"quality","taken":7,"shown":7,"lost":{}}' \
    '{"type":"end","status":"interrupted","elapsed_ms":10}'
exits_with 0 "an interrupted capture is delivered" interrupted "$T/early.folded"
check "an interrupted capture holds what there was" grep -qx 'c;f 7' "$T/early.folded"
check "the summary says how many samples" grep -q '7 taken, 7 shown, 0 lost' "$T/err"
stop_process "$FAKE"
rm -f "$PORTHOLE_SOCKET"

# An agent that does not answer the first interrupt: the second ends the client.
agent_that "$STARTED" '@stop' '@hang'
twice() {
    env --default-signal=INT "$B/porthole" cpu web1 -o x.json &
    local pid=$!
    wait_for 10 test -s "$T/request" || return 99
    kill -INT $pid
    wait_for 10 grep -q '"op":"stop"' "$T/request" || return 98
    kill -INT $pid
    wait $pid
}
exits_with 130 "a second interrupt ends the client at once" twice
check "a second interrupt leaves nothing" says 'interrupted'
stop_process "$FAKE"
rm -f "$PORTHOLE_SOCKET"

# No samples are a result, and explained.
agent_that "$STARTED" '{"type":"quality","taken":0,"shown":0,"lost":{}}' \
    '{"type":"end","status":"done","elapsed_ms":100}'
exits_with 0 "a target that used no CPU is a result" porthole cpu web1 -d 0.1 -o "$T/idle.svg"
check "a target that used no CPU is said to be so" grep -q 'the target used no CPU' "$T/err"
check "the request says what was asked for" \
    jq -e '.porthole == 1 and .op == "capture" and .view == "cpu" and .target == "web1"
        and .duration_ms == 100' "$T/request"
stop_process "$FAKE"
