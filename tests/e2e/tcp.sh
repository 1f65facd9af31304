#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# Lives of TCP connections in a real container: each is a row, whose bytes are what the workload
# counted itself.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/talk.sh"
need_root
need_bpf
need_commands runc jq ip nsenter ss

A=tcp-a$$ C=tcp-c$$
start_agent
talker "$A"
talker "$C"
wire "$A" "$C" 1

# ---- both ends in the container, by loopback ----

start_tcp loop "$A"
talk_begin server "$A" serve 127.0.0.1 7000
talk "$A" call 127.0.0.1 7000 50 1000 70000 >/dev/null
read -r n sent received <<<"$(numbers "$(cat "$T/said")")"
served=$(numbers "$(talk_end server)")
end_beside loop
check "each connection is a row at either end" count_is loop 100 '.state == "closed" and .comm == "talk"'
check "the bytes of connects are those that the client counted" \
    sum_is loop "$sent" tx_bytes '.direction == "out"'
check "so are those that came back" sum_is loop "$received" rx_bytes '.direction == "out"'
check "the bytes of accepts are those that the server counted" \
    [ "$served" = "$n $(jq -s 'map(select(.direction == "in" and .type == "aggregate")) | "\(map(.tx_bytes) | add) \(map(.rx_bytes) | add)"' -r "$T/loop.json")" ]
check "accepts are the server's process, connects the client's" jq -es '
    map(select(.type == "aggregate")) | group_by(.direction) | map(map(.host_pid) | unique | length) == [1, 1] and
    (map(.[0].host_pid) | unique | length) == 2' "$T/loop.json"
check "the process is the server's indeed" count_is loop 50 ".direction == \"in\" and .host_pid == $(cat "$T/server.pid")"
check "connects took some time, which was less than the life" count_is loop 50 '.connect_us >= 0 and .connect_us <= .duration_us'
check "the peer of a loopback connection is the container itself" count_is loop 100 ".peer == \"$A\""
check "all that was taken is shown" balanced loop
check "the summary by peers adds up" jq -es '
    map(select(.record == "tcp-peer")) | (map(.connections) | add) == 100 and
    (map(select(.direction == "out"))[0] | .rport == 7000 and .tx_bytes == '"$sent"')' "$T/loop.json"
check "histograms hold every connection" jq -es '
    map(select(.histogram == "tcp" and (.from_ms | not))) | map({(.state): .count}) | add ==
    {"connect": 50, "rtt": 100, "life": 100}' "$T/loop.json"

# ---- ends of all kinds ----

# ends NAME CONDITION HOW-MANY SENTENCE COMMAND…
ends() {
    start_tcp "$1" "$A"
    "${@:5}" >"$T/said" 2>&1
    end_beside "$1"
    check "$4" count_is "$1" "$3" "$2"
    check "… and nothing else is" count_is "$1" "$3" true
}
refused() { talk "$A" fail 10.98.1.2 7009; }
ends refused '.state == "failed" and .reason == "refused" and .rport == 7009 and .tx_bytes == 0' 1 \
    "who is refused has a row that says so" refused
in_net "$A" ip neigh add 10.98.1.9 lladdr 02:00:00:00:00:99 dev w1 nud permanent

# A timer ends these, in whatever process it interrupts; the kernel may call no programs there. So it
# is tried three times.
three_fail() { # ADDRESS ADDRESS ADDRESS
    local address pids=()
    for address; do
        talk "$A" fail "$address" 7009 &
        pids+=($!)
        sleep 0.1
    done
    wait "${pids[@]}"
}
# late NAME CONDITION SENTENCE ADDRESS ADDRESS ADDRESS
late() {
    start_tcp "$1" "$A"
    three_fail "${@:4}" >/dev/null 2>&1
    end_beside "$1"
    check "$3" between 1 "$(count "$1" "$2")" 3
    check "… each has a row" count_is "$1" 3 '.rport == 7009 and .tx_bytes == 0'
    check "… and nothing else has" count_is "$1" 3 true
}
late timeout '.state == "failed" and .reason == "timed-out" and .retransmits > 0' \
    "who gets no answer has timed out" 10.98.1.9 10.98.1.9 10.98.1.9
