#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# timeout: 600
#
# The man pages say what the programs' own tables say, no more and no less; what the pages of docs/
# point to is there, and the commands that they show work.
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

# Options of a man page: "--duration -d,SEC".
page_options() {
    sed 's/\\-/-/g' "$1" | awk '
        $1 == ".It" && $2 == "Fl" {
            long = ""; short = ""; arg = ""
            for (i = 2; i <= NF; i++) {
                if ($i == "Fl" && $(i + 1) == "Fl") { long = "--" $(i + 2); i += 2 }
                else if ($i == "Fl") { short = "-" $(i + 1); i++ }
                else if ($i == "Ar") { arg = $(i + 1); i++ }
            }
            print long, short "," arg
        }'
}

# Options in a help text: "--duration -d,SEC".
help_options() {
    sed -nE -e 's/^ +-(.), --([a-z-]+)(=([A-Z]+))?( .*|$)/--\2 -\1,\4/p' \
        -e 's/^ +--([a-z-]+)(=([A-Z]+))?( .*|$)/--\1 ,\3/p'
}

# ---- a page for each command ----
porthole --commands >"$T/commands" || { not_ok "porthole --commands works" "exit $?" && exit 1; }
awk -F '\t' '$1 == "command" { print $2 }' "$T/commands" >"$T/names"
awk -F '\t' '$1 == "option" { print $2, $3, $4 "," $5 }' "$T/commands" >"$T/program"
while read -r command; do
    [ ! -s "$B/man/porthole-$command.1" ] ||
        page_options "$B/man/porthole-$command.1" | sed "s/^/$command /"
done <"$T/names" >"$T/page"
same "each command has a page with its options"
for page in "$B"/man/porthole-*.1; do
    basename "$page" .1 | sed 's/^porthole-//'
done >"$T/page"
cp "$T/names" "$T/program"
same "no other command has one"
sed -n 's/^\.\\" @option \(.*\)@$/--\1/p; s/^\.\\" @command \(.*\)@$/\1/p' docs/man/details.mdoc |
    grep -vxFf <(awk -F '\t' '{ print $1 == "option" ? $3 : $2 }' "$T/commands") >"$T/stray"
check "what pages say beyond the help is of commands and options that there are" diff /dev/null "$T/stray"

# ---- porthole(1) ----
PAGE=$B/man/porthole.1
awk -F '\t' '$1 == "command" { print $2 ($3 == "" ? "" : " ") $3 }' "$T/commands" >"$T/program"
sed -n 's/^\.It Xr porthole-\([a-z]*\) 1\( Ar \)\{0,1\}/\1 /p' "$PAGE" | sed 's/ $//' >"$T/page"
same "porthole(1) has the commands that there are, with their operands"

porthole --help | sed '1,/^Options:/d' | help_options >"$T/program"
page_options "$PAGE" >"$T/page"
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
PAGE=docs/man/portholed.8
"$B/portholed" --help >"$T/agent-help" || { not_ok "portholed --help works" "exit $?" && exit 1; }

help_options <"$T/agent-help" >"$T/program"
page_options "$PAGE" >"$T/page"
same "portholed(8) has the options of portholed"

sed -nE 's/^  ([a-z-]+) = .*/\1/p' "$T/agent-help" >"$T/program"
sed -n '/^\.Ss Keys/,/^\.Sh FILES/p' docs/man/porthole.conf.5 | sed -n 's/^\.It Cm //p' | tr -d , |
    tr -s ' ' '\n' >"$T/page"
same "porthole.conf(5) has the keys of the configuration file"

# ---- form ----
if command -v mandoc >/dev/null; then
    for page in "$B"/man/*.[1578]; do
        # Whether pages that are referred to are installed here is no fault of the page.
        mandoc -T lint "$page" 2>&1 | grep -vE 'referenced manual not found|outdated mandoc.db' \
            >"$T/lint"
        if [ -s "$T/lint" ]; then
            not_ok "mandoc finds nothing in ${page##*/}" "$(head -n 1 "$T/lint")"
        else
            ok "mandoc finds nothing in ${page##*/}"
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

# Captures that pages show. Usage is checked before the agent is asked, of which there is none here.
shown_captures() {
    grep -hE '^(\$ )?porthole (cpu|offcpu|wakeup|offwake|chain|hotcold|switches|runq|states|block|tcp) ' "$1" |
        sed -E -e 's/^\$ //' -e 's/ +#.*//' -e 's/ [|&].*//' | sort -u
}
not_understood() {
    local words
    while read -r -a words; do
        (cd "$T" && "$B/porthole" --socket "$T/none" "${words[@]:1}" >/dev/null 2>&1)
        [ $? = 3 ] || echo "${words[*]}"
    done
}
for page in README.md docs/waiting.md docs/architecture.md docs/cookbook.md docs/languages.md; do
    shown_captures "$page" >"$T/captures"
    not_understood <"$T/captures" >"$T/wrong"
    if [ ! -s "$T/captures" ]; then
        not_ok "the captures that $page shows are understood" "it shows none"
    elif [ -s "$T/wrong" ]; then
        not_ok "the captures that $page shows are understood" "$(head -n 2 "$T/wrong" | tr '\n' ';')"
    else
        ok "the captures that $page shows are understood"
    fi
