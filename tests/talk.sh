# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# TCP between containers of the tests: networks of their own, a workload that counts what it does
# (tests/workloads/talk.c), captures beside it. Sourced after tests/lib.sh.
# shellcheck source=tests/captures.sh
. "$ROOT/tests/captures.sh"

# in_net CONTAINER COMMAND…: in the container's network, but not in the container.
in_net() {
    local container=$1
    shift
    nsenter --net="/proc/$(runc_pid "$container")/ns/net" -- "$@"
}

# talker NAME: a container in which nothing runs yet, with a loopback device.
talker() {
    victim "$1" /bin/sh -c 'while :; do sleep 1000; done'
    in_net "$1" ip link set lo up
}

# wire A B N: a veth pair between two containers, 10.98.N.1 and fd98:N::1 at A's end, .2 and ::2 at
# B's. Both ends are called wN.
wire() {
    in_net "$1" ip link add "w$3" type veth peer name "w$3" netns "$(runc_pid "$2")"
    wire_end "$1" "w$3" "10.98.$3.1" "fd98:$3::1"
    wire_end "$2" "w$3" "10.98.$3.2" "fd98:$3::2"
}

# wire_end CONTAINER DEVICE IPV4 IPV6
wire_end() {
    in_net "$1" ip addr add "$3/24" dev "$2"
    in_net "$1" ip -6 addr add "$4/64" dev "$2" nodad
    in_net "$1" ip link set "$2" up
}

# bridge SWITCH: makes a container the switch of a network.
bridge() {
    in_net "$1" ip link add bridge type bridge
    in_net "$1" ip link set bridge up
}

# plug SWITCH CONTAINER N: puts a container into it as 10.97.0.N and fd97::N; the switch's end is portN.
plug() {
    in_net "$1" ip link add "port$3" type veth peer name eth0 netns "$(runc_pid "$2")"
    in_net "$1" ip link set "port$3" master bridge up
    wire_end "$2" eth0 "10.97.0.$3" "fd97::$3"
}

# quiet_up WHAT: a program of tests/programs.sh, without the load that the tests of stacks want.
quiet_up() {
    QUIET=1 program_up "$1" || { skip "$1" "$WHY" && return 1; }
    in_net "$P" ip link set lo up
    # What asked whether it is there has been closed, so that it is no part of what follows.
    wait_for 20 nothing_open
}

nothing_open() {
    [ -z "$(in_net "$P" ss -tnH state established state close-wait)" ]
}

# talk CONTAINER ARGUMENTS…: to its end; what it said is also in $T/said.
talk() {
    runc exec "$1" /bin/talk "${@:2}" | tee "$T/said"
}

# talk_begin NAME CONTAINER ARGUMENTS…: in the background; returns when it is ready.
talk_begin() {
    runc exec --detach --pid-file "$T/$1.pid" "$2" /bin/talk "${@:3}" </dev/null >"$T/$1.said" 2>&1
    wait_for 20 grep -q ready "$T/$1.said" || not_ok "talk ${*:3} begins" "$(tail -n 1 "$T/$1.said")"
}

# talk_end NAME: prints what it counted.
talk_end() {
    kill -TERM "$(cat "$T/$1.pid")"
    wait_for 20 grep -q connections "$T/$1.said"
    tail -n 1 "$T/$1.said"
}

# start_tcp NAME TARGET OPTIONS…: a capture beside others; end_beside NAME ends it.
start_tcp() {
    start_beside tcp "$@"
}

# count NAME CONDITION: rows and events that fulfil it.
count() {
    jq -s "[.[] | select((.type == \"aggregate\" or .type == \"event\") and ($2))] | length" "$T/$1.json"
}

# count_is NAME N CONDITION
count_is() {
    local n
    n=$(count "$1" "$3")
    [ "$n" = "$2" ] || { echo "$n rows, not $2, are: $3" && return 1; }
}

# sum_is NAME N FIELD CONDITION
sum_is() {
    local n
    n=$(jq -s --arg f "$3" "[.[] | select(.type == \"aggregate\" and ($4))[\$f]] | add // 0" "$T/$1.json")
    [ "$n" = "$2" ] || { echo "the sum of $3 is $n, not $2" && return 1; }
}

# balanced NAME: taken = shown + lost, and what is shown are so many lines.
balanced() {
    jq -es '(map(select(.type == "aggregate" or .type == "event")) | length) as $rows
        | map(select(.type == "quality"))[0] | .taken == .shown + ([.lost[]] | add // 0) and .shown == $rows' \
        "$T/$1.json" >/dev/null ||
        { quality "$T/$1.json" '[.taken, .shown, .lost, .tcp] | tostring' && return 1; }
}

# numbers SAID: "connections N sent S received R" as three numbers.
numbers() {
    awk '/^connections/ { print $2, $4, $6 }' <<<"$1"
}
