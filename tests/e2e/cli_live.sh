#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Rows of block I/O and TCP as they come: each is seen before the next one is sent, in a pipe and on
# a terminal, in every format; an interrupt delivers; what the file holds is drawn again in the same
# words. The agent is a fake one that says what it is told; needs no rights.
. "$(dirname "$0")/../lib.sh"

need_commands python3 jq

unset COLUMNS NO_COLOR
export TERM=xterm

# As check, in this shell: for what starts processes or waits for them.
here() {
    local sentence=$1
    shift
    if "$@" >"$T/said" 2>&1; then
        ok "$sentence"
    else
        not_ok "$sentence" "$(tail -n 1 "$T/said" | cut -c 1-300)"
    fi
}

# ---- what the agent says ----
started() { # VIEW RECORD UNIT
    echo '{"type":"started","porthole":1,"view":"'"$1"'","record":"'"$2"'","unit":"'"$3"'",' \
        '"yields":"records","target":"web1","container":{"name":"web1"}}'
}
# A connection; its name tries to be a command for the terminal.
connection() { # NAME REMOTE-PORT
    echo '{"type":"aggregate","record":"tcp","comm":"'"$1"'","pid":7,"direction":"out",' \
        '"laddr":"10.0.0.2","lport":4000,"raddr":"10.0.0.3","rport":'"$2"',"peer":"cache1",' \
        '"tx_bytes":2048,"rx_bytes":5,"duration_us":1500,"connect_us":99,"state":"closed"}'
}
PROGRESS='{"type":"progress","elapsed_ms":500,"samples":1,"lost":0}'
SUMMARY=(
    '{"type":"histogram","histogram":"tcp","state":"connect","unit":"microseconds","count":3,"sum":9,"max":110,"p50":99,"p90":99,"p99":110,"buckets":[[64,96,1],[96,128,2]]}'
    '{"type":"histogram","histogram":"tcp","state":"connect","from_ms":0,"to_ms":1000,"count":3,"buckets":[[64,96,1],[96,128,2]]}'
    '{"type":"record","record":"tcp-peer","raddr":"10.0.0.3","rport":6379,"peer":"cache1","direction":"out","connections":3,"failed":0,"tx_bytes":6144,"rx_bytes":15,"retransmits":0}'
    '{"type":"quality","taken":3,"shown":3,"lost":{},"tcp":{"opened":3,"closed":3,"failed":0}}'
)
end() {
    echo '{"type":"end","status":"'"$1"'","elapsed_ms":1000}'
}

# agent_that LINE…: takes one client, reads its request, says these lines, hangs up.
agent_that() {
    printf '%s\n' "$@" >"$T/script"
    rm -f "$T/request" "$PORTHOLE_SOCKET" "$T"/go.* "$T/live" "$T/err"
    python3 "$ROOT/tests/e2e/fake_agent.py" "$PORTHOLE_SOCKET" "$T/script" "$T/request" &
    FAKE=$!
    wait_for 10 test -S "$PORTHOLE_SOCKET" || not_ok "a fake agent starts"
}

# Three connections; the agent holds each back until the one before it was seen.
held_back() {
    agent_that "$(started tcp tcp connections)" "$PROGRESS" "$(connection first 6379)" \
        "$PROGRESS" "@wait $T/go.1" "$(connection 'a\u001b[2J' 6380)" "@wait $T/go.2" \
        "$(connection third 6381)" "@wait $T/go.3" "${SUMMARY[@]}" "$(end "done")"
}

seen() { # WORD: it stands in what came out so far
    wait_for 20 grep -q "$1" "$T/live"
}
each_is_seen() {
    seen 6379 || { echo "the first row was not seen before the second" && return 1; }
    touch "$T/go.1"
    seen 6380 || { echo "the second row was not seen before the third" && return 1; }
    touch "$T/go.2"
    seen 6381 || { echo "the third row was not seen before the end" && return 1; }
    touch "$T/go.3"
}

# ends STATUS: the client ends so; what it wrote is in $T/live and $T/err.
ends() {
    local status=0
    wait_for 60 gone "$CLIENT" || stop_process "$CLIENT"
    wait "$CLIENT" || status=$?
    [ -z "${READER-}" ] || wait "$READER" # it has what was in the pipe
    READER=
    stop_process "$FAKE"
    [ "$status" = "$1" ] || { echo "exit $status, not $1: $(tail -n 1 "$T/err")" && return 1; }
}

