#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 180
#
# Programs that pass for JVMs at first sight, against --java: nobody is signalled or spoken to who is
# not what he should be, and none of them holds a capture up.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/runc.sh"
need_bpf
need_commands runc jq python3

A=pht$$-a
MODES="dies deaf link third fifo other silent endless trigger good options"

# The host's socket to which a link in the container leads; who comes is written down.
cat >"$T/listen.py" <<'PY'
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
s.listen(8)
print("ready", flush=True)
while True:
    s.accept()
    print("visitor", flush=True)
PY
chmod 755 "$T"
python3 "$T/listen.py" "$T/host.sock" >"$T/visitors" 2>&1 &
LISTENER=$!
on_exit "kill $LISTENER"
wait_for 10 grep -q ready "$T/visitors"

echo 'java = yes' >"$T/conf"
start_agent --config "$T/conf"
on_exit "runc_stop $A; rm -rf --one-file-system '$T/$A'"
victim_root "$A"
cp "$W/fakejvm" "$T/$A/rootfs/libjvm.so"
cat >"$T/$A/rootfs/start.sh" <<END
for mode in $MODES; do
    case \$mode in
    options) /bin/fakejvm good @file & ;;
    *) /bin/fakejvm \$mode $T/host.sock & ;;
    esac
done
wait
END
runc_start "$A" "$T/$A" /bin/sh /start.sh
LOG=$T/$A/log
count_started() {
    [ "$(grep -cE '^[a-z]+ [0-9]+$' "$LOG")" = "$(echo "$MODES" | wc -w)" ]
}
wait_for 20 count_started || { not_ok "the programs start" "$(tail -n 1 "$LOG")" && exit 1; }

porthole cpu "$A" -d 1 -q -o "$T/a.json" --java 2>"$T/err"
check "a capture among programs that pass for JVMs comes to its end" [ -s "$T/a.json" ]

# of MODE: pid in the container; the last of the two that say they are good is the one with a file.
of() {
    case $1 in
    options) awk '$1 == "good" { print $2 }' "$LOG" | sort -n | tail -n 1 ;;
    *) awk -v m="$1" '$1 == m { print $2 }' "$LOG" | sort -n | head -n 1 ;;
    esac
}
# ends MODE REASON: that program's row says so.
ends() {
    local got
    got=$(quality "$T/a.json" ".java[] | select(.pid == $(of "$1")) | .reason // \"done\"")
    [ "$got" = "$2" ] || { echo "'$got'" && return 1; }
}
# heard WHAT MODE: it said that it got one.
heard() {
    grep -q "^$1 $2$" "$LOG"
}
unharmed() {
    local mode
    for mode in $MODES; do
        nsenter --pid="/proc/$(runc_pid "$A")/ns/pid" --mount="/proc/$(runc_pid "$A")/ns/mnt" -- \
            /bin/busybox kill -0 "$(of "$mode")" || { echo "$mode is gone" && return 1; }
    done
}

check "all of them are alive afterwards" unharmed
check "what answers as HotSpot does is done" ends good 'done'
check "who does not catch SIGQUIT is left alone" \
    ends dies "it does not catch SIGQUIT, which would end it"
check "who opens no socket is given up" ends deaf "it opened no socket in time"
check "and was signalled, so that the others' silence says something" heard signal deaf
check "a link in the socket's place is not followed" \
    ends link "what stands at its socket's place in /tmp is not its socket"
check "nobody came to the host's socket at its end" eval '! grep visitor "$T/visitors"'
check "a third user's socket is not spoken to" \
    ends third "what stands at its socket's place in /tmp is not its socket"
check "neither is a FIFO" ends fifo "what stands at its socket's place in /tmp is not its socket"
check "nor a socket on which another process listens" \
    ends other "what stands at its socket's place in /tmp is not its socket"
check "which gets no command" eval '! heard command other'
check "a socket that takes no connection is given up" ends silent "it did not answer in time"
check "an answer without end is cut" ends endless "it answered more than it should"
check "where the trigger cannot be made, the report says so" \
    ends trigger "the file in /tmp that asks for its socket cannot be made"
check "whose options are in a file is left alone" \
    ends options "its options stand in a file, and one of them may forbid it"
check "nobody else was signalled" eval '! grep "^signal" "$LOG" | grep -v deaf'
check "no trigger is left but the planted one" \
    [ "$(find "$T/$A/rootfs/tmp" -name '.attach_pid*' | wc -l)" = 1 ]
runc_stop "$A"

# ---- a /tmp that cannot be written ----
B2=pht$$-b
on_exit "runc_stop $B2; rm -rf --one-file-system '$T/$B2'"
victim_root "$B2"
cp "$W/fakejvm" "$T/$B2/rootfs/libjvm.so"
RUNC_MOUNTS=',{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["ro"]}' \
    runc_start "$B2" "$T/$B2" /bin/fakejvm deaf
wait_for 10 grep -q deaf "$T/$B2/log"
porthole cpu "$B2" -d 0.5 -q -o "$T/b.json" --java
check "with a read-only /tmp the report gives the system's reason" \
    [ "$(quality "$T/b.json" '.java[0].error')" = "Read-only file system" ]
check "and no signal is sent" eval '! grep -m 1 signal "$T/$B2/log"'

# ---- the attacher is killed ----
attacher() {
    local pid
    for pid in $(family "$AGENT_PID"); do
        [ "$(cat "/proc/$pid/comm")" = porthole-attach ] && echo "$pid" && return 0
    done
    return 1
}
before=$(attacher)
kill -KILL "$before"
another() {
    local now
    now=$(attacher) && [ "$now" != "$before" ]
}
check "a killed attacher is replaced" wait_for 10 another
exits_with 0 "and captures work as before" "$B/porthole" cpu "$B2" -d 0.5 --java -q -f folded
