#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 180
#
# Debug files from debuginfod: only where DEBUGINFOD_URLS says so, only what fits, and never for long.
# Agent and servers live in a network namespace of their own, so that nobody else hears of it.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq objcopy gcc python3 nsenter unshare ip openssl readelf
A=pht$$-a

unshare -n sh -c 'ip link set lo up && exec sleep 600' &
NET=$!
on_exit stop_process $NET
export AGENT_RUN="nsenter -t $NET -n"
wait_for 10 sh -c "nsenter -t $NET -n ip -4 addr show lo | grep -q 127.0.0.1" ||
    skip_all "no network namespace"

there() {
    nsenter -t "$NET" -n "$@"
}

# build_app NAME: a stripped program in the container, its debug file in $T/debug.
build_app() {
    gcc -std=gnu11 -D_GNU_SOURCE -O1 -g -fno-omit-frame-pointer -fno-optimize-sibling-calls -static \
        -Wl,--build-id=0x"$(od -An -N20 -tx1 /dev/urandom | tr -d ' \n')" -o "$T/full" \
        "$ROOT/tests/workloads/spin.c" || exit 1
    objcopy --only-keep-debug "$T/full" "$T/debug/$1.debug"
    objcopy --strip-all "$T/full" "$T/$A/rootfs/bin/$1"
}

build_id() {
    readelf -n "$T/$A/rootfs/bin/$1" | sed -n 's/.*Build ID: //p'
}

# agent URLS: a new one, with that variable.
agent() {
    stop_agent
    export DEBUGINFOD_URLS=$1
    [ "$1" ] || unset DEBUGINFOD_URLS
    start_agent
}

# captured APP: leaves $T/n.json and $T/n.folded; the container goes on.
captured() {
    runc_stop "$A"
    runc_start "$A" "$T/$A" "/bin/$1" || return 1
    again
}

again() {
    rm -f "$T/n.json" "$T/n.folded"
    "$B/porthole" cpu "$A" -d 2 -F 997 -o "$T/n.json" 2>"$T/err" && folded "$T/n.json" >"$T/n.folded"
}

named() {
    share_is "$T/n.folded" spin_parse 50 15
}

