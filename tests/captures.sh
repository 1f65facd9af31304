# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Captures beside each other, each into $T/NAME.json until it is interrupted. Sourced after tests/lib.sh.
declare -A CAPTURES=()

# start_beside VIEW NAME TARGET ARGUMENTS…
start_beside() {
    local view=$1 name=$2
    env --default-signal=INT "$B/porthole" "$view" -d 0 "${@:3}" -o "$T/$name.json" 2>"$T/$name.err" &
    CAPTURES[$name]=$!
    wait_for 20 captures_run "${#CAPTURES[@]}" || not_ok "the capture $name begins" "$(tail -n 1 "$T/$name.err")"
}

# end_beside NAME…: interrupts it; what it has is delivered.
end_beside() {
    local name
    for name; do
        kill -INT "${CAPTURES[$name]}"
        wait_for 30 gone "${CAPTURES[$name]}"
        wait "${CAPTURES[$name]}"
        unset "CAPTURES[$name]"
        wait_for 20 captures_run "${#CAPTURES[@]}"
    done
}

# block_sum NAME CONDITION FIELD: of rows and single requests of a capture of block I/O.
block_sum() {
    jq -s --arg f "$3" "[.[] | select((.record == \"block\" or .record == \"block-event\") and ($2)) | .[\$f]] | add // 0" \
        "$T/$1.json"
}

# block_balanced NAME: taken = shown + lost, and what is shown is what the rows add up to.
block_balanced() {
    jq -es '(map(select(.record == "block" or .record == "block-event").count) | add // 0) as $rows
        | map(select(.type == "quality"))[0] | .taken == .shown + ([.lost[]] | add // 0) and .shown == $rows' \
        "$T/$1.json" >/dev/null || { quality "$T/$1.json" '[.taken, .shown, .lost] | tostring' && return 1; }
}
