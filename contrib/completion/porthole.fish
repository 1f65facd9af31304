# SPDX-License-Identifier: Apache-2.0
#
# Completion for fish. Commands, options and their values come from the program itself (porthole
# --commands), containers from the agent.

function __porthole_complete
    set -l before (commandline -opc)
    set -l cur (commandline -ct)
    set -l program $before[1]
    set -l table ($program --commands 2>/dev/null)
    set -l command ''
    set -l option ''
    set -l socket
    set -l rest 0

    # What stands before: the command, whether its operand is there, an option that wants a value.
    for word in $before[2..-1]
        if test -n "$option"
            test "$option" = --socket; and set socket --socket=$word
            set option ''
        else if string match -q -- '--socket=*' $word
            set socket $word
        else if string match -q -- '--*=*' $word
            continue
        else if string match -q -- '-?*' $word
            string match -q -- --socket $word; and set option $word
            for row in $table
                set -l f (string split \t -- $row)
                test "$f[1]" = option -a "$f[2]" = "$command" -a -n "$f[5]"; or continue
                contains -- $word $f[3] $f[4]; and set option $f[3]
            end
        else if test -n "$command"
            set rest 1
        else
            set command $word
        end
    end
    set -l value ''
    if test -z "$option"; and string match -q -- '--*=*' $cur
        set option (string split -m 1 = -- $cur)[1]
        set value $option=
    end

    set -l operands ''
    for row in $table
        set -l f (string split \t -- $row)
        test "$f[1]" = command -a "$f[2]" = "$command"; and set operands $f[3]
        test -n "$option" -a "$f[1]" = option -a "$f[2]" = "$command" -a "$f[3]" = "$option"; or continue
        if test -n "$f[6]"
            printf "$value%s\n" (string split '|' -- $f[6])
        else if contains -- $f[5] FILE PATH
            __fish_complete_path (string replace -- "$value" '' $cur) | string replace -r '^' -- $value
        end
        return
    end
    test -n "$option"; and return

    if test -z "$command"
        for row in $table
            set -l f (string split \t -- $row)
            test "$f[1]" = command; and printf '%s\t%s\n' $f[2] $f[4]
        end
        printf '%s\n' --socket --help --version
    else if string match -q -- '-*' $cur; or test -z "$operands" -o $rest = 1
        for row in $table
            set -l f (string split \t -- $row)
            test "$f[1]" = option -a "$f[2]" = "$command"; and printf '%s\t%s\n' $f[3] $f[7]
        end
    else if test "$operands" = FILE
        __fish_complete_path $cur
    else
        COLUMNS=1000 timeout 2 $program $socket list 2>/dev/null | tail -n +2 | string replace -r '  .*' ''
        echo all
    end
end

complete -c porthole -f -a '(__porthole_complete)'