# ---- in a pipe ----
in_pipe() { # ARGUMENT…
    # The reader is another process, so that this is a pipe and no file.
    rm -f "$T/pipe"
    mkfifo "$T/pipe"
    cat <"$T/pipe" >"$T/live" &
    READER=$!
    env --default-signal=INT "$B/porthole" "$@" 2>"$T/err" >"$T/pipe" &
    CLIENT=$!
}
for arguments in 'tcp web1' 'tcp web1 --json' 'tcp web1 -f json' 'tcp web1 -f table'; do
    held_back
    # shellcheck disable=SC2086 # words
    in_pipe $arguments
    here "'$arguments' shows each connection in a pipe when it comes" each_is_seen
    here "'$arguments' ends with success" ends 0
done

plain_rows() {
    [ "$(head -n 1 "$T/live" | cut -f 1-3)" = "$(printf 'comm\tpid\thost_pid')" ] &&
        [ "$(wc -l <"$T/live")" = 4 ] && [ "$(sed -n 3p "$T/live" | cut -f 1)" = 'a\x1b[2J' ] &&
        [ "$(sed -n 2p "$T/live" | cut -f 5-9)" = "$(printf 'out\t10.0.0.2\t4000\t10.0.0.3\t6379')" ]
}
held_back
in_pipe tcp web1
each_is_seen
here "plain rows end with success" ends 0
check "plain rows have a header, all columns, and nothing else" plain_rows

objects() {
    jq -se '[.[].type] == ["aggregate", "aggregate", "aggregate", "histogram", "histogram", "record"]' \
        "$T/live" && jq -se '.[1].comm == "a\u001b[2J" and .[0].tx_bytes == 2048' "$T/live"
}
held_back
in_pipe tcp web1 --json
each_is_seen
here "rows as JSON end with success" ends 0
check "rows as JSON are one object each, rows before what sums them up" objects
check "the summary on stderr counts connections" \
    grep -qx 'connections: 3 taken, 3 shown, 0 lost' "$T/err"
check "the summary on stderr says what became of them" grep -qx 'opened 3, closed 3' "$T/err"

# ---- on a terminal ----
on_terminal() { # COLUMNS ARGUMENT…
    local columns=$1
    shift
    env --default-signal=INT python3 "$ROOT/tests/e2e/terminal.py" "$columns" "$T/live" \
        "$B/porthole" "$@" 2>"$T/err" &
    CLIENT=$!
}
# What remains to be read on the terminal: each line's part behind its last clearing.
screen() {
    sed -e 's/\r$//' -e 's/.*\r\x1b\[K//' "$T/live"
}
a_table() { # COLUMNS
    screen >"$T/screen"
    # Just the clearing of the progress line is a control sequence.
    ! grep -q $'[\x01-\x08\x0b-\x1f\x7f]' "$T/screen" ||
        { echo "control bytes on the screen: $(grep -m 1 $'[\x01-\x08\x0b-\x1f]' "$T/screen" | cat -v)" &&
            return 1; }
    [ "$(grep -c '^NAME .*REMOTE' "$T/screen")" = 1 ] || { echo "not one header" && return 1; }
    [ "$(sed -n '2,4p' "$T/screen" | grep -c '10.0.0.3:63.*2.0 KiB.*1.5 ms.*closed')" = 3 ] ||
        { sed -n '2,4p' "$T/screen" && return 1; }
    [ "$(sed -n '1,4p' "$T/screen" | awk -v w="$1" 'length > w' | wc -l)" = 0 ] ||
        { echo "wider than $1 columns" && return 1; }
}
for columns in 80 120; do
    held_back
    on_terminal $columns tcp web1 -d 0
    here "each connection is on a terminal of $columns columns when it comes" each_is_seen
    here "a capture on a terminal of $columns columns ends with success" ends 0
    check "rows on a terminal of $columns columns are one table that fits, without the progress" \
        a_table $columns
done
check "progress is shown between rows" grep -q '0.5 s, 1 connections, 0 lost' "$T/live"
check "histograms follow the rows" grep -q '^connecting: 3 connections, half below 99' "$T/screen"
check "peers follow the histograms" grep -Eq '^10.0.0.3:6379 +cache1 +out +3 ' "$T/screen"
held_back
on_terminal 60 tcp web1
each_is_seen
here "a capture on a narrow terminal ends with success" ends 0
check "a narrow terminal is told what it does not show" grep -q '^(no room for .*LOCAL' <(screen)

# ---- until interrupted ----
SEEN=6379
interrupted() { # ARGUMENT…: runs it, interrupts it when a row was seen
    in_pipe "$@"
    seen "$SEEN" || { echo "no row was seen" && return 1; }
    kill -INT "$CLIENT"
    wait_for 20 grep -q '"op":"stop"' "$T/request"
}
agent_that "$(started tcp tcp connections)" "$(connection first 6379)" '@stop' "${SUMMARY[@]}" \
    "$(end interrupted)"
