#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# As many short connections as this machine makes: none is lost unseen, others' cost nothing, and an
# agent that dies leaves nothing behind.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/talk.sh"
need_root
need_bpf
need_commands runc jq ip nsenter bpftool

A=flood-a$$
start_agent
talker "$A"
talk_begin server "$A" serve 127.0.0.1 7000

# flood SECONDS
flood() {
    talk "$A" flood 127.0.0.1 7000 "$1" 4 | numbers "$(cat)"
}

# As many rows as the ring holds: they are there whoever else wants the CPUs.
start_tcp rows "$A"
talk "$A" call 127.0.0.1 7000 20000 0 1 first >/dev/null
end_beside rows
check "20,000 connections in a row are all taken, at both ends" [ "$(quality "$T/rows.json" .taken)" = 40000 ]
check "none is lost" jq -es 'map(select(.type == "quality"))[0].lost == {}' "$T/rows.json"
check "each is shown" balanced rows
check "clients and servers are the same number" [ "$(count rows '.direction == "in"') $(count rows '.direction == "out"')" = "20000 20000" ]
check "every one has its byte" count_is rows 20000 '.direction == "out" and .tx_bytes == 24 and .rx_bytes == 1'

start_tcp most "$A"
read -r n _ _ < <(flood 4)
end_beside most
check "of $n connections within 4 s each end is taken" [ "$(quality "$T/most.json" .taken)" = $((n * 2)) ]
check "taken is shown or lost" balanced most

start_tcp events "$A" --events
read -r n _ _ < <(flood 3)
end_beside events
check "events of $n connections are shown or lost" balanced events
# Where the machine stands still for a while, something may be sent again besides.
check "… a connect, an accept and two closes each" \
    between $((n * 4)) "$(quality "$T/events.json" .taken)" $((n * 4 + 100))

# A client that does not read: the ring fills, and says so.
printf '{"porthole":1,"op":"capture","view":"tcp","target":"%s","duration_ms":60000,"events":true}\n' "$A" >"$T/request"
python3 - "$PORTHOLE_SOCKET" "$T/request" "$T/go" >"$T/slow.json" <<'PYTHON' &
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(open(sys.argv[2], "rb").read())
while not os.path.exists(sys.argv[3]):
    time.sleep(0.05)
s.sendall(b'{"porthole":1,"op":"stop"}\n')
while data := s.recv(65536):
    sys.stdout.buffer.write(data)
PYTHON
SLOW=$!
wait_for 20 agent_captures
before=$(awk '/VmRSS/ { print $2 }' "/proc/$AGENT_PID/status")
# The ring and the pipes behind it hold some 16,000 connections.
made=0
for _ in 1 2 3 4 5; do
    [ $made -gt 40000 ] && break
    read -r n _ _ < <(flood 3)
    made=$((made + n))
done
grown=$(($(awk '/VmRSS/ { print $2 }' "/proc/$AGENT_PID/status") - before))
check "an agent whose client does not read stays small" between -100000 "$grown" 30000
touch "$T/go"
wait_for 60 gone $SLOW
check "what found no room is counted as that" jq -es 'map(select(.type == "quality"))[0].lost | keys == ["ring-full"]' "$T/slow.json"
check "what was shown is there" balanced slow

# ---- the agent is killed ----

start_tcp killed "$A"
ids=$(agent_programs)
[ -n "$ids" ] || not_ok "a capture has programs" "none"
disown "$AGENT_PID" # the shell need not tell of it
kill -KILL "$AGENT_PID"
left() {
    local id
    for id in $ids; do
        bpftool prog show id "$id" >/dev/null 2>&1 && return 1
    done
    return 0
}
check "an agent that is killed leaves no program" wait_for 10 left
read -r n _ _ < <(flood 1)
check "… and connections work as before" [ "$n" -gt 100 ]
wait "${CAPTURES[killed]}"
AGENT_PID=
talk_end server >/dev/null
