#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# Inlined functions: of C and C++ programs at -O2, as perf's samples and addr2line have them; from
# the program itself, a separate debug file, one that dwz shared; in every output; and a word where
# they are not known.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq objcopy gcc

A=pht$$-i
start_agent
on_exit "runc_stop $A"
victim_root "$A"
R=$T/$A/rootfs

# captured COMMAND…: --inline in a fresh container; $T/n.json, $T/n.folded, $T/n.err.
captured() {
    rm -f "$T"/n.*
    runc_start "$A" "$T/$A" "$@" || return 1
    "$B/porthole" cpu "$A" -d 1 -F 997 --inline -o "$T/n.json" 2>"$T/n.err" &&
        folded "$T/n.json" >"$T/n.folded"
    runc_stop "$A"
}

# not_expanded CAUSE FILE: the report has that row.
not_expanded() {
    jq -es --arg c "$1" --arg f "$2" 'map(select(.type == "quality"))[0].inlines.not_expanded
        | any(.cause == $c and .file == $f and .frames > 0)' "$T/n.json" >/dev/null ||
        { quality "$T/n.json" '.inlines | tostring' && return 1; }
}

# whole_chain: serve() has its inlined functions in their order, and their shares of time.
whole_chain() {
    grep -q ';main;serve;prepare_\[i\];grind_\[i\];shape_\[i\] ' "$T/n.folded" &&
        grep -q ';main;serve;prepare_\[i\];polish_\[i\];shape_\[i\] ' "$T/n.folded" &&
        share_is "$T/n.folded" prepare 99 3 && share_is "$T/n.folded" grind 75 10 &&
        share_is "$T/n.folded" polish 25 10
}

unexpanded() {
    lacks "$T/n.folded" '_\[i\]' && share_is "$T/n.folded" serve 99 3
}

# ---- a program with its DWARF ----
captured /bin/nested
check "C: inlined functions are frames, marked, innermost last, with their share of time" whole_chain
check "the report counts them by their source" \
    [ "$(quality "$T/n.json" '.frames.by_source["dwarf-inline"]')" -gt 300 ]
check "the report says how many frames are expanded, and of how many" jq -es \
    'map(select(.type == "quality"))[0].inlines | .expanded > 150 and .asked > .expanded' "$T/n.json"
check "what was built without DWARF is told apart" not_expanded no-unit /bin/nested
check "nothing is lost" conserved "$T/n.json"
check "the summary says it in a sentence" grep -q '^inlined functions: known for' "$T/n.err"

# ---- every output, and back ----
for format in tree folded svg json pprof; do
    "$B/porthole" render "$T/n.json" -f "$format" >"$T/out.$format"
done
check "the tree has them" grep -q 'grind_\[i\]' "$T/out.tree"
check "the flame graph has them in aqua, with a legend" sh -c \
    "grep -q '<title>grind .*class=\"i' '$T/out.svg' && grep -q '>inlined</text>' '$T/out.svg'"
"$B/porthole" render "$T/n.folded" -f json >"$T/again.json"
"$B/porthole" render "$T/again.json" -f folded >"$T/again"
check "folded lines are read back as inlined frames" \
    jq -es 'any(.kind == "inlined" and .name == "grind")' "$T/again.json"
check "and come out as they were" diff <(sort "$T/n.folded") <(sort "$T/again")
if command -v go >/dev/null; then
    HOME=$T go tool pprof -symbolize=none -traces "$T/out.pprof" >"$T/traces" 2>"$T/err"
    check "pprof shows them as inlined lines of serve" grep -qE 'grind \(inline\)' "$T/traces"
else
    skip "pprof shows them as inlined lines of serve" "needs go"
fi

# ---- against perf and addr2line ----
# Share of each inlined function as perf's samples of the same program have it.
of_perf() {
    runc_start "$A" "$T/$A" "/bin/$1"
    perf record -q -e cpu-clock:u -F 997 -o "$T/perf.data" -p "$(runc_pid "$A")" -- sleep 1 \
        >"$T/err" 2>&1
    perf script -i "$T/perf.data" -F ip 2>/dev/null | grep -oE '[0-9a-f]+' >"$T/ips"
    runc_stop "$A"
    addr2line -e "$W/$1" -f -i -a -C <"$T/ips" | awk '
        /^0x/ { samples++; n = 0; next }
        { n++ } n % 2 { if (!((samples, $0) in seen)) count[$0]++; seen[samples, $0] = 1 }
        END { for (f in count) printf "%s\t%.1f\n", f, 100 * count[f] / samples }' >"$T/perf.shares"
}