# Or the connect would time out before the search for its address ends.
in_net "$A" sh -c "echo 100 >/proc/sys/net/ipv4/neigh/w1/retrans_time_ms"
late unreachable '.state == "failed" and .reason == "unreachable" and (.raddr | startswith("10.98.1."))' \
    "a host that is not there is unreachable" 10.98.1.8 10.98.1.7 10.98.1.6
abandoned() { talk "$A" fail 10.98.1.9 7009 abandon; }
ends abandoned '.state == "failed" and .reason == "abandoned"' 1 \
    "a connect that is given up says so" abandoned

# ---- ends before anything is sent ----

nowhere() { talk "$A" fail 192.0.2.1 7009; }
ends nowhere '.state == "failed" and .reason == "unreachable" and .raddr == "192.0.2.1" and .rport == 7009 and .comm == "talk"' 1 \
    "a connect without a way to go is a row" nowhere
check "… the kernel says so to who connected" grep -q ENETUNREACH "$T/said"
nowhere_six() { talk "$A" fail 2001:db8::1 7009; }
ends nowhere_six '.reason == "unreachable" and .raddr == "2001:db8::1" and .comm == "talk" and (has("laddr") | not)' 1 \
    "so is one of IPv6" nowhere_six
nowhere_mapped() { talk "$A" fail ::ffff:192.0.2.1 7009; }
ends nowhere_mapped '.reason == "unreachable" and .raddr == "192.0.2.1" and .rport == 7009' 1 \
    "… and one that is mapped" nowhere_mapped
nowhere_linger() { talk "$A" fail 192.0.2.1 7009 linger && talk "$A" fail 2001:db8::1 7009 linger; }
ends nowhere_linger '.reason == "unreachable" and .comm == "talk"' 2 \
    "… however their sockets are closed" nowhere_linger
talk_begin early "$A" fail 192.0.2.2 7009 keep
start_tcp kept "$A"
talk_begin late "$A" fail 192.0.2.1 7009 keep
end_beside kept
start_tcp later "$A"
talk_end early >/dev/null
talk_end late >/dev/null
end_beside later
check "a socket that failed and is kept is a row at the end" count_is kept 1 \
    ".reason == \"unreachable\" and .raddr == \"192.0.2.1\" and .host_pid == $(cat "$T/late.pid")"
check "… but none that failed before" count_is kept 1 true
check "… nor when it is closed" count_is later 0 true
check "all of that is shown" balanced kept
in_net "$A" ip route add prohibit 198.51.100.0/24
prohibited() { talk "$A" fail 198.51.100.1 7009; }
ends prohibited '.reason == "unreachable" and .raddr == "198.51.100.1"' 1 \
    "a route that forbids it is no way either" prohibited
listened() { talk_begin listener "$A" serve 127.0.0.1 7001 && talk_end listener; }
ends listened true 0 "a socket that wanted to go nowhere is none" listened

talk_begin server "$C" serve :: 7000
ports=$(in_net "$A" cat /proc/sys/net/ipv4/ip_local_port_range)
in_net "$A" sh -c "echo 40000 40000 >/proc/sys/net/ipv4/ip_local_port_range"
talk_begin holder "$A" call 10.98.1.2 7000 1 100 100 hold
talk_begin holder6 "$A" call fd98:1::2 7000 1 100 100 hold
start_tcp no_port "$A"
talk "$A" fail 10.98.1.2 7000 >/dev/null
talk "$A" fail fd98:1::2 7000 >/dev/null
end_beside no_port
check "who has no port left to go from is told so" count_is no_port 2 \
    '.state == "failed" and .reason == "no-port" and (.raddr == "10.98.1.2" or .raddr == "fd98:1::2") and .rport == 7000'
