#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# F8, F9, F10, F12: containers whose own files attack who reads them. A capture ends with what can be
# known, the agent goes on, and nothing that they wrote reaches a terminal or a page as it is.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq python3

start_agent
AGENT=$AGENT_PID

# attacked KIND [ARGUMENT…]: a container runs code out of a file of that kind, and is captured.
attacked() {
    local kind=$1 name=phx$$-$1
    shift
    victim_root "$name"
    python3 "$ROOT/tests/hostile/liars.py" "$kind" "$T/$name/rootfs/liar" || return 1
    victim "$name" /bin/mapper /liar "$@"
    timeout 60 "$B/porthole" cpu "$name" -d 1 -F 499 -o "$T/$kind.json" 2>"$T/$kind.log"
    local status=$?
    runc_stop "$name"
    rm -rf --one-file-system "${T:?}/$name"
    return $status
}

for kind in counts loops bomb sparse; do
    check "F9: a capture of an ELF file with $kind ends" attacked $kind
    check "F9: $kind: samples are shown, none is named by its lies" jq -es \
        'map(select(.type == "quality"))[0] | .shown > 100 and .frames.by_source.symtab + .frames.by_source.dynsym < .frames.total' \
        "$T/$kind.json"
    check "F9: $kind: taken is shown plus lost" conserved "$T/$kind.json"
done
check "F8: a capture of an ELF file that is rewritten while it is read ends" attacked plain rewrite
check "F8: its samples are all there" conserved "$T/plain.json"

# ---- perf maps ----
J=phx$$-jit
victim "$J" /bin/jit
MAP=$T/$J/rootfs/tmp/perf-1.map
wait_for 10 test -s "$MAP"
for kind in map-long map-ranges map-names; do
    python3 "$ROOT/tests/hostile/liars.py" $kind "$MAP.new" && mv "$MAP.new" "$MAP"
    check "F10: a capture beside $kind ends" \
        timeout 60 "$B/porthole" cpu "$J" -d 1 -F 499 -o "$T/$kind.json"
    check "F10: $kind: taken is shown plus lost" conserved "$T/$kind.json"
done
check "F10: lines that are no entries are counted in the report" jq -es \
    'map(select(.type == "quality"))[0].remarks | any(test("entries of perf maps"))' "$T/map-ranges.json"
runc_stop "$J"

# ---- names ----
C=phx$$-comm
victim_root "$C"
python3 "$ROOT/tests/hostile/liars.py" plain "$T/$C/rootfs/liar"
# shellcheck disable=SC2016 # the container's shell expands it
victim "$C" /bin/sh -c 'exec /bin/mapper /liar as "$(printf "\033[31m;x\n<b>]]>")"'
"$B/porthole" cpu "$C" -d 1 -F 499 -o "$T/comm.json" 2>"$T/comm.log"
runc_stop "$C"

# harmless FILE: no control byte but the newline, no turning of the direction of writing.
harmless() {
    ! LC_ALL=C grep -qP '[\x00-\x09\x0b-\x1f\x7f]|\xe2\x80\xae' "$1"
}
for kind in map-names comm; do
    for format in folded tree svg; do
        "$B/porthole" render "$T/$kind.json" -f $format >"$T/$kind.$format" 2>"$T/$kind.$format.log"
        check "F12: hostile names ($kind) as $format hold no control byte" harmless "$T/$kind.$format"
        check "F12: nor do the messages beside it" harmless "$T/$kind.$format.log"
    done
    check "F12: no frame is forged by a name ($kind)" lacks "$T/$kind.folded" ';forged;'
    check "F12: no markup comes from a name ($kind)" lacks "$T/$kind.svg" '<script>alert|<b>'
done

check "the agent is the one that was started" kill -0 "$AGENT"
check "and it rests" wait_for 10 agent_rests
