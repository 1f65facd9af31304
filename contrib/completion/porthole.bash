# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Completion for bash. Commands, options and their values come from the program itself (porthole
# --commands), containers from the agent; so this need not know any. Names of containers are foreign
# text: they are compared and quoted, and never expanded.

# Candidates on standard input, one a line, that begin with $1; without $2, which stands there already.
_porthole_offer() {
    local candidate
    while IFS= read -r candidate; do
        [[ $candidate == "$1"* ]] && COMPREPLY+=("$(printf %q "${candidate#"$2"}")")
    done
}

# Names of running containers; $1 the program, $2 the agent's socket, if it is said.
_porthole_containers() {
    local name
    COLUMNS=1000 timeout 2 "$1" ${2:+--socket="$2"} list 2>/dev/null | while IFS= read -r name; do
        [[ $name == "NAME "* ]] || printf '%s\n' "${name%%  *}"
    done
    echo all
}

_porthole() {
    local -a words
    local line=${COMP_LINE:0:COMP_POINT} cur='' there='' table command='' operands='' socket='' option=''
    local kind name long short arg choices word rest=0 value='' next

    COMPREPLY=()
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] || { cur=${words[-1]} && unset 'words[-1]'; }
    table=$("${COMP_WORDS[0]}" --commands 2>/dev/null) || return

    # What stands before: the command, whether its operand is there, an option that wants a value.
    for word in "${words[@]:1}"; do
        if [[ $option ]]; then
            [[ $option == --socket ]] && socket=$word
            option=
            continue
        fi
        case $word in
        --socket=*) socket=${word#*=} ;;
        --*=*) ;;
        -?*)
            [[ $word == --socket ]] && option=$word
            while IFS=$'\x1f' read -r kind name long short arg choices _; do
                [[ $kind == option && $name == "$command" && $arg && ($word == "$long" || $word == "$short") ]] &&
                    option=$long
            done <<<"${table//$'\t'/$'\x1f'}"
            ;;
        *)
            if [[ $command ]]; then
                rest=$((rest + 1))
            else
                command=$word
            fi
            ;;
        esac
    done
    if [[ ! $option && $cur == --*=* ]]; then
        option=${cur%%=*}
        value=${cur%%=*}=
    fi

    # bash replaces what follows the last of these characters, where they end words for it.
    [[ $COMP_WORDBREAKS == *=* && $cur == *=* ]] && there=${cur%"${cur##*=}"}
    [[ $COMP_WORDBREAKS == *:* && $cur == *:* ]] && there=${cur%"${cur##*:}"}

    while IFS=$'\x1f' read -r kind name long short arg choices _; do
        [[ $kind == command && $name == "$command" ]] && operands=$long
        [[ $kind == option && $name == "$command" && $long == "$option" ]] || continue
        if [[ $choices ]]; then
            next=$'\n'$value
            _porthole_offer "$cur" "$there" <<<"$value${choices//|/$next}"
        elif [[ $arg == FILE || $arg == PATH ]]; then
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "${cur#"$value"}")
        fi
        return
    done <<<"${table//$'\t'/$'\x1f'}"
    [[ $option ]] && return

    if [[ ! $command ]]; then
        _porthole_offer "$cur" "$there" < <(awk -F '\t' '$1 == "command" { print $2 }' <<<"$table"
            [[ $cur != -* ]] || printf '%s\n' --socket --help --version)
    elif [[ $cur == -* || ! $operands || $rest -gt 0 ]]; then
        _porthole_offer "$cur" "$there" < <(awk -F '\t' -v c="$command" '$1 == "option" && $2 == c {
            print $3
        }' <<<"$table"; echo --help)
    elif [[ $operands == FILE ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    else
        _porthole_offer "$cur" "$there" < <(_porthole_containers "${COMP_WORDS[0]}" "$socket")
    fi
}

complete -F _porthole porthole
