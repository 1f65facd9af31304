#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 180
#
# Names that do not stand in a file's own symbol table: MiniDebugInfo, compressed sections, stubs of
# the PLT, functions that are chosen when the program starts, aliases, the dynamic linker.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq objcopy nm gcc g++ xz

A=pht$$-a
start_agent
on_exit "runc_stop $A"
victim_root "$A"
BIN=$T/$A/rootfs/bin

# captured COMMAND…: runs it in a fresh container and leaves $T/n.json and $T/n.folded. OPTIONS: words.
captured() {
    rm -f "$T/n.json" "$T/n.folded"
    runc_start "$A" "$T/$A" "$@" || return 1
    # shellcheck disable=SC2086 # words
    sampled 150 1 "$T/n.json" "$A" ${OPTIONS:--F 499} && folded "$T/n.json" >"$T/n.folded"
    runc_stop "$A"
}

by_source() {
    [ "$(quality "$T/n.json" ".frames.by_source[\"$1\"]")" -gt 0 ]
}

has() {
    grep -qE "$1" "$T/n.folded" || { head -n 3 "$T/n.folded" && return 1; }
}

# ---- MiniDebugInfo, made as Fedora's packages do ----

# minidebug FULL TO: the symbols that are not exported, without anything else.
minidebug() {
    nm -D "$1" --format=posix --defined-only 2>/dev/null | awk '{ print $1 }' | sort >"$T/exported"
    nm "$1" --format=posix --defined-only | awk '$2 ~ /[TtD]/ { print $1 }' | sort >"$T/functions"
    comm -13 "$T/exported" "$T/functions" >"$T/keep"
    objcopy --only-keep-debug "$1" "$T/only.debug"
    objcopy -S --remove-section .comment --keep-symbols="$T/keep" "$T/only.debug" "$2"
}

minidebug "$W/spin" "$T/mini"
xz -k -f "$T/mini"
objcopy -S --add-section .gnu_debugdata="$T/mini.xz" "$W/spin" "$BIN/app"
captured /bin/app
check "functions of a stripped program are named from its MiniDebugInfo" share_is "$T/n.folded" spin_parse 50 15
check "the quality report says that it served" by_source minidebug
check "its frames are not counted as those of a symbol table" \
    [ "$(quality "$T/n.json" '.frames.by_source.symtab')" = 0 ]

{ cat "$T/mini" && head -c 200M /dev/zero; } | xz -0 >"$T/bomb.xz"
objcopy -S --add-section .gnu_debugdata="$T/bomb.xz" "$W/spin" "$BIN/app"
captured /bin/app
check "MiniDebugInfo that unpacks to more than its bound gives no names" lacks "$T/n.folded" ';spin_'
check "the frames say why they have none" jq -es \
    'map(select(.type == "quality"))[0].unnamed | any(.file == "/bin/app" and .reason == "stripped")' "$T/n.json"
check "the parser survives it" jq -es '.[0].children.parser | .crashes == 0 and .restarts == 0' \
    <("$B/porthole" status --json)

# ---- .debug_frame in every form ----

# Without .eh_frame of its own; what leads there through libc has some.
# whole PERCENT: so many stacks reach the start.
# Samples from before the tables were there are walked by frame pointers, and count as that.
whole() {
    jq -s -e --argjson p "$1" 'map(select(.type == "quality"))[0]
        | (.shown - (.stacks.broken_by["no-table-yet"] // 0)) as $n
        | $n >= 50 and .stacks.whole * 100 >= $n * $p' "$T/n.json" >/dev/null ||
        { quality "$T/n.json" '[.shown, .stacks] | tostring' && return 1; }
}

if [ "$(uname -m)" = x86_64 ]; then
    gcc -std=gnu11 -D_GNU_SOURCE -O1 -g -fomit-frame-pointer -fno-asynchronous-unwind-tables \
        -fno-optimize-sibling-calls -static -o "$T/frames" "$ROOT/tests/workloads/spin.c" || exit 1
    for form in none zlib zlib-gnu zstd; do
        said="stacks are whole by .debug_frame"
        [ $form = none ] || said+=" under $form"
        objcopy --compress-debug-sections=$form "$T/frames" "$BIN/app" 2>"$T/err" ||
            { skip "$said" "$(head -n 1 "$T/err")" && continue; }
        captured /bin/app
        check "$said" whole 95
    done
    objcopy --remove-section .debug_frame "$T/frames" "$BIN/app"
    captured /bin/app
    check "without .debug_frame rules made from the code lead to the start as well" whole 90
fi

# ---- stubs, resolvers, aliases ----
cat >"$T/far.cc" <<'CXX'
namespace far { __attribute__((noinline)) unsigned away(unsigned n) { return n + 1; } }
extern "C" unsigned callee(unsigned n) { return far::away(n); }
CXX
cat >"$T/near.cc" <<'CXX'
#include <sys/mman.h>
namespace far { unsigned away(unsigned); }
extern "C" unsigned callee(unsigned);
extern "C" unsigned chosen_one(unsigned n) { return n * 3; }
typedef unsigned fn(unsigned);
extern "C" fn *choose(void) { return chosen_one; }
extern "C" unsigned work(unsigned) __attribute__((ifunc("choose")));
static volatile unsigned sum;
extern "C" char _init[];
// Has the next stub fault, on a page of its own: a single jump is hardly ever sampled by the clock.
static inline unsigned cold(unsigned n)
{
    madvise((void *)((unsigned long)_init & ~4095ul), 4096, MADV_DONTNEED);
    return n;
}
__attribute__((aligned(4096)))
int main() { for (unsigned i = 0;; i++) sum = work(cold(far::away(cold(callee(cold(i)))))); }
CXX
g++ -O1 -fPIC -shared -o "$T/libfar.so" "$T/far.cc" || exit 1

# near FLAGS…: the program into the container, with the libraries it needs.
near() {
    g++ -O1 "$@" -o "$BIN/near" "$T/near.cc" -L"$T" -lfar || exit 1
    mkdir -p "$T/$A/rootfs/usr/lib"
    cp "$T/libfar.so" "$T/$A/rootfs/usr/lib/"
    LD_LIBRARY_PATH=$T ldd "$BIN/near" | grep -oE '/[^ ]+' | grep -v "^$T/" | while read -r library; do
        mkdir -p "$T/$A/rootfs$(dirname "$library")"
        cp -L "$library" "$T/$A/rootfs$library"
    done
}

if [ "$(uname -m)" = x86_64 ]; then
    for flags in "-Wl,-z,lazy" "-Wl,-z,now" "-Wl,-z,lazy,-z,ibtplt -fcf-protection" "-static-libstdc++ -s"; do
        # shellcheck disable=SC2086 # a list of words
        near $flags
        OPTIONS="-e page-faults -c 97" captured /bin/near
        check "stubs bear the name of what they call ($flags)" has ';callee@plt '
        check "stubs in C++ are demangled ($flags)" has ';far::away@plt '
        check "the quality report counts the stubs ($flags)" by_source plt
        check "nothing of the program's own is left without a name but what stripping took ($flags)" \
            lacks "$T/n.folded" '\[unknown\]'
    done
    near -Wl,-z,lazy
    captured /bin/near
    check "a function that was chosen at the start has its own name" has ';chosen_one '
    check "what chose it does not lend it its name" lacks "$T/n.folded" ';work '
    OPTIONS="-e page-faults -c 97" captured /bin/near
    check "the way to it is the chosen function's stub" has ';work@plt '
fi

cat >"$T/alias.c" <<'C'
__attribute__((noinline)) unsigned __burn_internal(unsigned n)
{
    volatile unsigned x = n;
    for (unsigned i = 0; i < 100000; i++)
        x = x * 3 + 1;
    return x;
}
unsigned __burn(unsigned) __attribute__((alias("__burn_internal")));
unsigned burn_all(unsigned) __attribute__((alias("__burn_internal")));
unsigned burn(unsigned) __attribute__((weak, alias("__burn_internal")));
unsigned burnt(unsigned) __attribute__((weak, alias("__burn_internal")));
static volatile unsigned sum;
int main(void) { for (unsigned i = 0;; i++) sum += __burn_internal(i); }
C
gcc -O1 -static -o "$BIN/alias" "$T/alias.c" || exit 1
captured /bin/alias
check "of aliases the exported, plain and strong one is shown" share_is "$T/n.folded" burn_all 100 10
check "and no other" lacks "$T/n.folded" ';(__burn|__burn_internal|burn|burnt)[; ]'

# Debian's libc has .dynsym alone: write() is __write() too there.
cat >"$T/libc.c" <<'C'
#include <fcntl.h>
#include <unistd.h>
int main(void) { int fd = open("/dev/null", O_WRONLY); for (;;) write(fd, "x", 1); }
C
gcc -O1 -o "$BIN/libc" "$T/libc.c" 2>/dev/null || exit 1
ldd "$BIN/libc" | grep -oE '/[^ ]+' | while read -r library; do
    mkdir -p "$T/$A/rootfs$(dirname "$library")"
    cp -L "$library" "$T/$A/rootfs$library"
done
captured /bin/libc
check "functions of libc have the name that programs call" has ';write;'
check "and not the internal one" lacks "$T/n.folded" ';(__write|__GI___write|__libc_write)[; ]'

# ---- the dynamic linker, in a container that starts programs all the time ----
root_add "$T/$A/rootfs" /usr/bin/ls
captured /bin/sh -c 'while :; do /usr/bin/ls /proc/self >/dev/null; done'
check "the dynamic linker's frames are named or given with its file" has ';(_dl_[a-z_]+|\[ld-linux[^;]*\])'
check "and their file is in the stream" jq -es \
    'any(.type == "frame" and ((.file // "") | contains("/ld-linux")))' "$T/n.json"
check "nearly every sample of short-lived programs has its mappings" jq -es 'map(select(.type == "quality"))[0] as $q
    | ([$q.unnamed[] | select(.reason == "no-mapping" or .reason == "process-gone") | .frames] | add // 0)
        * 100 <= $q.frames.total' "$T/n.json"

# ---- BPF programs of others ----

# Another tool's program on every call of a function of the container: 60 look-ups in a map.
tool_starts() {
    echo "uprobe:$BIN/app:spin_burn { unroll (60) { @a[pid, tid] = count(); } }" >"$T/tool.bt"
    bpftrace "$T/tool.bt" >"$T/tool.log" 2>&1 &
    TOOL=$!
    on_exit "stop_process $TOOL"
    wait_for 30 grep -qE 'bpf_prog_[0-9a-f]{16}_spin_burn' /proc/kallsyms
}

# Addresses are used again: on a busy host soon.
named_or_changed() {
    has ';bpf_prog_[0-9a-f]{16}_spin_burn_\[k\]' || jq -es \
        'map(select(.type == "quality"))[0].unnamed | any(.reason == "mapping-changed")' "$T/n.json"
}

if command -v bpftrace >/dev/null; then
    cp "$W/spin" "$BIN/app"
    runc_start "$A" "$T/$A" /bin/app
    if tool_starts; then
        sampled 150 1 "$T/n.json" "$A" -F 997 && folded "$T/n.json" >"$T/n.folded"
        check "BPF programs in the container's way are named" has ';bpf_prog_[0-9a-f]{16}_spin_burn_\[k\]'
        check "they say that they are BPF's" jq -es \
            'any(.type == "frame" and .file == "[bpf]" and .kind == "kernel" and .named)' "$T/n.json"
        start_capture "$T/n.json" "$A" -d 20 -F 997
        let_run "$(runc_pid "$A")"
        stop_process "$TOOL"
        kill -INT "$CAPTURE"
        end_capture
        folded "$T/n.json" >"$T/n.folded"
        check "one that ended before the capture did is named, or another took its place" named_or_changed
        check "what was there is known" jq -es \
            'map(select(.type == "quality"))[0].unnamed | all(.reason != "kernel")' "$T/n.json"
        "$B/porthole" cpu "$A" -d 1 -F 997 -f folded >"$T/n.folded"
        check "our own programs do not pass for anybody else's" \
            lacks "$T/n.folded" ';bpf_prog_[0-9a-f]{16}_on_(perf_event|sched_process_(fork|exec))_'
        check "afterwards its name is gone" lacks "$T/n.folded" ';bpf_prog_[0-9a-f]{16}_spin_burn_'
    else
        skip "BPF programs in the container's way are named" "bpftrace does not run here: $(tail -n 1 "$T/tool.log")"
    fi
    runc_stop "$A"
else
    skip "BPF programs in the container's way are named" "no bpftrace"
fi