check "… the kernel says so, too" grep -q EADDRNOTAVAIL "$T/said"
talk_end holder >/dev/null
talk_end holder6 >/dev/null
in_net "$A" sh -c "echo $ports >/proc/sys/net/ipv4/ip_local_port_range"
reset() { talk "$A" call 10.98.1.2 7000 3 2000 3000 reset; }
ends reset '.state == "reset" and .tx_bytes == 2000 and .rx_bytes == 3000' 3 \
    "connections that end by a reset have their bytes" reset
first() { talk "$A" call 10.98.1.2 7000 3 2000 3000 first; }
ends first '.state == "closed" and .tx_bytes == 2000 and .rx_bytes == 3000' 3 \
    "who closes first does not matter" first

# ---- addresses ----

six() { talk "$A" call fd98:1::2 7000 2 200 300; }
ends six '.laddr == "fd98:1::1" and .raddr == "fd98:1::2" and .tx_bytes == 200' 2 \
    "IPv6 is IPv6" six
mapped() { talk "$A" call ::ffff:10.98.1.2 7000 2 200 300; }
ends mapped '.laddr == "10.98.1.1" and .raddr == "10.98.1.2" and .rx_bytes == 300' 2 \
    "IPv4 that is mapped into IPv6 is IPv4" mapped
start_tcp other "$C"
talk "$A" call 10.98.1.2 7000 2 200 300 >/dev/null
end_beside other
check "a listener of both kinds has IPv4 clients" count_is other 2 '.direction == "in" and .raddr == "10.98.1.1" and .rx_bytes == 200'
check "… whose container is known" count_is other 2 ".peer == \"$A\""
check "a client knows the container that it talks to" count_is first 3 ".peer == \"$C\""
talk_end server >/dev/null

# ---- open before, open at the end ----

talk_begin server "$A" serve 127.0.0.1 7000
talk_begin holder "$A" call 127.0.0.1 7000 4 5000 6000 hold
start_tcp held "$A"
talk_begin later "$A" call 127.0.0.1 7000 3 500 600 hold
talk_end holder >/dev/null
in_net "$A" ss -tinHO state established '( dport = :7000 )' >"$T/ss"
end_beside held
check "connections from before are rows when they end, at both ends" count_is held 8 '.before and .state == "closed"'
check "their bytes are those of their whole lives" sum_is held 20000 tx_bytes '.before and .direction == "out"'
check "… the other way, too" sum_is held 20000 rx_bytes '.before and .direction == "in"'
check "their process is known" count_is held 4 ".before and .host_pid == $(cat "$T/holder.pid")"
check "connections that stay are rows at the end" count_is held 6 '.state == "open" and (.before | not)'
check "ss agrees with the ports and bytes of those" diff \
    <(jq -r 'select(.state == "open" and .direction == "out" and .type == "aggregate") | "\(.lport) \(.tx_bytes) \(.rx_bytes) \(.retransmits)"' "$T/held.json" | sort) \
    <(sed -nE 's/.*:([0-9]+) +127.0.0.1:7000.*bytes_acked:([0-9]+) bytes_received:([0-9]+).*/\1 \2 \3/p' "$T/ss" |
        awk '{ print $1, $2 - 1, $3, 0 }' | sort)
check "what opened and was open before has closed or is open" jq -es '
    map(select(.type == "quality"))[0].tcp | .opened + .open_before == .closed + .open_at_end and .open_before == 8' "$T/held.json"
check "… and all of it is shown" balanced held
start_tcp still "$A"
end_beside still
check "what is open all along is a row as well" count_is still 6 '.before and .state == "open" and .comm == "talk"'
check "directions of those are known" count_is still 3 '.direction == "in"'
check "… and their peers" count_is still 6 ".peer == \"$A\""
talk_end later >/dev/null

# ---- open without a file: not accepted yet; closed by its process, and not gone ----

