#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# TCP of well-known servers with their own clients: connections are as many as the clients say, and
# as libbpf-tools' tcplife says beside them.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/talk.sh"
. "$ROOT/tests/programs.sh"
need_root
need_bpf
need_commands runc jq nsenter

start_agent

# ---- redis: 50 clients, each of which stays ----

if quiet_up redis; then
    start_tcp redis "$P"
    beside redis-benchmark -q -t set -n 20000 -c 50 -d 100 >"$T/said" 2>&1
    received=$(beside redis-cli info stats | tr -d '\r' | sed -n 's/^total_net_input_bytes://p')
    wait_for 20 nothing_open
    end_beside redis
    check "redis: 50 clients of a benchmark, and those around it, are rows of the server" \
        between 51 "$(count redis '.direction == "in" and .lport == 6379 and .comm == "redis-server"')" 54
    check "redis: nothing else is" count_is redis 0 '.direction == "out"'
    check "redis: requests are as many bytes as the server says" \
        jq -es --argjson said "$received" 'map(select(.type == "aggregate").rx_bytes) | add as $n | $n > 2000000 and $n <= $said' "$T/redis.json"
    check "redis: who comes from the host has no container" count_is redis 0 'has("peer")'
    check "redis: all is shown" balanced redis
    program_down
fi

# ---- nginx: a connection a request ----

if command -v wrk >/dev/null && quiet_up nginx; then
    start_tcp nginx "$P"
    beside wrk -t 1 -c 10 -d 2 -H 'Connection: close' http://127.0.0.1/page >"$T/said" 2>&1
    n=$(sed -n 's/^ *\([0-9]*\) requests in.*/\1/p' "$T/said")
    wait_for 20 nothing_open
    end_beside nginx
    check "nginx answers" [ "${n:-0}" -gt 100 ]
    # Those that wrk breaks off when its time is up are no requests.
    check "nginx: wrk's $n requests are so many connections, but for the last 10" \
        between "$n" "$(count nginx '.direction == "in"')" $((n + 20))
    check "nginx: they are the worker's, who closes them" jq -es '
        map(select(.type == "aggregate")) | group_by(.host_pid) | max_by(length) | .[0].comm == "nginx" and .[0].pid != 1' "$T/nginx.json"
    check "nginx: each of them has the page's bytes" \
        between $((n - 20)) "$(count nginx '.state == "closed" and .tx_bytes > 23000')" $((n + 20))
    check "nginx: all is shown" balanced nginx
    start_tcp kept "$P"
    beside wrk -t 1 -c 10 -d 2 http://127.0.0.1/page >"$T/said" 2>&1
    wait_for 20 nothing_open
    end_beside kept
    check "nginx: 10 connections that are kept are 10 rows, however many requests" \
        between 10 "$(count kept '.direction == "in"')" 12
    program_down
else
    skip "nginx" "needs wrk"
fi

# ---- postgres: a process a connection ----

# How many connections the kernel has accepted in the program's network.
accepted() {
    in_net "$P" awk '$1 == "Tcp:" && $7 ~ /[0-9]/ { print $7 }' /proc/net/snmp
}

if quiet_up postgres; then
    start_tcp postgres "$P"
    before=$(accepted)
    beside pgbench -h 127.0.0.1 -U pg -C -c 2 -t 50 -n -S postgres >"$T/said" 2>&1
    wait_for 20 nothing_open
    end_beside postgres
    accepted=$(($(accepted) - before))
    check "postgres: pgbench -C has a connection for each of its 100 transactions" [ "$accepted" -ge 100 ]
    check "postgres: each that the kernel accepted is a row" [ "$(count postgres '.direction == "in" and .lport == 5432')" = $accepted ]
    check "postgres: each is a process of its own" jq -es '
        map(select(.type == "aggregate")) | (map(.host_pid) | unique | length) == length and all(.comm == "postgres")' "$T/postgres.json"
    check "postgres: all is shown" balanced postgres
    program_down
fi

# ---- libbpf-tools beside it ----

# They want tracefs, which they get in a mount namespace of their own.
A=life-a$$
talker "$A"
talk_begin server "$A" serve 127.0.0.1 7000
if command -v tcplife >/dev/null; then
    # shellcheck disable=SC2016 # the inner shell's
    unshare -m env --default-signal=INT sh -c 'mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null; exec "$@"' \
        sh stdbuf -o L tcplife >"$T/life" 2>"$T/life.err" &
    LIFE=$!
    told() { "$W/talk" fail 127.0.0.1 1 >/dev/null && grep -q talk "$T/life"; }
    if wait_for 15 told; then
        start_tcp life "$A"
        talk "$A" call 127.0.0.1 7000 30 3000 4000 >/dev/null
        end_beside life
        all_told() { [ "$(grep -c ' 7000 ' "$T/life")" -ge 60 ]; }
        wait_for 10 all_told
        check "tcplife sees the same connections" diff \
            <(jq -r 'select(.type == "aggregate") | "\(.lport) \(.rport)"' "$T/life.json" | sort) \
            <(awk '/ 7000 / { print $4, $6 }' "$T/life" | sort)
    else
        skip "tcplife beside it" "it does not run here: $(tail -n 1 "$T/life.err" | cut -c 1-80)"
    fi
    kill -INT "$LIFE" 2>/dev/null
    wait "$LIFE" 2>/dev/null
else
    skip "tcplife beside it" "no libbpf-tools"
fi
if command -v tcpconnect >/dev/null && timeout 3 tcpconnect >/dev/null 2>"$T/connect.err"; [ $? = 124 ]; then
    env --default-signal=INT stdbuf -o L tcpconnect >"$T/connect" 2>&1 &
    CONNECT=$!
    told_connect() { "$W/talk" fail 127.0.0.1 1 >/dev/null && grep -q talk "$T/connect"; }
    wait_for 15 told_connect
    start_tcp connect "$A"
    talk "$A" call 127.0.0.1 7000 30 3000 4000 >/dev/null
    end_beside connect
    kill -INT "$CONNECT"
    wait "$CONNECT"
    check "tcpconnect sees as many connects" [ "$(grep -c ' 7000$' "$T/connect")" = "$(count connect '.direction == "out"')" ]
else
    skip "tcpconnect beside it" "it does not run here: it wants kprobes"
fi
talk_end server >/dev/null
