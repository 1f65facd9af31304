#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs test files one after the other, counts their result lines, shows what failed at the end.
#
#   tests/run.sh [--only GLOB] [FILE…]      GLOB as in '*lint*', against names such as e2e/cpu.sh
#
# Without files: every unit test that was built, then tests/*.sh, fuzz, e2e, hostile and vm. A file in
# these folders is a test when it is executable. "# timeout: N" in it raises its time-out (seconds).
set -u
cd "$(dirname "$0")/.." || exit 1

B=${B:-build}
LOGS=$B/check
TIMEOUT=120
only='*'
files=()
passed=0 failed=0 skipped=0
failures=()

while [ $# -gt 0 ]; do
    case $1 in
    --only)
        only=${2:?--only needs a pattern}
        shift
        ;;
    *) files+=("$1") ;;
    esac
    shift
done

all_tests() {
    local f
    for f in "$B"/san/tests/unit/test_* tests/lint.sh tests/layers.sh tests/fuzz/*.sh tests/e2e/*.sh \
        tests/hostile/*.sh tests/vm/*.sh; do
        case $f in
        *.d | */runtimes.sh) continue ;;
        esac
        [ -f "$f" ] && [ -x "$f" ] && echo "$f"
    done
}

name_of() {
    local name=${1#"$B"/san/}
    echo "${name#tests/}"
}

# cmocka's TAP lines in our words.
translate() {
    sed -E -e 's/^(not )?ok [0-9]+ # SKIP (.*)/skip - \2: skipped by the test/' \
        -e 's/^ok [0-9]+ - /ok - /' -e 's/^not ok [0-9]+ - (.*)/not ok - \1:/'
}

run_one() {
    local file=$1 limit
    case $file in
    */unit/test_*) CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 20 "$TIMEOUT" "$file" 2>&1 | translate ;;
    *)
        limit=$(sed -n 's/^# timeout: \([0-9]*\)$/\1/p' "$file" | head -n 1)
        timeout -k 20 "${limit:-$TIMEOUT}" "$file" 2>&1
        ;;
    esac
    return "${PIPESTATUS[0]}"
}

# Adds a file's lines to the sums; a file that says nothing, or dies without a word, has failed.
count() {
    local name=$1 log=$2 status=$3 seconds=$4 p f s
    p=$(grep -c '^ok - ' "$log")
    f=$(grep -c '^not ok - ' "$log")
    s=$(grep -c '^skip - ' "$log")
    if [ "$status" != 0 ] && [ "$f" = 0 ]; then
        case $status in
        124 | 137) echo "not ok - $name: timed out after $seconds s" >>"$log" ;;
        *) echo "not ok - $name: exit status $status" >>"$log" ;;
        esac
        f=1
    elif [ $((p + f + s)) = 0 ]; then
        echo "not ok - $name: printed no result" >>"$log"
        f=1
    fi
    [ "$f" = 0 ] || failures+=("$log")
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    printf '%-36s %4d passed %3d failed %3d skipped %5d s\n' "$name" "$p" "$f" "$s" "$seconds"
    grep '^skip - ' "$log" | sed 's/^/    /'
}

[ ${#files[@]} -gt 0 ] || mapfile -t files < <(all_tests)
mkdir -p "$LOGS"
for file in ${files[@]+"${files[@]}"}; do
    name=$(name_of "$file")
    # shellcheck disable=SC2254 # a pattern is what was asked for
    case $name in
    $only) ;;
    *) continue ;;
    esac
    log=$LOGS/${name//\//_}.log
    begin=$SECONDS
    run_one "$file" >"$log" </dev/null
    count "$name" "$log" $? $((SECONDS - begin))
done

# Each failed check with what it said, and how the file ended: only the first may be far from the end.
show_failure() {
    printf '\n==== %s\n' "$1"
    awk '/^(ok|skip) - / { failed = 0 } /^not ok - / { failed = 1; lines = 0 } failed && lines++ < 30' "$1"
    printf -- '---- its end\n'
    tail -n 20 "$1"
}

for log in ${failures[@]+"${failures[@]}"}; do
    show_failure "$log"
done
[ $((passed + failed + skipped)) -gt 0 ] || {
    echo "no test fits '$only'"
    failed=1
}
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ]
