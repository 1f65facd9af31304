#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# Rows P2, P6 and A2: what our processes hold, who may touch them, and what happens when one of the
# helpers is killed or stopped. All of them are there: the attacher, too.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands setpriv
PYTHON=$(PATH=/usr/bin:/bin command -v python3) || skip_all "needs 'python3' where every user can run it"

DOCKER=chown,dac_override,fsetid,fowner,mknod,net_raw,setgid,setuid,setfcap,setpcap
DOCKER+=,net_bind_service,sys_chroot,kill,audit_write

# named COMM: the agent's child of that name; the agent itself is "portholed".
named() {
    local pid
    for pid in $(family "$AGENT_PID"); do
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ] && echo "$pid" && return 0
    done
    return 1
}

field() {
    awk -v f="$2:" '$1 == f { print $2 }' "/proc/$1/status"
}

# ---- what they hold ----

# holds COMM FILE…: the targets of its fds are just these, sockets and loop fds aside.
holds() {
    local pid sockets=$2
    pid=$(named "$1") || return 1
    shift 2
    for fd in "/proc/$pid/fd"/*; do
        readlink "$fd"
    done >"$T/fds"
    [ "$(grep -c '^socket:' "$T/fds")" = "$sockets" ] || { tr '\n' ' ' <"$T/fds" && return 1; }
    grep -vE '^(socket:|anon_inode:\[(eventpoll|signalfd)\])' "$T/fds" | sort -u >"$T/files"
    printf '%s\n' /dev/null "$T/agent.log" "$@" | sort -u >"$T/want"
    diff "$T/want" "$T/files"
}

# rights COMM UID PERMITTED EFFECTIVE: as in /proc/PID/status.
rights() {
    local pid
    pid=$(named "$1") || return 1
    [ "$(field "$pid" Uid) $(field "$pid" CapPrm) $(field "$pid" CapEff)" = "$2 $3 $4" ] ||
        { grep -E '^(Uid|Cap)' "/proc/$pid/status" | tr '\n' ' ' && return 1; }
    [ "$(field "$pid" NoNewPrivs) $(field "$pid" Seccomp)" = "1 2" ]
}

own_namespaces() {
    local pid ns
    pid=$(named porthole-parser) || return 1
    for ns in net ipc uts mnt user; do
        [ "$(readlink "/proc/$pid/ns/$ns")" != "$(readlink "/proc/self/ns/$ns")" ] ||
            { echo "$ns is the host's" && return 1; }
    done
    [ -z "$(ls -A "/proc/$pid/root/")" ]
}

export DEBUGINFOD_URLS=http://127.0.0.1:1 # for a fetcher, which asks nobody here
exec 9<"$0" # left open by whoever starts the agent
echo 'java = yes' >"$T/conf"
start_agent --config "$T/conf"
exec 9<&-
modules=
[ -e /proc/modules ] && modules=/proc/modules
programs=$(readlink -f "$B")
check "P6: the monitor holds just its files" holds portholed-mon 1 "$T/agent.sock.lock" \
    "$programs/porthole-opener" "$programs/porthole-parser" "$programs/porthole-attacher" \
    "$programs/porthole-fetch"
# shellcheck disable=SC2086 # one word or none
check "P6: the agent holds just its files" holds portholed 6 /proc/kallsyms $modules \
    '/memfd:vdso (deleted)' '/memfd:kernel-types (deleted)'
check "P6: the opener holds just its files" holds porthole-opener 1 /proc
check "P6: the parser holds just its files" holds porthole-parser 1
check "P6: the attacher holds just its files" holds porthole-attach 1
check "P6: the fetcher holds just its files" holds porthole-fetch 1

check "the monitor may change users, end children and pass rights on" \
    rights portholed-mon 0 00000100000801e4 00000000000001e0
check "the agent may use BPF and perf events, and lock memory on demand" \
    rights portholed 65520 000000c000004000 000000c000000000
check "the opener may look at processes and read files" \
    rights porthole-opener 65521 0000010000080004 0000010000080004
check "the parser may nothing" rights porthole-parser 65522 0000000000000000 0000000000000000
check "the attacher may become other users and look at processes" \
    rights porthole-attach 65523 00000000000800c0 00000000000800c0
check "the fetcher has no capability" rights porthole-fetch 65524 0000000000000000 0000000000000000
if setpriv --reuid 65522 --clear-groups unshare -U true 2>/dev/null; then
    check "the parser sees an empty root in namespaces of its own" own_namespaces
else
    skip "the parser sees an empty root in namespaces of its own" "no user namespaces here"
fi

# ---- who may touch them ----

# What a process with the rights of a container on the host's pids can do to one of ours.
cat >"$T/attack.py" <<'PY'
import ctypes, os, sys
pid, done = int(sys.argv[1]), []
libc = ctypes.CDLL(None, use_errno=True)
for name, request in (("PTRACE_ATTACH", 16), ("PTRACE_SEIZE", 0x4206)):
    if libc.ptrace(request, pid, 0, 0) == 0:
        done.append(name)
for name, act in (
    ("mem", lambda: open(f"/proc/{pid}/mem", "rb")),
    ("maps", lambda: open(f"/proc/{pid}/maps").read()),
    ("environ", lambda: open(f"/proc/{pid}/environ").read()),
    ("fd", lambda: os.readlink(f"/proc/{pid}/fd/0")),
    ("cwd", lambda: os.readlink(f"/proc/{pid}/cwd")),
    ("exe", lambda: os.readlink(f"/proc/{pid}/exe")),
    ("root", lambda: os.listdir(f"/proc/{pid}/root/")),
):
    try:
        act()
        done.append(name)
    except OSError:
        pass
print(" ".join(done))
sys.exit(1 if done else 0)
PY
chmod 755 "$T"

as_container() {
    setpriv --bounding-set "-all,+${DOCKER//,/,+}" --inh-caps=-all "$PYTHON" "$T/attack.py" "$1"
}

as_itself() {
    setpriv --reuid "$(field "$1" Uid)" --regid "$(field "$1" Gid)" --clear-groups \
        --bounding-set=-all --inh-caps=-all "$PYTHON" "$T/attack.py" "$1"
}

setpriv --bounding-set=-all --inh-caps=-all sleep 300 &
victim_pid=$!
if as_container $victim_pid >/dev/null; then
    not_ok "P2: the attack works on a helper of uid 0 without a guard" "it does not, so it shows nothing"
else
    ok "P2: the attack works on a helper of uid 0 without a guard"
fi
stop_process $victim_pid
for name in portholed-mon portholed porthole-opener porthole-parser porthole-attach porthole-fetch; do
    pid=$(named $name)
    check "P2: a container on the host's pids cannot touch $name" as_container "$pid"
    [ "$name" = portholed-mon ] ||
        check "P2: neither can a process with the uid of $name" as_itself "$pid"
done

# ---- killed and stopped ----

replaced() {
    local now
    now=$(named "$1") && [ "$now" != "$2" ]
}

zombies() {
    local pid
    for pid in $(family "$AGENT_PID"); do
        gone "$pid" && [ -e "/proc/$pid" ] && echo "$pid $(cat "/proc/$pid/comm")"
    done
}

# hit SIGNAL COMM: 0 when it was replaced in time, and the agent answered all the while.
hit() {
    local pid
    pid=$(named "$2") || { echo "no $2" && return 1; }
    kill "-$1" "$pid"
    "$B/porthole" status >"$T/out" 2>&1 || { echo "no answer: $(head -n 1 "$T/out")" && return 1; }
    [ "$1" = KILL ] || "$B/porthole" list >"$T/out" 2>&1
    wait_for 10 replaced "$2" "$pid" || { echo "$2 is not replaced" && return 1; }
}

for name in porthole-opener porthole-parser porthole-attach porthole-fetch; do
    check "A2: a killed $name is replaced" hit KILL $name
done
check "A2: a stopped opener is noticed and replaced" hit STOP porthole-opener
exits_with 0 "A2: the agent lists containers as before" "$B/porthole" list
lost=0
for ((i = 0; i < 12; i++)); do
    name=porthole-opener
    [ $((RANDOM % 2)) = 0 ] || name=porthole-parser
    hit KILL $name >"$T/hit" || { cat "$T/hit" && lost=$((lost + 1)); }
done
check "A2: the agent answers while they are killed at random" [ $lost = 0 ]
wait_for 5 eval '[ -z "$(zombies)" ]'
check "A2: no zombie is left" [ -z "$(zombies)" ]

# Until the budget is used up: then it waits, and the agent still answers.
for ((i = 0; i < 25; i++)); do
    pid=$(named porthole-opener) || break
    kill -KILL "$pid"
    wait_for 1 replaced porthole-opener "$pid" || break
done
check "A2: an opener that dies again and again is started within a budget" [ $i -lt 15 ]
exits_with 0 "A2: the agent answers without an opener" "$B/porthole" status
wait_for 10 named porthole-opener
check "A2: and it comes back in time" named porthole-opener