done

# ---- what docs/privileges.md says of running processes ----
need_bpf
need_commands jq capsh runc

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

# With everything that is optional. A user called porthole would be the agent's by default.
printf '%s\n' 'agent-uid = 65520' 'java = yes' >"$T/conf"
export DEBUGINFOD_URLS=http://127.0.0.1:1
start_agent --config "$T/conf"
page_rights >"$T/page"
running_rights >"$T/program"
same "docs/privileges.md has the uids and capabilities of the running processes"
check "all of them are jailed as docs/privileges.md says" jailed

# ---- the commands of the pages ----
# Commands of Porthole that a page shows: in its blocks, and in backquotes in its text and tables.
shown_commands() {
    {
        awk '/^```/ { inside = !inside; shell = /sh$/; next }
            inside && (shell || sub(/^\$ /, ""))' "$1"
        awk '/^```/ { inside = !inside; next } !inside' "$1" | grep -oE '`porthole [^`]+`' | tr -d '`'
    } | sed -E 's/ +#.*//' | grep -E '^(until )?portholed? ' | grep -vE 'TARGET|COMMAND|VIEW|…|portholed &' |
        grep -E " (--version|--help|list|status|doctor|render|[a-z]+ ($PLACES))( |\$)" | awk '!seen[$0]++'
}

# As it is run here: the containers of this test, half a second each.
PLACES='web1|web2|pay1|db1|api1|batch1|cache1|rust1|go1|job1|retail/shop-0/basket|all|nosuch|pid:[A-Z]+|unit:[a-z.]+'
here() {
    sed -E -e 's/ -d [0-9]+//' -e "s,porthole ([a-z]+) ($PLACES)( |\$),porthole \1 \2 -d 0.5\3," \
        -e 's/porthole render ([^ ]+) -d 0.5/porthole render \1/' \
        -e "s/\b(web1|web2|pay1|db1|api1|batch1|cache1|rust1|go1|job1)\b/pht$$-\1/g" -e "s/retail/r$$/g" \
        -e "s/pid:PID/pid:$$/"
}

# may_end STATUS COMMAND: what this machine lacks is no fault of a page.
may_end() {
    case $2 in
    *nosuch* | *unit:*) [ "$1" = 4 ] ;;
    *'-e cycles'* | *-misses* | *'-e sched:'*) [ "$1" = 0 ] || [ "$1" = 6 ] ;;
    *) [ "$1" = 0 ] ;;
    esac
}

# Runs a page's commands in their order; those that end otherwise are left in DIR/failed.
run_page() {
    local dir=$1 command status
    cd "$dir" || return
    while IFS= read -r command; do
        PATH=$B:$PATH timeout 60 bash -o pipefail -c "$command" <&- >out 2>err
        status=$?
        may_end $status "$command" || echo "$command: exit $status, $(tail -n 1 err)" >>failed
    done <commands
}

C_ALL="web1 web2 pay1 db1 api1 batch1 cache1 rust1 go1 job1"
for name in $C_ALL; do
    case $name in
    pay1) victim "pht$$-$name" /bin/waits locker holder sleeper ;;
    db1) victim "pht$$-$name" /bin/waits diskman ;;
    api1) victim "pht$$-$name" /bin/classes ;;
    *) victim "pht$$-$name" /bin/spin ;;
    esac
done
on_exit "runc_stop pht$$-pod; rm -rf --one-file-system '$T/pht$$-pod'"
victim_root "pht$$-pod"
runc_config "pht$$-pod" /bin/spin | jq --arg ns "r$$" '.annotations = {
    "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "basket",
    "io.kubernetes.cri.sandbox-name": "shop-0", "io.kubernetes.cri.sandbox-namespace": $ns,
    "io.kubernetes.cri.image-name": "shop:1"}' >"$T/pht$$-pod/config.json"
runc run --detach --bundle "$T/pht$$-pod" "pht$$-pod" </dev/null >"$T/pht$$-pod/log" 2>&1 ||
    not_ok "a pod's container starts" "$(tail -n 1 "$T/pht$$-pod/log")"

pages=(README.md docs/{architecture,privileges,waiting,cookbook,languages,coming-from}.md)
runs=()
for page in "${pages[@]}"; do
    dir=$T/run/$(basename "$page" .md)
    mkdir -p "$dir"
    shown_commands "$page" | here >"$dir/commands"
    run_page "$dir" &
    runs+=($!)
done
wait "${runs[@]}"
for page in "${pages[@]}"; do
    dir=$T/run/$(basename "$page" .md)
    if [ ! -s "$dir/commands" ]; then
        not_ok "the commands of $page work" "it shows none"
    elif [ -s "$dir/failed" ]; then
        not_ok "the commands of $page work" "$(wc -l <"$dir/failed") do not: $(head -n 2 "$dir/failed" | tr '\n' ';')"
        cat "$dir/failed"
    else
        ok "the commands of $page work ($(wc -l <"$dir/commands") of them)"
    fi
done
