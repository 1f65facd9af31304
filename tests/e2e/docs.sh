#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The man pages say what the programs' own tables say, no more and no less; what the pages of docs/
# point to is there.
. "$(dirname "$0")/../lib.sh"
cd "$ROOT" || exit 1

# same SENTENCE: $T/program and $T/page hold the same lines.
same() {
    sort -u "$T/program" -o "$T/program"
    sort -u "$T/page" -o "$T/page"
    if [ ! -s "$T/program" ] || [ ! -s "$T/page" ]; then
        not_ok "$1" "nothing to compare"
    elif cmp -s "$T/program" "$T/page"; then
        ok "$1"
    else
        not_ok "$1" "$(comm -3 "$T/program" "$T/page" | head -n 3 | sed 's/^\t/only in the page: /' |
            tr '\n' ';')"
    fi
}

# Options of a man page with the commands that they belong to: "cpu --duration -d SEC". A
# subsection's first word is its command, unless its title ends with a list of them: "Drawing (cpu,
# render)". Where there are no subsections the command is "-".
page_options() {
    awk '
        BEGIN { commands[1] = "-"; n = 1 }
        $1 == ".Ss" {
            line = $0; sub(/^\.Ss /, "", line)
            if (line ~ /\(.*\)$/) { sub(/.*\(/, "", line); sub(/\)$/, "", line); n = split(line, commands, /, */) }
            else { n = 1; split(line, word, " "); commands[1] = word[1] }
        }
        $1 == ".It" && $2 == "Fl" {
            long = ""; short = ""; arg = ""
            for (i = 2; i <= NF; i++) {
                if ($i == "Fl" && $(i + 1) == "Fl") { long = "--" $(i + 2); i += 2 }
                else if ($i == "Fl") { short = "-" $(i + 1); i++ }
                else if ($i == "Ar") { arg = $(i + 1); i++ }
            }
            for (i = 1; i <= n; i++) print commands[i], long, short "," arg
        }' "$1"
}

# Options in a help text: "--duration -d,SEC".
help_options() {
    sed -nE -e 's/^ +-(.), --([a-z-]+)(=([A-Z]+))?( .*|$)/--\2 -\1,\4/p' \
        -e 's/^ +--([a-z-]+)(=([A-Z]+))?( .*|$)/--\1 ,\3/p'
}

# ---- porthole(1) ----
PAGE=docs/porthole.1
porthole --commands >"$T/commands" || { not_ok "porthole --commands works" "exit $?" && exit 1; }

awk -F '\t' '$1 == "option" { print $2, $3, $4 "," $5 }' "$T/commands" >"$T/program"
awk -F '\t' '$1 == "command" { print $2 }' "$T/commands" >"$T/names"
page_options "$PAGE" | grep -wFf "$T/names" | grep -v '^Without ' >"$T/page"
same "porthole(1) has the options that each command has"

awk -F '\t' '$1 == "command" { print $2 ($3 == "" ? "" : " ") $3 }' "$T/commands" >"$T/program"
awk '/^\.Sh/ { in_commands = $2 == "COMMANDS" }
    in_commands && /^\.Ss [a-z]/ { sub(/^\.Ss /, ""); print }' "$PAGE" >"$T/page"
same "porthole(1) has the commands that there are, with their operands"

porthole --help | sed '1,/^Options:/d' | help_options | grep -v -- '^--socket' >"$T/program"
page_options "$PAGE" | sed -n 's/^Without //p' >"$T/page"
same "porthole(1) has the options that stand without a command"

# Help that people read and the table that scripts read come from one place.
help_matches() {
    local command
    while read -r command; do
        porthole "$command" --help | sed '1,/^Options:/d' | help_options | sed "s/^/$command /"
    done <"$T/names" >"$T/page"
    awk -F '\t' '$1 == "option" { print $2, $3, $4 "," $5 }' "$T/commands" >"$T/program"
    same "each command's --help lists the options of --commands"
}
help_matches

porthole --help | sed -n '/^Exit status:/,$p' | grep -oE '(^| )[0-9]+ ' | tr -d ' ' >"$T/program"
awk '/^\.Sh/ { in_status = /EXIT STATUS/ } in_status && /^\.It/ { print $2 }' "$PAGE" >"$T/page"
same "porthole(1) has the exit statuses that --help has"

# ---- portholed(8) ----
PAGE=docs/portholed.8
"$B/portholed" --help >"$T/agent-help" || { not_ok "portholed --help works" "exit $?" && exit 1; }

