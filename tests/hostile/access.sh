#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Who may ask (row C4): the socket's mode decides, also about root of somebody's user namespace; and
# users that the agent's user namespace does not know are denied whatever the mode says.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands setpriv unshare

start_agent
chmod 755 "$T"
# as UID COMMAND…
as() {
    local uid=$1
    shift
    setpriv --reuid "$uid" --regid "$uid" --clear-groups "$@"
}
cp "$B/porthole" "$T/porthole" # where that uid can run it

check "the socket is for root and its group only" [ "$(stat -c %a "$PORTHOLE_SOCKET")" = 660 ]
exits_with 5 "a uid without access is denied" as 12345 "$T/porthole" status
check "it is told so in one line with a remedy" [ "$(wc -l <"$T/err")" -le 2 ]
check "the line names the socket" grep -q "$PORTHOLE_SOCKET" "$T/err"
exits_with 5 "it cannot capture either" as 12345 "$T/porthole" cpu all -d 1 -f folded
if as 12345 unshare --user --map-root-user true 2>/dev/null; then
    exits_with 5 "root of its own user namespace is still that uid, and denied" \
        as 12345 unshare --user --map-root-user "$T/porthole" status
else
    skip "root of its own user namespace is still that uid, and denied" "no user namespaces for it"
fi

chmod 666 "$PORTHOLE_SOCKET"
overflow=$(cat /proc/sys/kernel/overflowuid)
exits_with 5 "the uid that unknown users show as is denied even by an open socket" \
    as "$overflow" "$T/porthole" status
check "it is told where to connect from" grep -q "user namespace" "$T/err"
exits_with 0 "root is served all the same" "$B/porthole" status
exits_with 3 "no agent at that socket is said so" "$B/porthole" --socket "$T/nobody.sock" status