# agrees FUNCTION PATTERN: perf has it under a name of that pattern.
agrees() {
    local theirs
    theirs=$(awk -F '\t' -v p="$2" '$1 ~ p { print $2; exit }' "$T/perf.shares")
    between "$(awk -v t="$theirs" 'BEGIN { print t - 12 }')" "$(share "$T/n.folded" "$1")" \
        "$(awk -v t="$theirs" 'BEGIN { print t + 12 }')"
}

if command -v perf >/dev/null && command -v addr2line >/dev/null; then
    of_perf nested
    [ "$(wc -l <"$T/ips")" -ge 100 ] || skip "perf samples enough" "perf does not work here"
    for function in grind polish shape prepare; do
        check "C: $function has the share that perf and addr2line give it" agrees $function "^$function\$"
    done
else
    skip "C: functions have the shares that perf and addr2line give them" "needs perf and addr2line"
fi

captured /bin/inlined
check "C++: members of templates and of nameless namespaces are demangled and in their place" sh -c \
    "grep -q ';mill::run;mill::Wheel<unsigned long>::turn_\[i\]' '$T/n.folded' && grep -q ';mill::run;mill::.*sift_\[i\]' '$T/n.folded'"
if command -v perf >/dev/null && command -v addr2line >/dev/null; then
    of_perf inlined
    check "C++: the member has the share that perf and addr2line give it" \
        agrees 'mill::Wheel<unsigned long>::turn' '::turn'
fi

# ---- separate debug files ----
# build_app: a new build ID, its DWARF in $T/app.debug.
build_app() {
    ID=$(od -An -N20 -tx1 /dev/urandom | tr -d ' \n')
    gcc -std=gnu11 -O2 -g "$@" -static -Wl,--build-id="0x$ID" -o "$T/app.full" \
        "$ROOT/tests/workloads/nested.c" || exit 1
    objcopy --only-keep-debug "$T/app.full" "$T/app.debug"
    objcopy --strip-all "$T/app.full" "$R/bin/app"
}

# in_container FILE: as the debug file of the program that was built last.
in_container() {
    mkdir -p "$R/usr/lib/debug/.build-id/${ID:0:2}"
    cp "$1" "$R/usr/lib/debug/.build-id/${ID:0:2}/${ID:2}.debug"
}

build_app
captured /bin/app
check "a stripped program says that it has no DWARF" not_expanded no-dwarf /bin/app
check "and shows no inlined function" lacks "$T/n.folded" '_\[i\]'

in_container "$T/app.debug"
captured /bin/app
check "a debug file in the container serves" whole_chain

build_app -gz
in_container "$T/app.debug"
captured /bin/app
check "so does one whose sections are compressed" whole_chain

# Symbols stay in the program: only DWARF is missing.
build_app
objcopy --strip-debug "$T/app.full" "$R/bin/app"
in_container "$T/app.debug"
captured /bin/app
check "a debug file is looked for also where only DWARF is missing" whole_chain

build_app
host=/usr/lib/debug/.build-id/${ID:0:2}
on_exit "rm -f '$host/${ID:2}.debug'; rmdir --ignore-fail-on-non-empty '$host' 2>/dev/null"
mkdir -p "$host" && cp "$T/app.debug" "$host/${ID:2}.debug"
captured /bin/app
check "a debug file of the host serves where its build ID matches" whole_chain

# ---- DWARF that several share ----
if command -v dwz >/dev/null; then
    build_app
    cp "$T/app.debug" "$T/twin.debug"
    dwz -m "$T/shared.debug" -M /usr/lib/debug/.dwz/porthole.debug "$T/app.debug" "$T/twin.debug" \
        2>"$T/err"
    check "dwz makes a shared file" test -s "$T/shared.debug"
    in_container "$T/app.debug"
    captured /bin/app
    check "without the shared file no part of a chain is shown" unexpanded
    check "and the report names that file" jq -es 'map(select(.type == "quality"))[0].inlines.not_expanded
        | any(.cause == "no-alternate-file" and .detail == "/usr/lib/debug/.dwz/porthole.debug")' "$T/n.json"
    mkdir -p "$R/usr/lib/debug/.dwz"
    cp "$T/app.debug" "$R/usr/lib/debug/.dwz/porthole.debug"
    captured /bin/app
    check "a shared file with another build ID is refused" unexpanded
    mkdir -p "$R/usr/lib/debug/.dwz"
    cp "$T/shared.debug" "$R/usr/lib/debug/.dwz/porthole.debug"
    captured /bin/app
    check "with it the inlined functions are known" whole_chain
else
    skip "DWARF that dwz shared is read" "no dwz"
fi
