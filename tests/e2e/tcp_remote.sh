#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# TCP of well-known servers and their clients in different containers: over a bridge, and while a wire
# of it loses what is sent. Both sides are captured, and agree with each other, with the server's own
# count and with the kernel's.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/talk.sh"
. "$ROOT/tests/programs.sh"
need_root
need_bpf
need_commands runc jq ip nsenter ss

S=far-s$$
start_agent
talker "$S"
bridge "$S"

# client COMMAND…: a container with these, plugged in beside the program's.
CLIENTS=0
client() {
    A=far-a$$-$((CLIENTS += 1))
    talker "$A"
    root_add "$T/$A/rootfs" "$@"
    plug "$S" "$P" 1
    plug "$S" "$A" 2
}

client_gone() {
    runc_stop "$A"
    program_down
    wait_for 10 unplugged
}
unplugged() {
    ! in_net "$S" ip -o link | grep -q ': port'
}

# both NAME: NAME-server and NAME-client.
both_begin() {
    start_tcp "$1-server" "$P"
    start_tcp "$1-client" "$A"
}
both_end() {
    wait_for 20 nothing_open
    end_beside "$1-server" "$1-client"
}

# total NAME CONDITION FIELD: over all rows.
total() {
    jq -s "[.[] | select(.type == \"aggregate\" and ($2)) | .$3] | add // 0" "$T/$1.json"
}

# sides_agree NAME PORT: on how many connections there were, and on what each sent.
sides_agree() {
    local server client port=".lport == $2"
    server="$(count "$1-server" "$port") $(total "$1-server" "$port" rx_bytes) $(total "$1-server" "$port" tx_bytes)"
    port=".rport == $2"
    client="$(count "$1-client" "$port") $(total "$1-client" "$port" tx_bytes) $(total "$1-client" "$port" rx_bytes)"
    [ "$server" = "$client" ] || { echo "connections, bytes there, bytes back: $server at the server, $client at its client" && return 1; }
}

# sent_again CONTAINER: segments, as the kernel counts them in its network.
sent_again() {
    in_net "$1" awk '$1 == "Tcp:" && $13 ~ /[0-9]/ { print $13 }' /proc/net/snmp
}

# ---- redis ----

# What the server has received so far.
received() {
    beside redis-cli info stats | tr -d '\r' | sed -n 's/^total_net_input_bytes://p'
}

if quiet_up redis; then
    beside redis-cli config set protected-mode no >/dev/null
    client "$(command -v redis-benchmark)"
    wait_for 20 nothing_open
    before=$(received)
    both_begin redis
    runc exec "$A" /usr/bin/redis-benchmark -h 10.97.0.1 -q -t set -n 20000 -c 50 -d 100 >"$T/said" 2>&1
    both_end redis
    grown=$(($(received) - before))
    sent=$(total redis-server '.direction == "in"' rx_bytes)
    check "redis over a bridge: 50 clients, and those around them, are rows" \
        between 51 "$(count redis-server '.direction == "in" and .lport == 6379 and .comm == "redis-server"')" 54
    check "redis over a bridge: both sides agree" sides_agree redis 6379
    check "redis over a bridge: with what the server counts, but for who asked for that" between "$sent" $grown $((sent + 1000))
    check "redis over a bridge: each knows the other's container" \
        [ "$(count redis-server ".peer != \"$A\"") $(count redis-client ".peer != \"$P\"")" = "0 0" ]
    check "redis over a bridge: all is shown" balanced redis-server
    check "redis over a bridge: all is shown on the other side" balanced redis-client

    # Its clients' wire loses all for a while.
    again=$(($(sent_again "$A") + $(sent_again "$P")))
    both_begin lost
    runc exec "$A" /usr/bin/redis-benchmark -h 10.97.0.1 -q -t set -n 200000 -c 20 -d 1000 >"$T/said" 2>&1 &
    BENCHMARK=$!
    works() { in_net "$P" ss -tinH '( sport = :6379 )' | grep -q 'bytes_received:[0-9]\{6\}'; }
    check "redis works over a wire" wait_for 20 works
    in_net "$S" ip link set port2 down
    resends() { [ $(($(sent_again "$A") + $(sent_again "$P"))) -ge $((again + 10)) ]; }
    check "… which loses what is sent" wait_for 30 resends
    in_net "$S" ip link set port2 up
    wait_for 120 gone $BENCHMARK
    both_end lost
    again=$(($(sent_again "$A") + $(sent_again "$P") - again))
    counted=$(($(total lost-server true retransmits) + $(total lost-client true retransmits)))
    check "redis over a wire that loses: both sides agree" sides_agree lost 6379
    check "redis over a wire that loses: what was sent again is what the kernel counts ($again segments)" \
        between $((again * 98 / 100)) $counted $((again * 102 / 100 + 1))
    check "redis over a wire that loses: all is shown" balanced lost-server
    check "redis over a wire that loses: all is shown on the other side" balanced lost-client
    client_gone
fi

# ---- nginx ----

if command -v wrk >/dev/null && quiet_up nginx; then
    client "$(command -v wrk)"
    both_begin nginx
    runc exec "$A" /usr/bin/wrk -t 1 -c 10 -d 2 -H 'Connection: close' http://10.97.0.1:80/page >"$T/said" 2>&1
    n=$(sed -n 's/^ *\([0-9]*\) requests in.*/\1/p' "$T/said")
    both_end nginx
    check "nginx answers over a bridge" [ "${n:-0}" -gt 100 ]
    # Those that wrk breaks off when its time is up are no requests.
    check "nginx over a bridge: wrk's $n requests are so many connections, but for the last 10" \
        between "$n" "$(count nginx-server '.direction == "in" and .lport == 80')" $((n + 20))
    check "nginx over a bridge: as many as its client has" \
        [ "$(count nginx-server '.lport == 80')" = "$(count nginx-client '.rport == 80 and .state != "failed"')" ]
    check "nginx over a bridge: each of them has the page's bytes" \
        between $((n - 20)) "$(count nginx-client '.rx_bytes > 23000')" $((n + 20))
    check "nginx over a bridge: all is shown" balanced nginx-server
    check "nginx over a bridge: all is shown on the other side" balanced nginx-client
    client_gone
else
    skip "nginx over a bridge" "needs wrk"
fi