help_options <"$T/agent-help" >"$T/program"
page_options "$PAGE" | sed 's/^- //' >"$T/page"
same "portholed(8) has the options of portholed"

sed -nE 's/^  ([a-z-]+) = .*/\1/p' "$T/agent-help" >"$T/program"
sed -n '/^\.Sh CONFIGURATION/,/^\.Sh ENV/p' "$PAGE" | sed -n 's/^\.It Cm //p' | tr -d , |
    tr -s ' ' '\n' >"$T/page"
same "portholed(8) has the keys of the configuration file"

# ---- form ----
if command -v mandoc >/dev/null; then
    for page in docs/*.[18]; do
        # Whether pages that are referred to are installed here is no fault of the page.
        mandoc -T lint "$page" 2>&1 | grep -vE 'referenced manual not found|outdated mandoc.db' \
            >"$T/lint"
        if [ -s "$T/lint" ]; then
            not_ok "mandoc finds nothing in $page" "$(head -n 1 "$T/lint")"
        else
            ok "mandoc finds nothing in $page"
        fi
    done
else
    skip "mandoc finds nothing in the man pages" "needs 'mandoc'"
fi

# ---- pages of docs/ ----
# Files of the source tree that a page names in backquotes, and links, relative to the page.
dangling() {
    local page=$1 word
    grep -oE '`(agent|base|bpf|cli|contrib|docs|nsresolve|tests)/[A-Za-z0-9_./-]+`' "$page" |
        tr -d '`' | sort -u | while read -r word; do
        [ -e "$word" ] || echo "$word"
    done
    grep -oE '\]\([^)#:]+\)' "$page" | sed -E 's/^\]\((.*)\)$/\1/' | sort -u |
        while read -r word; do
            [ -e "$(dirname "$page")/$word" ] || echo "$word"
        done
}
for page in README.md docs/*.md; do
    dangling "$page" >"$T/dangling"
    if [ -s "$T/dangling" ]; then
        not_ok "what $page points to is there" "$(tr '\n' ' ' <"$T/dangling")"
    else
        ok "what $page points to is there"
    fi
done

# ---- what docs/privileges.md says of running processes ----
need_bpf
need_commands jq capsh

# The table's rows: "portholed|65520|bpf,perfmon|ipc_lock", capabilities sorted.
sorted_list() {
    tr -d ' ' | tr ',' '\n' | grep . | sort | paste -s -d , -
}
page_rights() {
    local process uid effective besides
    while IFS='|' read -r _ process _ uid effective besides _; do
        process=$(echo "$process" | tr -d ' `')
        [ "$process" = porthole ] || # the command line holds what its user holds
            echo "$process|${uid// /}|$(echo "$effective" | sorted_list)|$(echo "$besides" | sorted_list)"
    done < <(grep '^| `portho' docs/privileges.md)
}

# names MASK: capabilities of a hexadecimal set, sorted, without "cap_".
names() {
    capsh --decode="$1" | sed -e 's/.*=//' -e 's/cap_//g' | sorted_list
}
field() {
    awk -v f="$2:" '$1 == f { print $2 }' "/proc/$1/status"
}
running_rights() {
    local pid effective permitted
    for pid in $(family "$AGENT_PID"); do
        effective=$(names "$(field "$pid" CapEff)")
        permitted=$(names "$(printf '%x' $((0x$(field "$pid" CapPrm) & ~0x$(field "$pid" CapEff))))")
        echo "$(cat "/proc/$pid/comm")|$(field "$pid" Uid)|$effective|$permitted"
    done
}

jailed() {
    local pid
    for pid in $(family "$AGENT_PID"); do
        [ "$(field "$pid" NoNewPrivs),$(field "$pid" Seccomp)" = 1,2 ] ||
            { cat "/proc/$pid/comm" && return 1; }
        [ "$(cat "/proc/$pid/comm")" = portholed-mon ] ||
            [ "$(field "$pid" CapBnd)" = 0000000000000000 ] || { cat "/proc/$pid/comm" && return 1; }
        [ "$(stat -c %u "/proc/$pid/environ")" = 0 ] || { cat "/proc/$pid/comm" && return 1; }
    done
}

# A user called porthole would be the agent's by default.
echo 'agent-uid = 65520' >"$T/conf"
start_agent --config "$T/conf"
page_rights >"$T/page"
running_rights >"$T/program"
same "docs/privileges.md has the uids and capabilities of the running processes"
check "all of them are jailed as docs/privileges.md says" jailed
stop_agent
