#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# Form of the sources: formatting, static analysis, licence headers, length, no loose ends.
. "$(dirname "$0")/lib.sh"
cd "$ROOT" || exit 1

# Tracked files and those about to be, in the order of their names; patterns as for git.
sources() {
    git ls-files --cached --others --exclude-standard -- "$@" | sort -u | while read -r f; do
        [ -f "$f" ] && echo "$f"
    done
}

# report SENTENCE: ok when standard input is empty, else not ok with its first lines.
report() {
    local found
    found=$(head -n 20)
    if [ -z "$found" ]; then
        ok "$1"
    else
        not_ok "$1" "$(echo "$found" | head -n 1)"
        echo "$found"
    fi
}

scripts() {
    sources '*.sh' check demo .ci/run tests contrib | while read -r f; do
        head -n 1 "$f" | grep -qE '^#!.*/(ba|da)?sh|^# shellcheck shell' && echo "$f" && continue
        case $f in *.sh) echo "$f" ;; esac
    done | sort -u
}

mapfile -t c_files < <(sources '*.c' '*.h')
mapfile -t c_units < <(sources 'base/*.c' 'nsresolve/*.c' 'agent/*.c' 'cli/*.c')
mapfile -t sh_files < <(scripts)

if command -v clang-format >/dev/null; then
    clang-format --dry-run -Werror "${c_files[@]}" 2>&1 | grep -E 'error|warning' |
        report "C files are formatted as .clang-format says"
else
    skip "C files are formatted as .clang-format says" "no clang-format"
fi

if command -v cppcheck >/dev/null; then
    # Leaks are left to ASan, which knows __attribute__((cleanup)), two more to the compiler.
    cppcheck --quiet -j 2 --std=c11 --enable=warning,performance,portability --inline-suppr \
        --suppress=missingIncludeSystem --suppress=preprocessorErrorDirective \
        --suppress=memleak --suppress=memleakOnRealloc --suppress=resourceLeak \
        --suppress=ignoredReturnValue --suppress=AssignmentAddressToInteger \
        '-DLIBBPF_OPTS(type,name,...)=struct type name={__VA_ARGS__}' --library=gnu -D_GNU_SOURCE -D__x86_64__ '-DPORTHOLE_VERSION="x"' -I . \
        "${c_units[@]}" 2>&1 | grep -E '^[a-z]+/.*: (error|warning|performance|portability)' |
        report "cppcheck finds nothing"
else
    skip "cppcheck finds nothing" "no cppcheck"
fi

if command -v shellcheck >/dev/null; then
    shellcheck -f gcc "${sh_files[@]}" | report "shellcheck finds nothing"
else
    skip "shellcheck finds nothing" "no shellcheck"
fi

sources '*.c' '*.h' '*.sh' '*.py' '*.cc' '*.rs' '*.js' Makefile check demo .ci/run |
    xargs grep -L 'SPDX-License-Identifier: ' | report "every source names its licence"

sources '*.c' '*.h' '*.sh' '*.py' | xargs wc -l |
    awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines" }' |
    report "no source is longer than 600 lines"

sources '*.c' '*.h' | LC_ALL=C.UTF-8 xargs grep -nHP '^.{101,}' |
    report "no line is longer than 100 columns"

# Written so that this file does not find itself.
sources '*' ':!LICENSE*' | xargs grep -InE '\b(TO''DO|FIX''ME|XX''X|HA''CK)\b' |
    report "no loose end is left in the sources"

sources '*' ':!LICENSE*' | xargs grep -InE '(^|[^A-Za-z0-9_./])/(work|home)/[a-z]' |
    report "no path of a developer's machine is left in the sources"

sources 'tests/*.sh' 'tests/*.py' | while read -r f; do
    [ "$(head -c 2 "$f")" = '#!' ] && [ ! -x "$f" ] && echo "$f starts with #! but cannot be executed"
done | report "every script that can be run is executable"

sources '*.sh' | xargs grep -nE '\b(pkill|killall)\b' | grep -v '^tests/lint.sh' |
    report "no script ends processes by name"
