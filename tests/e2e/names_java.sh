#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# JVMs in real containers: with --java and frame pointers their methods are named and their stacks
# whole; without, the report says what is missing; without --java nobody touches them.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/runc.sh"
. "$ROOT/tests/programs.sh"
need_bpf
need_commands runc jq javac

javac -d "$T" "$ROOT/tests/workloads/Shares.java" || skip_all "javac does not work here"
echo 'java = yes' >"$T/conf"
start_agent --config "$T/conf"

# jvm OPTIONS…: sets P and PID; the JVM has compiled what it runs.
jvm() {
    program_up java "$T/Shares.class" "-XX:CompileCommand=dontinline,Shares::*" "$@" ||
        skip_all "$WHY"
    PID=$(runc_pid "$P")
    let_run "$PID"
    let_run "$PID"
}

remarks() {
    quality "$1" '.remarks[]'
}
remark() {
    remarks "$1" | grep -qE "$2" || { remarks "$1" | tr '\n' '|' && return 1; }
}
no_remark() {
    ! remarks "$1" | grep -m 1 -E "$2"
}

# fact FILE JQ-EXPRESSION: it holds for the quality report.
fact() {
    jq -s -e "map(select(.type == \"quality\"))[0] | $2" "$1" >/dev/null || { quality "$1" '.java' && return 1; }
}

# Percent of the samples in the workload that are whole, with each frame named but libc's: its symbols
# are a package that need not be there.
perfect() {
    awk '/;void Shares\.turn\(int\)_\[j\];/ || /;\[unknown\]_\[j\]/ {
            n += $NF
            whole = /^[^;]*;((clone3;)?start_thread|\[libc\.so\.6\];\[libc\.so\.6\]);/
            gsub(/\[libc\.so\.6\]/, "libc")
            if (whole && !/;\[/) good += $NF
        }
        END { printf "%.2f\n", n ? 100 * good / n : 0 }' "$1"
}

# Nothing but what the JVM itself makes there.
untouched() {
    if find "$T/$P/rootfs/tmp" -mindepth 1 ! -path '*/hsperfdata_*' | grep .; then
        return 1
    fi
    ! grep -m 1 'Full thread dump' "$T/$P/log"
}

no_dump() {
    ! grep -m 1 'Full thread dump' "$T/$P/log"
}

# ---- with frame pointers ----
jvm -XX:+PreserveFramePointer
porthole cpu "$P" -d 2 -q -o "$T/plain.json"
check "without --java nothing is done to a JVM" untouched
check "without --java the report says what would name compiled code" \
    remark "$T/plain.json" '^java \(pid 1\): its compiled code has no names: --java'
check "with frame pointers it does not say that they are missing" \
    no_remark "$T/plain.json" 'PreserveFramePointer'
check "without --java it has no account of JVMs" fact "$T/plain.json" 'has("java") | not'

porthole cpu "$P" -d 4 -F 299 -o "$T/java.json" --java 2>"$T/err"
folded "$T/java.json" >"$T/java.folded"
check "with --java methods have the shares of time that they are known to have" \
    share_is "$T/java.folded" 'void Shares.heavy(int)' 75 7
check "and the other one has the rest" share_is "$T/java.folded" 'void Shares.light(int)' 25 7
# Where the machine stands still before the tables are there, many samples come too early; not each time.
nearly_perfect() {
    local more
    between 95 "$(perfect "$T/java.folded")" 100 && return
    for _ in 1 2; do
        porthole cpu "$P" -d 4 -F 299 -q -o "$T/more.json" --java || return 1
        folded "$T/more.json" >"$T/more.folded"
        more=$(perfect "$T/more.folded")
        between 95 "$more" 100 && return
    done
    echo "$more %" && return 1
}
check "at least 95 % of compiled code's stacks are whole and named throughout" nearly_perfect
check "the report says whom it asked, and how many methods there were" \
    grep -qE "^java: asked pid 1 \(host $PID\) for its perf map: [0-9,]+ methods$" "$T/err"
check "and so does the saved stream" fact "$T/java.json" \
    ".java | length == 1 and .[0].done and .[0].signalled and .[0].methods > 100 and .[0].pid == 1
        and .[0].host_pid == $PID and .[0].times == 2"
check "the JVM took no request for one of a thread dump" no_dump
check "the file that asked for its socket is gone" [ ! -e "$T/$P/rootfs/tmp/.attach_pid1" ]
porthole cpu "$P" -d 1 -q -o "$T/again.json" --java
check "a JVM whose socket is open gets no signal" fact "$T/again.json" \
    '.java[0].done and (.java[0].signalled | not)'
program_down

# ---- without ----
jvm
porthole cpu "$P" -d 3 -F 299 -q -o "$T/bare.json" --java
check "without frame pointers the report says that stacks end at compiled code" remark \
    "$T/bare.json" '^java \(pid 1\): started without -XX:\+PreserveFramePointer: stacks end at compiled code'
folded "$T/bare.json" >"$T/bare.folded"
check "and the methods that ran have their names all the same" \
    share_is "$T/bare.folded" 'long Shares.grind(int)' 97 4
program_down

# ---- of another user, whose number means nothing to the host ----
program_needs java setpriv
JVM_USER=12345
jvm -XX:+PreserveFramePointer
porthole cpu "$P" -d 3 -F 299 -q -o "$T/user.json" --java
check "a JVM of another user is asked as that user" fact "$T/user.json" '.java[0].done'
check "and its map is its own" [ "$(stat -c %u "$T/$P/rootfs/tmp/perf-1.map")" = 12345 ]
JVM_USER=
program_down

# ---- a JVM that may not be asked ----
jvm -XX:+PreserveFramePointer -XX:+DisableAttachMechanism
porthole cpu "$P" -d 1 -q -o "$T/closed.json" --java
check "a JVM with -XX:+DisableAttachMechanism is left alone, and the report says so" \
    remark "$T/closed.json" 'was not asked for its perf map: it runs with -XX:\+DisableAttachMechanism'
check "and nothing is done to it" untouched
stop_agent

# ---- not allowed ----
start_agent
exits_with 5 "an agent that may not ask JVMs refuses --java" "$B/porthole" cpu "$P" -d 1 --java
check "and names the setting" grep -q "java = yes" "$T/err"
attachers() {
    local pid
    for pid in $(family "$AGENT_PID"); do
        cat "/proc/$pid/comm"
    done | grep attach
}
check "and has no attacher" eval '! attachers'
program_down