# unnamed DETAIL: no name, and the quality report says so with these words.
unnamed() {
    lacks "$T/n.folded" ';spin_' || return 1
    jq -es --arg d "$1" 'map(select(.type == "quality"))[0].unnamed
        | any(.reason == "stripped" and (.detail // "" | contains($d)))' "$T/n.json" >/dev/null ||
        { quality "$T/n.json" '.unnamed | tostring' && return 1; }
}

# fetched EXPRESSION: of the agent's own account.
fetched() {
    "$B/porthole" status --json | jq -e "$1" >/dev/null ||
        { "$B/porthole" status --json | jq -c '{debuginfod, fetcher: .children.fetcher}' && return 1; }
}

fetcher() {
    local pid
    for pid in $(family "$AGENT_PID"); do
        grep -qx porthole-fetch "/proc/$pid/comm" && return
    done
    return 1
}

on_exit "runc_stop $A"
victim_root "$A"
mkdir "$T/debug"
for app in app wrong; do
    build_app $app
done

openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout "$T/key" -out "$T/cert" 2>/dev/null
cat "$T/key" >>"$T/cert"
there python3 "$ROOT/tests/e2e/debug_servers.py" "$T/servers.log" right:"$T/debug/app.debug" hang absent \
    broken short:"$T/debug/app.debug" endless elsewhere other:"$T/debug/wrong.debug" secure:"$T/cert" >"$T/ports" &
SERVERS=$!
on_exit stop_process $SERVERS
wait_for 10 sh -c "[ \$(wc -l <'$T/ports') = 9 ]" || { not_ok "the servers start" "$(cat "$T/servers.log")" && exit 1; }
{
    read -r right
    read -r hang
    read -r absent
    read -r broken
    read -r short
    read -r endless
    read -r elsewhere
    read -r other
    read -r secure
} <"$T/ports"
at() {
    echo "http://127.0.0.1:$1"
}

# ---- never by default ----
agent ""
captured app
check "without DEBUGINFOD_URLS a stripped program has no names" lacks "$T/n.folded" ';spin_'
no_fetcher() {
    ! fetcher && fetched '(has("debuginfod") or (.children | has("fetcher"))) | not'
}
check "without DEBUGINFOD_URLS there is no fetcher" no_fetcher
check "without DEBUGINFOD_URLS nobody is asked" [ ! -s "$T/servers.log" ]

# ---- a server that has it ----
agent "$(at "$absent") $(at "$right")/"
captured app
check "a debug file from debuginfod names a stripped program" named
check "the quality report says that it served" \
    [ "$(quality "$T/n.json" '.frames.by_source["debuginfod"]')" -gt 0 ]
check "nothing is lost in silence" conserved "$T/n.json"
path=/buildid/$(build_id app)/debuginfo
check "the servers are asked in turn, for the build ID, once" \
    [ "$(grep -v -e open -e closed "$T/servers.log" | paste -s -d ' ')" = "absent $path right $path" ]
check "status counts what was fetched" fetched \
    '.debuginfod | .asked == 1 and .found == 1 and .fetched_bytes > 10000 and .pending == 0'
again
check "the next capture has the names without asking" \
    sh -c "[ \"\$(grep -c buildid '$T/servers.log')\" = 2 ]"
check "and they are the same" named

# ---- what they must not do ----
# refused WHAT PORT DETAIL [APP]
refused() {
    agent "$(at "$2")"
    captured "${4:-app}"
    check "$1: no name, and the reason" unnamed "$3"
    check "$1: nothing is lost in silence" conserved "$T/n.json"
}
refused "a server that has no such file" "$absent" "debuginfod has no debug file of it"
asked=$(grep -c buildid "$T/servers.log")
again
check "what is not there is not asked for again" [ "$(grep -c buildid "$T/servers.log")" = "$asked" ]
refused "a server that sends garbage" "$broken" "debuginfod failed"
refused "a server that breaks off" "$short" "debuginfod failed"
refused "a server that sends another program's debug file" "$other" "no debug file of that build ID"
refused "a server that never ends" "$endless" "too big"
refused "a server that points to a file of the host" "$elsewhere" "debuginfod failed"
refused "a port where nobody listens" 1 "cannot be reached"
refused "a server that never answers" "$hang" "has not answered yet"
check "a server that never answers: the capture was delivered while it hung" \
    [ "$(grep '^hang' "$T/servers.log" | tail -n 1)" = "hang $path" ]
# survives SENTENCE: no child of the fetcher died for what it tried.
survives() {
    check "$1" fetched '.children.fetcher | .crashes == 0 and .lost == 0 and .restarts == 0'
}
agent "http://no-such-host.invalid"
captured app
check "a server's name that nobody knows: no name, and the reason" unnamed "cannot be reached"
survives "looking a name up is within the fetcher's rights"
agent "https://localhost:$secure"
captured app
check "a server whose certificate nobody vouches for: no name, and the reason" \
    unnamed "certificate is not valid"
survives "TLS is within the fetcher's rights"
agent "file://$T/debug"
captured app
check "an address that is no http: no name, and the reason" unnamed "no http or https address"

# ---- the real one ----
if command -v debuginfod >/dev/null; then
    port=$((20000 + $$ % 10000))
    there debuginfod -v -p "$port" -d "$T/debuginfod.sqlite" -F "$T/debug" >"$T/debuginfod.log" 2>&1 &
    REAL=$!
    on_exit stop_process $REAL
    serves() {
        there python3 -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=5)' \
            "$(at "$port")/buildid/$(build_id "$1")/debuginfo"
    }
    wait_for 30 serves app
    agent "http://localhost:$port"
    captured app
    check "Debian's debuginfod names a stripped program" named
    check "Debian's debuginfod is asked once, and for the build ID" \
        [ "$(sed -n 's/.*UA:porthole XFF: //p' "$T/debuginfod.log" | cut -d ' ' -f 1-3)" = "GET $path 200" ]
else
    skip "Debian's debuginfod names a stripped program" "no debuginfod"
fi
