#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The report says of runtimes whose functions have no names which version or option would give them,
# and says nothing of others. Versions that Debian 12 lacks are stood for by their files' names.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/runc.sh"
. "$ROOT/tests/programs.sh"
need_bpf
need_commands runc jq

A=pht$$-a
start_agent
victim_root "$A"
for name in python3.11 python3.12 python3.13 ruby3.1 php8.2 pythonista; do
    cp "$W/spin" "$T/$A/rootfs/bin/$name"
done
cp "$W/fakejvm" "$T/$A/rootfs/bin/python3.9"
cp "$W/fakejvm" "$T/$A/rootfs/libjvm.so"
cat >"$T/$A/rootfs/start.sh" <<'END'
python3.11 &
python3.11 &
python3.12 &
python3.13 99 -X perf &
PYTHONPERFSUPPORT=1 python3.13 &
ruby3.1 &
php8.2 &
pythonista &
python3.9 deaf &
wait
END
victim "$A" /bin/sh /start.sh
wait_for 10 grep -q deaf "$T/$A/log"
let_run "$(pgrep -P "$(runc_pid "$A")" -x php8.2)"
porthole cpu "$A" -d 3 -F 199 -q -o "$T/a.json"
quality "$T/a.json" '.remarks[]' >"$T/remarks"

remark() {
    grep -qE "$1" "$T/remarks" || { tr '\n' '|' <"$T/remarks" && return 1; }
}
check "Python before 3.12 needs another version, and its processes are one remark" \
    remark '^python 3\.11 \(pids [0-9]+, [0-9]+\): its functions have no names: Python 3\.12 or newer with -X perf'
check "Python 3.12 needs an option" \
    remark '^python 3\.12 \(pid [0-9]+\): its functions have no names: start it with -X perf$'
check "Ruby needs another version and an option" remark '^ruby 3\.1 \(pid [0-9]+\): .*3\.3 or newer'
check "PHP has nothing that would help" remark '^php 8\.2 \(pid [0-9]+\): .*interpreted'
check "who has the option, as an argument or a variable, is not told to use it" \
    lacks "$T/remarks" '3\.13'
check "who took no sample is not mentioned" lacks "$T/remarks" '3\.9|java'
check "neither is a program whose name only begins alike" lacks "$T/remarks" 'pythonista'
check "there is one remark for each of them" [ "$(wc -l <"$T/remarks")" = 4 ]
runc_stop "$A"

# The real ones that Debian has.
for what in python "node --stack-size=900"; do
    # shellcheck disable=SC2086 # a program and its option
    if ! program_up $what; then
        skip "the report says what $what lacks" "$WHY"
        continue
    fi
    let_run "$(runc_pid "$P")"
    porthole cpu "$P" -d 2 -q -o "$T/real.json"
    quality "$T/real.json" '.remarks[]' >"$T/remarks"
    case $what in
    python) check "a real Python is known by its version" remark "^python 3\.[0-9]+ \(pid 1\): " ;;
    *) check "a real node without its option is told of it" \
        remark '^node \(pid 1\): its JavaScript has no names: start it with --perf-basic-prof$' ;;
    esac
    program_down
done

# Without tables, as the administrator wants it.
stop_agent
echo 'unwind-tables = no' >"$T/conf"
start_agent --config "$T/conf"
victim "$A" /bin/omit-static-pie tree
porthole cpu "$A" -d 1 -F 199 -q -o "$T/plain.json"
quality "$T/plain.json" '.remarks[]' >"$T/remarks"
check "where the configuration says so no stack is walked by tables" \
    [ "$(quality "$T/plain.json" '.shown > 0 and .stacks.by_tables == 0')" = true ]
check "the report says why stacks are shorter then" remark "'unwind-tables = no': stacks are walked by frame pointers"
