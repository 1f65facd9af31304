#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# Stacks of programs without frame pointers reach the thread's start, and every frame on the way is
# the right one.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../programs.sh"
need_bpf
need_commands runc jq nsenter
[ "$(uname -m)" = x86_64 ] || skip_all "stacks are walked by tables on x86-64 only"
start_agent
"$B/porthole" doctor 2>/dev/null | grep -qi 'bpf_loop.*missing' && skip_all "this kernel has no bpf_loop()"

# profiled WHAT…: leaves $T/w.json and $T/w.folded.
profiled() {
    program_up "$@" || return 1
    wait_for 30 busy || { WHY="it does not use the CPU" && return 1; }
    [ -z "${DURING-}" ] || { (wait_for 20 agent_captures && $DURING) & }
    sampled 1500 4 "$T/w.json" "$P" -F 997 2>"$T/err" || { WHY=$(tail -n 1 "$T/err") && return 1; }
    folded "$T/w.json" >"$T/w.folded"
}

# Anything of the container has run for half a second.
busy() {
    local pid sum=0
    for pid in $(family "$(runc_pid "$P")"); do
        sum=$((sum + $(ticks "$pid")))
    done
    [ "$sum" -ge 50 ]
}

# whole PERCENT: so many samples reach the start, nearly all by tables. Those that came before the
# tables did are not judged here, but by tables_are_kept.
whole() {
    jq -s -e --argjson p "$1" 'map(select(.type == "quality"))[0]
        | (.shown - (.stacks.broken_by["no-table-yet"] // 0)) as $n
        | $n >= 100 and .stacks.whole * 100 >= $n * $p and .stacks.by_tables * 100 >= $n * 90' \
        "$T/w.json" >/dev/null || { quality "$T/w.json" '[.shown, .stacks] | tostring' && return 1; }
}

# again PERCENT: another capture of the same program, whose tables are made, has them nearly from its start on,
# and whole stacks by them.
again() {
    sampled 300 2 "$T/again.json" "$P" -F 997 2>"$T/err" || { tail -n 1 "$T/err" && return 1; }
    jq -s -e --argjson p "$1" 'map(select(.type == "quality"))[0] | (.stacks.broken_by["no-table-yet"] // 0) as $early
        | .shown >= 100 and $early * 10 <= .shown and .stacks.whole * 100 >= (.shown - $early) * $p' \
        "$T/again.json" >/dev/null || { quality "$T/again.json" '[.shown, .stacks] | tostring' && return 1; }
}

# A machine may stand still for a moment; not each time.
tables_are_kept() {
    again "$1" || again "$1" || again "$1"
}

# A frame of the user's (the first field is the comm) stands right before one of the kernel's.
user_calls_kernel() {
    awk -F';' '{ for (i = 3; i <= NF; i++) if ($i ~ /_\[k\]( |$)/ && $(i - 1) !~ /_\[k\]$/) found = 1 }
        END { exit !found }' "$T/w.folded"
}

# whole_of PERCENT TITLE WHAT…
whole_of() {
    local percent=$1 title=$2
    shift 2
    if profiled "$@"; then
        check "$title: at least $percent % of its stacks are whole" whole "$percent"
        check "$title: a second capture has its tables from the start on" tables_are_kept "$percent"
        check "$title: nothing is lost in silence" conserved "$T/w.json"
        if grep -q '_\[k\]' "$T/w.folded"; then
            check "$title: samples in the kernel have its frames and the user's" user_calls_kernel
        else
            skip "$title: samples in the kernel have its frames and the user's" "it made no system call"
        fi
    else
        skip "$title: at least $percent % of its stacks are whole" "$WHY"
    fi
    program_down
}

# ---- known call trees ----

# down A B C: as a pattern, each caller with what it calls, however far the sample found it.
down() {
    local frame pattern='' close=''
    for frame in "$@"; do
        pattern+="(;$frame"
        close+=')?'
    done
    echo "$pattern$close"
}

steps() {
    local n
    for ((n = $1; n >= 0; n--)); do
        echo "omit::step<$n>"
    done
}

# Below run_thread or main, what stands in each thread's stacks: name, innermost function, pattern.
# Behind a call into libc are its own functions; so is the way back from a signal.
trees() {
    local libc='[^;:]+' handler
    # shellcheck disable=SC2046 # lists of words
    {
        handler=$(down omit::on_signal omit::leaf_handler)
        handler="$(down $(steps 3) omit::leaf_interrupted)(;$libc$handler)?"
        echo "tree omit::leaf_tree $(down omit::tree $(steps 12) omit::leaf_tree)"
        echo "realigned omit::leaf_aligned $(down omit::realigned $(steps 2) omit::forced omit::grown \
            omit::aligned omit::leaf_aligned)"
        echo "handler omit::leaf_handler (;omit::handler$handler)?"
        echo "altstack omit::leaf_handler (;omit::altstack$handler)?"
        echo "callback omit::leaf_compare $(down omit::callback $(steps 2) omit::sorted "$libc" \
            "$libc(;$libc)*" omit::compare omit::leaf_compare)"
        echo "plt omit::leaf_plt $(down omit::plt $(steps 2) omit::leaf_plt "$libc(;$libc)*")"
        echo "clock omit::leaf_clock $(down omit::clock $(steps 2) omit::leaf_clock "$libc(;$libc)*")"
        echo "kernel omit::leaf_read $(down omit::kernel $(steps 2) omit::leaf_read "$libc(;$libc)*")"
        echo "deep omit::leaf_deep $(down omit::deep 'omit::fall(;omit::fall){0,109}' omit::leaf_deep)"
        echo "last omit::leaf_last $(down omit::last omit::last_call omit::leaf_last)"
        echo "plugin omit::leaf_plugin (;omit::plugin($(down library_enter 'library::step<3>' \
            'library::step<2>' 'library::step<1>' 'library::step<0>' omit::leaf_plugin)|(;$libc)*))?"
    }
}

pattern_of() {
    trees | sed -n "s/^$1 [^ ]* //p"
}

# always THREAD LEAF START PATTERN: of the thread's stacks that reach the start, all look like that, and
# at least some of them end in LEAF. Hardly any end at the start itself, where the thread just passes.
always() {
    grep -E "^$1;" "$T/w.folded" | grep -E "^$1$3(;| )" >"$T/thread" || { echo "no whole stack" && return 1; }
    grep -qE ";$2(;| )" "$T/thread" || { echo "no stack has $2" && return 1; }
    between 0 "$(awk -v start="^$1$3 " '{ all += $NF } $0 ~ start { some += $NF } END { print some * 100 / all }' \
        "$T/thread")" 2 && ! grep -vE "^$1$3($4)?(;[^;]*_\[k\])* [0-9]+$" "$T/thread" | cut -c 1-250 | grep .
}

# known TITLE THREAD-START MAIN-START COMMAND SIGNAL-RETURN: the call trees of all threads.
known() {
    local thread leaf pattern
    while read -r thread leaf pattern; do
        [ "$thread" != plugin ] || continue # not everywhere
        check "$1: $thread: the callers are these and no others" always "$thread" "$leaf" "$2" "$pattern"
    done < <(trees)
    # shellcheck disable=SC2046 # a list of words
    check "$1: main: the callers are these and no others" always "$4" omit::leaf_main "$3" \
        "$(down $(steps 12) omit::leaf_main)"
    check "$1: between a handler and what it interrupted stands one frame" \
        grep -qE ";omit::leaf_interrupted;$5;omit::on_signal;omit::leaf_handler " "$T/w.folded"
    check "$1: deep recursion comes in full, 110 frames" \
        grep -qE '^deep;[^:]*omit::run_thread;omit::deep(;omit::fall){110};omit::leaf_deep ' "$T/w.folded"
    check "$1: a callback is seen through libc, at more than one depth" \
        [ "$(grep -oE '^callback;.*;omit::leaf_compare' "$T/w.folded" | sort -u | wc -l)" -ge 2 ]
    check "$1: a sample in the kernel has the user's frames below" \
        grep -qE '^kernel;.*;omit::leaf_read(;[^;]+)+;[^;]+_\[k\];' "$T/w.folded"
}

load_library() {
    : >"$T/$P/rootfs/tmp/load"
}

# libc's names depend on whether its debug information is installed.
LIBC='[^;:]+'
if DURING=load_library profiled omit; then
    # Until the library's table is there, its thread's stacks are broken.
    check "C++, glibc: at least 95 % of its stacks are whole while a library is loaded" whole 95
    check "C++, glibc: a second capture has its tables from the start on, and 99 % whole stacks" tables_are_kept 99
    known "C++, glibc" ";$LIBC;$LIBC;omit::run_thread" ";_start;$LIBC(;$LIBC)?;main" omit "$LIBC"
    check "a library that is loaded during the capture is walked through" always plugin omit::leaf_plugin \
        ";$LIBC;$LIBC;omit::run_thread" "$(pattern_of plugin)"
else
    not_ok "C++, glibc: at least 95 % of its stacks are whole" "$WHY"
fi
program_down

if profiled omit-static-pie; then
    cp "$T/w.folded" "$T/static.folded"
    check "C++, static PIE: at least 99 % of its stacks are whole" whole 99
    known "C++, static PIE" ";_*clone3?;start_thread;omit::run_thread" \
        ";_start;__libc_start_main(_impl)?;__libc_start_call_main;main" omit-static-pie __restore_rt
else
    not_ok "C++, static PIE: at least 99 % of its stacks are whole" "$WHY"
fi
program_down

if [ ! -x "$W/omit-musl" ]; then
    skip "C++, musl: at least 99 % of its stacks are whole" "no musl-gcc"
elif profiled omit-musl; then
    check "C++, musl: at least 99 % of its stacks are whole" whole 99
    known "C++, musl" ";__clone;start;omit::run_thread" ";_start;libc_start_main_stage2;main" omit-musl __restore_rt
else
    not_ok "C++, musl: at least 99 % of its stacks are whole" "$WHY"
fi
program_down

# Every thread's stacks lead from its start by way of its own work into libc, and out again to the
# callback.
libc_calls() {
    local thread
    for thread in text sort files locks; do
        grep -qE "^$thread;__clone;start;run_thread;${thread}_work;[a-z_]+" "$T/w.folded" ||
            { echo "no $thread" && return 1; }
    done
    grep -qE '^memory;_start;libc_start_main_stage2;main;run_thread;memory_work;[a-z_]+' "$T/w.folded" ||
        { echo "no memory" && return 1; }
    grep -qE '^sort;.*;sort_work;[^ ]*;compare ' "$T/w.folded" || { echo "no callback" && return 1; }
}

# musl is built without unwind tables: its rules come from its code.
if [ ! -x "$W/libcalls-musl" ]; then
    skip "musl's functions: at least 99 % of their stacks are whole" "no musl-gcc"
elif profiled libcalls-musl; then
    check "musl's functions: at least 99 % of their stacks are whole" whole 99
    check "musl's functions: a second capture has their tables from the start on" tables_are_kept 99
    check "musl's functions: their callers and their callbacks are there" libc_calls
else
    not_ok "musl's functions: at least 99 % of their stacks are whole" "$WHY"
fi
program_down

# ---- the same as gdb says ----

# The user's part of each stack down to its innermost leaf; names as gdb has them.
ours_as_gdb() {
    sed -nE 's/ [0-9]+$//; s/;[^;]*_\[k\].*$//; s/^[^;]*;(.*omit::leaf_[a-z]+)(;.*)?$/\1/p' "$T/static.folded" |
        grep -E '^(_start|_*clone3?);' | canonical
}

# libc's functions have several names each.
canonical() {
    sed -E 's/(^|;)_+/\1/g; s/_impl(;|$)/\1/g; s/\.part[.0-9]*(;|$)/\1/g' | sort -u
}

agree() {
    ours_as_gdb >"$T/ours"
    canonical <"$T/gdb.folded" >"$T/gdb.set"
    # A signal may have come at any instruction: those that gdb met have to be among ours.
    grep -v ';omit::leaf_handler$' "$T/ours" | diff "$T/gdb.set" - >"$T/diff.all"
    grep ';omit::leaf_handler$' "$T/gdb.set" >"$T/gdb.handler"
    comm -23 "$T/gdb.handler" "$T/ours" | grep . && return 1
    ! grep -vE '^[0-9,acd]+$|^---$|;omit::leaf_handler$' "$T/diff.all" | cut -c 1-250 | grep .
}

if command -v gdb >/dev/null && gdb -batch -ex 'python print(1)' >/dev/null 2>&1 && [ -s "$T/static.folded" ]; then
    GDB_OUT=$T/gdb.folded timeout 90 gdb -batch -nx -x "$ROOT/tests/e2e/backtraces.py" "$W/omit-static-pie" \
        >"$T/gdb.log" 2>&1
    check "gdb has seen 500 stacks" [ "$(wc -l <"$T/gdb.folded")" -ge 500 ]
    check "gdb's backtraces and ours have the same functions" agree
else
    skip "gdb's backtraces and ours have the same functions" "no gdb with python"
fi

# ---- what people run ----
whole_of 99 "C++, stripped" omit-stripped
if [ -x "$W/rust-omit" ]; then
    whole_of 99 Rust rust-omit
else
    skip "Rust: at least 99 % of its stacks are whole" "no rustc"
fi
whole_of 99 redis redis
whole_of 99 bash bash
whole_of 99 python python
whole_of 95 node node
