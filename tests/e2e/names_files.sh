#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Names from files: replaced and deleted programs, separate debug files, vdso, kernel, mangled names.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq objcopy gcc

A=pht$$-a
start_agent

# build_app BUILD-ID|none: a stripped program in the container, its debug information in $T/app.debug.
build_app() {
    local id=0x$1
    [ "$1" = none ] && id=none
    gcc -std=gnu11 -D_GNU_SOURCE -O1 -g -fno-omit-frame-pointer -fno-optimize-sibling-calls -static \
        -Wl,--build-id="$id" -o "$T/app.full" "$ROOT/tests/workloads/spin.c" || exit 1
    objcopy --only-keep-debug "$T/app.full" "$T/app.debug"
    objcopy --strip-all "$T/app.full" "$T/$A/rootfs/bin/app"
}

new_id() {
    od -An -N20 -tx1 /dev/urandom | tr -d ' \n'
}

# captured COMMAND…: runs it in a fresh container and leaves $T/n.json and $T/n.folded.
captured() {
    rm -f "$T/n.json" "$T/n.folded"
    runc_start "$A" "$T/$A" "$@" || return 1
    sampled 120 1 "$T/n.json" "$A" -F 499 ${OPTION:+"$OPTION"} && folded "$T/n.json" >"$T/n.folded"
    runc_stop "$A"
}

by_source() {
    [ "$(quality "$T/n.json" ".frames.by_source[\"$1\"]")" -gt 0 ]
}

on_exit "runc_stop $A"
victim_root "$A"

# ---- stripped, and its debug file here and there ----
id=$(new_id)
build_app "$id"
captured /bin/app
check "a stripped program's frames carry its name" grep -q '\[app\]' "$T/n.folded"
check "a stripped program's frames are never guessed" lacks "$T/n.folded" ';spin_'
check "the quality report names the file, its build ID, the reason and a remedy" jq -es --arg id "$id" \
    'map(select(.type == "quality"))[0].unnamed | any(.build_id == $id and .file == "/bin/app"
     and .reason == "stripped" and (.remedy | length) > 0)' "$T/n.json"

id=$(new_id)
build_app "$id"
where=$T/$A/rootfs/usr/lib/debug/.build-id/${id:0:2}
mkdir -p "$where" && cp "$T/app.debug" "$where/${id:2}.debug"
captured /bin/app
check "a debug file in the container is found by build ID" share_is "$T/n.folded" spin_parse 50 15
check "the quality report says that it served" by_source debug-file

# Without a build ID the debuglink's checksum decides.
build_app none
objcopy --add-gnu-debuglink="$T/app.debug" "$T/$A/rootfs/bin/app"
mkdir -p "$T/$A/rootfs/bin/.debug" && cp "$T/app.debug" "$T/$A/rootfs/bin/.debug/"
captured /bin/app
check "a debug file in the container is found by debuglink" share_is "$T/n.folded" spin_parse 50 15

build_app none
objcopy --add-gnu-debuglink="$T/app.debug" "$T/$A/rootfs/bin/app"
echo 'behind the checksum' >>"$T/app.debug"
cp "$T/app.debug" "$T/$A/rootfs/bin/.debug/"
captured /bin/app
check "a debug file whose checksum does not match is refused" lacks "$T/n.folded" ';spin_'

id=$(new_id)
build_app "$id"
host=/usr/lib/debug/.build-id/${id:0:2}
existed=$([ -d "$host" ] && echo 1)
on_exit "rm -f '$host/${id:2}.debug'; [ -n '$existed' ] || rmdir -p --ignore-fail-on-non-empty '$host'"
mkdir -p "$host" && cp "$T/app.debug" "$host/${id:2}.debug"
captured /bin/app
check "a debug file of the host serves where its build ID matches" share_is "$T/n.folded" spin_parse 50 15

# ---- replaced and deleted while it runs ----
cp "$W/spin" "$T/$A/rootfs/bin/app"
runc_start "$A" "$T/$A" /bin/app
let_run "$(runc_pid "$A")" # it is started by now, and not the new one
cp "$W/twin" "$T/$A/rootfs/bin/new" && mv "$T/$A/rootfs/bin/new" "$T/$A/rootfs/bin/app"
sampled 120 1 "$T/n.json" "$A" -F 499 && folded "$T/n.json" >"$T/n.folded"
check "a program that was replaced on disk keeps its own names" share_is "$T/n.folded" spin_parse 50 15
check "a program that was replaced never gets the new file's names" lacks "$T/n.folded" ';twin_'
rm "$T/$A/rootfs/bin/app"
sampled 120 1 "$T/n.json" "$A" -F 499 && folded "$T/n.json" >"$T/n.folded"
check "a program that was deleted keeps its names" share_is "$T/n.folded" spin_parse 50 15
runc_stop "$A"

# ---- vdso and kernel ----
captured /bin/calls clock
check "the vdso's frames have their names" jq -es \
    'any(.type == "frame" and .file == "[vdso]" and .named and (.name | contains("clock_gettime")))' "$T/n.json"
check "the quality report counts the vdso" by_source vdso
captured /bin/calls zeros
check "kernel frames have names and the kernel's mark" grep -qE ';vfs_read_\[k\];' "$T/n.folded"
check "all kernel frames have names" jq -es \
    'map(select(.type == "frame" and .kind == "kernel")) | length > 0 and all(.named)' "$T/n.json"

# ---- mangled names ----
captured /bin/cxx
check "C++ names are demangled, with their templates" \
    between 80 "$(share "$T/n.folded" 'shop::Basket<unsigned long>::total')" 100
check "C++ names are as people write them" grep -q ';shop::weigh<std::map<std::string, int>>[; ]' "$T/n.folded"
check "C++ frames say their language" jq -es 'any(.type == "frame" and .language == "c++")' "$T/n.json"
OPTION=--full-names captured /bin/cxx
check "with --full-names all of a C++ name is there" grep -qF ';shop::Basket<unsigned long>::total() const' "$T/n.folded"
check "and folded lines are still lines of frames" lacks "$T/n.folded" '^$|[^0-9]$|;;|[[:cntrl:]]'
if [ -x "$W/rust" ]; then
    OPTION=--full-names captured /bin/rust
    check "with --full-names all of a Rust name is there" \
        grep -qE ';<rust(\[[0-9a-f]+\])?::counting::Drawer as rust(\[[0-9a-f]+\])?::counting::Tally>::tally' "$T/n.folded"
    captured /bin/rust
    check "Rust names are demangled" \
        grep -q ';<Drawer as Tally>::tally[; ]' "$T/n.folded"
    check "Rust frames say their language" jq -es 'any(.type == "frame" and .language == "rust")' "$T/n.json"
    check "no mangled name is left" lacks "$T/n.folded" ';_ZN'
else
    skip "Rust names are demangled" "no rustc"
fi
