#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Row A7: a second agent, a stale socket file, a place where no socket can be; and how the agent
# starts, ends and is told about its socket by a service manager.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands python3 flock

agent_says() {
    timeout -k 5 20 "$B/portholed" --socket "$1" >"$T/said" 2>&1
    echo $? >"$T/status"
    grep -q -- "$2" "$T/said" || { head -n 1 "$T/said" && return 1; }
    [ "$(cat "$T/status")" = "$3" ] || { echo "exit $(cat "$T/status")" && return 1; }
    [ "$(wc -l <"$T/said")" = 1 ] || { echo "more than one line" && return 1; }
}

start_agent
check "A7: a second agent is refused with a clear line" \
    agent_says "$PORTHOLE_SOCKET" 'another agent serves' 1
exits_with 0 "A7: the first one still serves" "$B/porthole" status
pid=$AGENT_PID
stop_agent
check "a stopped agent removes its socket and lock" [ ! -e "$PORTHOLE_SOCKET" ]
check "and its lock" [ ! -e "$PORTHOLE_SOCKET.lock" ]

start_agent
children=$(family "$AGENT_PID")
kill -KILL "$AGENT_PID"
wait "$AGENT_PID" 2>/dev/null
check "A7: a killed agent leaves a stale socket" [ -S "$PORTHOLE_SOCKET" ]
all_gone() {
    for pid in $children; do
        gone "$pid" || return 1
    done
}
check "with it went all its processes" wait_for 5 all_gone
start_agent
exits_with 0 "A7: the next one takes a stale socket over" "$B/porthole" status

# The lock decides even while nobody listens.
agent=$(cat /proc/"$AGENT_PID"/task/*/children)
kill -KILL "${agent%% *}"
wait "$AGENT_PID"
check "an agent that dies ends portholed with an error" [ $? = 1 ]
AGENT_PID=
check "and the socket is gone" [ ! -e "$PORTHOLE_SOCKET" ]

exec 8>"$T/held.sock.lock"
flock 8
check "A7: whoever holds the lock has the place, before its socket is there" \
    agent_says "$T/held.sock" 'another agent serves' 1
exec 8>&-

for ((i = 0; i < 8; i++)); do
    "$B/portholed" --socket "$T/race.sock" >"$T/race.$i" 2>&1 &
    racers[i]=$!
done
one_left() {
    local alive=0
    for pid in "${racers[@]}"; do
        gone "$pid" || alive=$((alive + 1))
    done
    [ $alive = 1 ] && grep -qs serving "$T"/race.[0-9]
}
check "A7: of eight that start at once, one serves" wait_for 20 one_left
check "A7: the seven others say so" \
    [ "$(cat "$T"/race.[0-9] | grep -c 'another agent serves')" = 7 ]
for pid in "${racers[@]}"; do
    stop_process "$pid"
done

echo precious >"$T/file"
check "A7: a file that is no socket is left alone" agent_says "$T/file" 'is no socket' 2
check "and unchanged" grep -q precious "$T/file"
check "A7: a missing directory is said so" agent_says "$T/none/none/a.sock" 'cannot make' 1
check "A7: a place where nothing can be made is said so" agent_says /proc/porthole.sock \
    'cannot make' 1
check "a relative path is refused" agent_says a.sock 'absolute' 2

# ---- a service manager ----

cat >"$T/manager.py" <<'PY'
import os, socket, subprocess, sys
where = sys.argv[1]
listener = socket.socket(socket.AF_UNIX)
listener.bind(where)
listener.listen()
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind("\0porthole-test-%d" % os.getpid())
notify.settimeout(20)

def hand_over():
    os.dup2(listener.fileno(), 3)
    os.set_inheritable(3, True)
    os.environ["LISTEN_PID"] = str(os.getpid())

env = dict(os.environ, LISTEN_FDS="1", NOTIFY_SOCKET="@porthole-test-%d" % os.getpid())
pid = os.fork()
if pid == 0:
    os.environ.update(env)
    hand_over()
    os.execv(sys.argv[2], [sys.argv[2]])
said = notify.recv(100)
client = subprocess.run([sys.argv[3], "--socket", where, "status"], stdout=subprocess.DEVNULL)
os.kill(pid, 15)
status = os.waitpid(pid, 0)[1]
print(said, client.returncode, status, os.path.exists(where))
sys.exit(0 if (said, client.returncode, status) == (b"READY=1", 0, 0) and os.path.exists(where) else 1)
PY
check "a socket from a service manager is served, and left to it" \
    python3 "$T/manager.py" "$T/handed.sock" "$B/portholed" "$B/porthole"
