#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# Completion, typed into real shells: commands, options, their values and containers' names, from the
# program's own tables and the agent's list. A name from a container is never run.
. "$(dirname "$0")/../lib.sh"
need_commands python3 awk

COMPLETION=$ROOT/contrib/completion

# A terminal sees the words that the shell passes on, completion functions the real program.
mkdir "$T/bin"
cat >"$T/bin/porthole" <<END
#!/bin/sh
[ -t 1 ] || exec "$B/porthole" "\$@"
printf '<%s>' "\$@"
END
chmod 755 "$T/bin/porthole"
export PATH=$T/bin:$PATH
touch "$T/saved.json"
"$B/porthole" --commands >"$T/commands"

# An agent whose containers have names such as no runtime would give, but an annotation may hold.
# shellcheck disable=SC2016 # not to be expanded
serve_names() {
    cat >"$T/list" <<'END'
{"type":"record","kind":"container","name":"web1","id":"0123456789abcdef","runtime":"runc","init_pid":1,"processes":1}
{"type":"record","kind":"container","name":"x$(touch PWNED)`touch PWNED`","id":"1123456789abcdef","runtime":"runc","init_pid":2,"processes":1}
{"type":"record","kind":"container","name":"y;touch PWNED;'\"","id":"2123456789abcdef","runtime":"runc","init_pid":3,"processes":1}
{"type":"end","status":"done"}
END
    socat "UNIX-LISTEN:$PORTHOLE_SOCKET,fork" "SYSTEM:head -n 1 >/dev/null; cat '$T/list'" 2>"$T/socat.log" &
    on_exit stop_process $!
    wait_for 20 test -S "$PORTHOLE_SOCKET"
}

# types SENTENCE KEYS WANTED: what KEYS become in $SHELL_RUN, after the line $SETUP.
types() {
    # shellcheck disable=SC2086 # words
    (cd "$T" && timeout 120 python3 "$ROOT/tests/e2e/typed.py" "$SETUP" "$2" $SHELL_RUN) >"$T/typed" 2>&1
    check "$NAME: $1" grep -qF -- "$3" "$T/typed"
}

tries() {
    NAME=$1 SETUP=$2 SHELL_RUN=$3
    types "a command's beginning is completed" 'porthole sta\tes' '<states>'
    types "a command that only one can be is completed" 'porthole doc\t' '<doctor>'
    types "a long option is completed" 'porthole cpu web1 --dur\t 1' '<--duration>'
    types "an option's value is completed" 'porthole cpu web1 -f pp\t' '<-f><pprof>'
    types "so it is behind an equals sign" 'porthole offcpu web1 --state=uni\t' '<--state=uninterruptible>'
    types "a container's name is completed" 'porthole cpu we\t -d 1' '<cpu><web1><-d>'
    types "so it is behind options" 'porthole cpu --title new -d 5 we\t' '<5><web1>'
    types "a file's name is completed" 'porthole render sav\t' '<render><saved.json>'
    types "an output file's too" 'porthole cpu web1 -o sav\t' '<-o><saved.json>'
    # shellcheck disable=SC2016 # not to be expanded
    types "a hostile name is quoted" 'porthole cpu x\t' '<cpu><x$(touch PWNED)`touch PWNED`>'
    types "whatever is in it" 'porthole cpu y\t' "<cpu><y;touch PWNED;'\">"
    check "$NAME: and never run" [ ! -e "$T/PWNED" ]
}

need_commands socat
serve_names
tries bash "source '$COMPLETION/porthole.bash'" "bash --norc --noprofile -i"

# The function itself, for what many keystrokes would show.
replies() {
    COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=("$B/porthole") COMPREPLY=()
    _porthole 2>/dev/null
    printf '%s\n' "${COMPREPLY[@]}" | sed '/^--help$/d' | sort
}
# shellcheck source=contrib/completion/porthole.bash
. "$COMPLETION/porthole.bash"
replies 'porthole ' >"$T/got"
awk -F '\t' '$1 == "command" { print $2 }' "$T/commands" | sort >"$T/wanted"
check "bash: all commands are offered" diff "$T/wanted" "$T/got"
all_options() {
    local command
    while read -r command; do
        replies "porthole $command --" >"$T/got"
        awk -F '\t' -v c="$command" '$1 == "option" && $2 == c { print $3 }' "$T/commands" | sort >"$T/options"
        diff "$T/options" "$T/got" || { echo "$command: see above" && return 1; }
    done <"$T/wanted"
}
check "bash: each command's options are offered, and no others" all_options
replies "porthole cpu --socket $T/none " >"$T/got"
check "bash: without an agent there is 'all'" [ "$(cat "$T/got")" = all ]

if command -v zsh >/dev/null; then
    tries zsh "fpath=('$COMPLETION' \$fpath); autoload -Uz compinit; compinit -D -u" "zsh -f -i"
else
    skip "zsh completes" "needs 'zsh'"
fi
if command -v fish >/dev/null; then
    export XDG_CONFIG_HOME=$T XDG_DATA_HOME=$T
    tries fish "source '$COMPLETION/porthole.fish'" "fish --no-config -i"
else
    skip "fish completes" "needs 'fish'"
fi