in_state() {
    [ -n "$(in_net "$A" ss -tnHO state "$1" '( dport = :7000 )')" ]
}
start_tcp queue "$A"
kill -STOP "$(cat "$T/server.pid")"
runc exec --detach --pid-file "$T/caller.pid" "$A" /bin/talk call 127.0.0.1 7000 1 100 100 </dev/null >/dev/null 2>&1
check "the kernel accepts for a server that does not" wait_for 20 in_state established
acked() {
    in_net "$A" ss -tinHO state established '( dport = :7000 )' | grep -q 'bytes_acked:101 ' # and a SYN
}
check "… what it is sent" wait_for 20 acked
in_net "$A" ip link set lo down # or the other side is told at once
kill -KILL "$(cat "$T/caller.pid")"
check "who is gone leaves its half of the connection" wait_for 20 in_state fin-wait-1
end_beside queue
in_net "$A" ip link set lo up
kill -CONT "$(cat "$T/server.pid")"
check "what its server has not accepted is a row" count_is queue 1 \
    '.direction == "in" and .state == "open" and .lport == 7000'
check "what its process has left is one" count_is queue 1 \
    ".direction == \"out\" and .state == \"fin-wait-1\" and .host_pid == $(cat "$T/caller.pid") and .comm == \"talk\""
check "… with all that it sent" count_is queue 1 '.direction == "out" and .tx_bytes == 100'
check "neither is lost" balanced queue

# ---- one process ----

start_tcp pid "$A" -p "$(awk '/^NSpid/ { print $NF }' "/proc/$(cat "$T/server.pid")/status")"
talk "$A" call 127.0.0.1 7000 5 100 200 >/dev/null
end_beside pid
check "-p keeps to one process, which accepts" count_is pid 5 ".direction == \"in\" and .host_pid == $(cat "$T/server.pid")"
check "… and shows nothing else" count_is pid 5 true
start_tcp all all
talk "$A" call 127.0.0.1 7000 5 100 200 >/dev/null
end_beside all
check "all shows both ends, with their container" count_is all 10 ".container == \"$A\" and .peer == \"$A\" and (.lport == 7000 or .rport == 7000)"
talk_end server >/dev/null

# ---- events ----

talk_begin server "$C" serve 10.98.1.2 7000
start_tcp events "$A" --events
talk "$A" call 10.98.1.2 7000 2 100 200 >/dev/null
talk "$A" call 10.98.1.2 7000 1 100 200 reset >/dev/null
talk "$A" fail 10.98.1.2 7009 >/dev/null
end_beside events
check "connects are told as they happen" count_is events 3 '.event == "connect" and .connect_us >= 0'
check "closes with their bytes" count_is events 3 '.event == "close" and .tx_bytes == 100 and .rx_bytes == 200'
check "resets that are sent" count_is events 1 '.event == "reset-sent"'
check "resets that are received, and what they mean" count_is events 2 '.event == "reset-received" or (.event == "connect-failed" and .reason == "refused")'
check "there are no rows besides" count_is events 9 '.record == "tcp-event"'
check "all events are shown" balanced events
start_tcp accepts "$C" --events
talk "$A" call 10.98.1.2 7000 2 100 200 >/dev/null
end_beside accepts
check "accepts are told with their process" count_is accepts 2 ".event == \"accept\" and .host_pid == $(cat "$T/server.pid") and .peer == \"$A\""
talk_end server >/dev/null

# ---- nothing ----

exits_with 0 "an idle container's capture ends well" porthole tcp "$C" -d 0.3 -o "$T/idle.json"
check "… with no row, which is explained" jq -es '
    (map(select(.type == "aggregate")) | length) == 0 and (map(select(.type == "quality"))[0] | .taken == 0 and
    any(.remarks[]; contains("nothing was seen")))' "$T/idle.json"
exits_with 2 "time is refused, for calls have none" porthole tcp "$A" -d 1 --stacks --weight=time
check "the agent is at rest afterwards" wait_for 10 agent_rests
