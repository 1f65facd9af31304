#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# TCP over the networks that containers have: a bridge, a wire that loses, the host's own network,
# one that two containers share.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/talk.sh"
need_root
need_bpf
need_commands runc jq ip nsenter ss

A=net-a$$ C=net-c$$ S=net-s$$ H=net-h$$ P=net-p$$
start_agent
talker "$A"
talker "$C"
talker "$S"

# ---- a bridge: S is the switch ----

bridge "$S"
plug "$S" "$A" 1
plug "$S" "$C" 2
talk_begin server "$C" serve 10.97.0.2 7000
start_tcp a "$A"
start_tcp c "$C"
talk "$A" call 10.97.0.2 7000 20 3000 4000 >/dev/null
end_beside a
end_beside c
check "over a bridge each side has its end" count_is a 20 '.direction == "out" and .rport == 7000'
check "… and the other one its own" count_is c 20 '.direction == "in" and .lport == 7000'
check "both agree on who sent what" [ "$(count a '.tx_bytes == 3000 and .rx_bytes == 4000') $(count c '.tx_bytes == 4000 and .rx_bytes == 3000')" = "20 20" ]
check "each knows the other's container" [ "$(count a ".peer == \"$C\"") $(count c ".peer == \"$A\"")" = "20 20" ]
check "all is shown on one side" balanced a
check "… and on the other" balanced c
start_tcp s "$S"
talk "$A" call 10.97.0.2 7000 5 3000 4000 >/dev/null
end_beside s
check "who only passes packets on has no connections" count_is s 0 true
talk_end server >/dev/null

# ---- a wire that loses ----

wire "$A" "$C" 5
talk_begin server "$C" serve 10.98.5.2 7000
start_tcp rows "$A"
start_tcp events "$A" --events
start_tcp stacks "$A" --stacks
start_tcp bytes "$A" --stacks --weight bytes
runc exec --detach --pid-file "$T/stream.pid" "$A" /bin/talk stream 10.98.5.2 7000 2000000000 >"$T/stream.said" 2>&1
sends() { in_net "$A" ss -tinH '( dport = :7000 )' | grep -q 'bytes_acked:[0-9]\{6\}'; }
wait_for 20 sends || not_ok "a stream is under way" "$(tail -n 1 "$T/stream.said")"
in_net "$C" ip link set w5 down
resends() { in_net "$A" ss -tinH '( dport = :7000 )' | grep -qE 'retrans:[0-9]+/([2-9]|[0-9]{2,})'; }
wait_for 30 resends
in_net "$C" ip link set w5 up
check "what was lost comes through in the end" wait_for 60 grep -q connections "$T/stream.said"
drained() { [ -z "$(in_net "$A" ss -tnH '( dport = :7000 )')" ]; }
wait_for 20 drained
for capture in rows events stacks bytes; do
    end_beside $capture
done
check "a wire that loses: the bytes are those that were sent" count_is rows 1 '.tx_bytes == 2000000000 and .rx_bytes == 0'
check "what was sent again is counted" [ "$(jq 'select(.type == "aggregate").retransmits' "$T/rows.json")" -ge 2 ]
check "… and there is an event for each packet, or a few" between 1 "$(count events '.event == "retransmit"')" \
    "$(jq 'select(.type == "aggregate").retransmits' "$T/rows.json")"
folded "$T/stacks.json" >"$T/folded"
check "stacks of what is sent again are the kernel's, and the sender's to answer for" \
    grep -q '^talk;retransmit;.*tcp_retransmit' "$T/folded"
check "stacks of sends lead to who sends" grep -qE '^talk;send;.*(call|exchange|main).*tcp|^talk;send;.*;(call|exchange|main).*sock_write' "$T/folded"
check "stacks add up" conserved "$T/stacks.json"
check "bytes that were sent are those of the stacks" [ "$(folded "$T/bytes.json" | awk '/^talk;send;/ { n += $NF } END { printf "%d", n }')" = 2000000000 ]
talk_end server >/dev/null

# ---- the host's network, and one that is shared ----

# shares NAME CONTAINER-OR-PID: a container in that one's network.
shares() {
    RUNC_NETWORK=", \"path\": \"/proc/$2/ns/net\"" victim "$1" /bin/sh -c 'while :; do sleep 1000; done'
}
shares "$P" "$(runc_pid "$A")"
talk_begin inside "$A" serve 127.0.0.1 7000
talk_begin beside "$P" serve 127.0.0.1 7001
start_tcp a "$A"
start_tcp p "$P"
talk "$A" call 127.0.0.1 7001 3 100 200 >/dev/null
talk "$P" call 127.0.0.1 7000 4 300 400 >/dev/null
end_beside a
end_beside p
check "of a shared network each container has its own connections" \
    [ "$(count a '.direction == "out" and .rport == 7001') $(count a '.direction == "in" and .lport == 7000') $(count a true)" = "3 4 7" ]
check "… and the other has its own" \
    [ "$(count p '.direction == "in" and .lport == 7001') $(count p '.direction == "out" and .rport == 7000') $(count p true)" = "3 4 7" ]
check "they tell each other apart" [ "$(count a ".peer == \"$P\"") $(count p ".peer == \"$A\"")" = "7 7" ]
talk_end inside >/dev/null
talk_end beside >/dev/null

shares "$H" $$
PORT=$((20000 + $$ % 10000))
talk_begin server "$H" serve 127.0.0.1 $PORT
start_tcp h "$H"
"$W/talk" call 127.0.0.1 $PORT 3 100 200 >/dev/null
talk "$H" call 127.0.0.1 $PORT 2 100 200 >/dev/null
end_beside h
check "in the host's network a container has its own connections, and no others" \
    [ "$(count h '.direction == "in"') $(count h '.direction == "out"') $(count h true)" = "5 2 7" ]
check "who comes from the host is no container" count_is h 3 '.direction == "in" and (.peer | not)'
check "who comes from the container itself is" count_is h 4 ".peer == \"$H\""
talk_end server >/dev/null