here "an interrupt asks the agent for what there is" interrupted tcp web1 -d 0 -f table
here "a capture without an end is delivered by an interrupt" ends 0
check "what was seen until the interrupt is summed up" grep -q '^connecting: 3' "$T/live"
check "a capture without an end is asked for as such" jq -e '.duration_ms == 0' <(head -n 1 "$T/request")

agent_that "$(started tcp tcp connections)" "$(connection first 6379)" '@stop' '@hang'
gives_up() {
    interrupted tcp web1 -d 0 || return 1
    kill -INT "$CLIENT"
}
here "a second interrupt is taken" gives_up
here "a second interrupt gives up" ends 130

idle() { # NAME-OF-VIEW RECORD UNIT
    agent_that "$(started "$1" "$2" "$3")" '@stop' '{"type":"quality","taken":0,"shown":0,"lost":{}}' \
        "$(end interrupted)"
    in_pipe "$1" web1 -d 0
    wait_for 20 test -s "$T/request" || return 1
    kill -INT "$CLIENT"
    ends 0
}
here "an idle container's capture without an end ends with success" idle tcp tcp connections
check "that there was no connection is said" \
    grep -q '^no TCP connections: none of the target was seen in 1.0 s' "$T/err"
here "an idle container's block I/O ends with success" idle block block requests
check "that there was no block I/O is said" grep -q '^no block I/O: none of the target' "$T/err"

agent_that "$(started tcp tcp connections)" "$(connection first 6379)" '@hang'
full() {
    "$B/porthole" tcp web1 -d 0 >/dev/full
}
exits_with 1 "a full disk ends a capture that has no end" full
check "a full disk is named" grep -q 'No space left' "$T/err"
stop_process "$FAKE"

# ---- requests, events, sums ----
EVENT='{"type":"event","record":"block-event","time_us":1500000,"op":"write","device":"vda","sector":2048,"bytes":4096,"count":1,"comm":"first","pid":7,"owner":"kernel","queue_us":10,"device_us":90,"latency_us":100,"error":"EIO"}'
agent_that "$(started block block-event requests)" "$EVENT" '@stop' \
    '{"type":"quality","taken":1,"shown":1,"lost":{},"block":{"charged_bytes":67108864,"kernel_bytes":0,"others_bytes":67041822,"unattributed_bytes":67109,"unattributed_requests":3,"merged":2}}' \
    "$(end interrupted)"
SEEN=1.500000
here "requests are shown as they end" interrupted block web1 --events -f table
here "a capture of requests is delivered" ends 0
check "a request is a row of a table" \
    grep -Eq '^ *1.500000 +first .* write +vda .* 4.0 KiB .* 100 µs .*EIO$' "$T/live"
check "the request for requests says so" jq -e '.events == true' <(head -n 1 "$T/request")
check "the summary says to whom bytes were charged" grep -qxF \
    'charged to the target 64.0 MiB, to the kernel 0 B, to others 63.9 MiB, not attributed 0.1 % (3 requests)' \
    "$T/err"

STACKS='{"type":"started","porthole":1,"view":"block","unit":"bytes","yields":"stacks","target":"web1"}'
agent_that "$STACKS" '{"type":"frame","id":0,"name":"write","kind":"label","named":true}' \
    '{"type":"frame","id":1,"name":"store","kind":"user","named":true}' \
    '{"type":"stack","frames":[0,1],"value":1048576,"comm":"db"}' \
    '{"type":"quality","taken":1048576,"shown":1048576,"lost":{}}' "$(end "done")"
exits_with 0 "stacks of I/O are a profile" porthole block web1 --stacks --weight bytes
check "folded stacks have plain numbers of bytes" grep -qx 'db;write;store 1048576' "$T/out"
check "the summary has bytes in units" grep -qx 'bytes: 1.0 MiB taken, 1.0 MiB shown, 0 lost' "$T/err"
check "the request for stacks says so" \
    jq -e '.stacks == true and .weight == "bytes" and .events == null' "$T/request"
stop_process "$FAKE"

# ---- drawn again ----
saved() {
    { started tcp tcp connections && connection first 6379 && connection 'a\u001b[2J' 6380 &&
        connection third 6381 && printf '%s\n' "${SUMMARY[@]}" && end "done"; } >"$T/saved.json"
    held_back
    in_pipe tcp web1 -f "$1"
    each_is_seen && ends 0 && porthole render "$T/saved.json" -f "$1" >"$T/again" &&
        cmp "$T/again" "$T/live"
}
for format in table rows; do
    here "a saved capture is drawn again as $format in the same words" saved $format
done
check "histograms over time are a picture" \
    eval 'porthole render "$T/saved.json" -o "$T/x.svg" && grep -q "2 connections of 96 µs to 128 µs" "$T/x.svg"'
