#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Who may ask (row C4): a uid without access is denied by the socket's mode, and, should somebody
# open the socket to all, by the agent itself.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands setpriv unshare

start_agent
chmod 755 "$T"
nobody() {
    setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}
cp "$B/porthole" "$T/porthole" # where that uid can run it

check "the socket is for root and its group only" [ "$(stat -c %a "$PORTHOLE_SOCKET")" = 660 ]
exits_with 5 "a uid without access is denied" nobody "$T/porthole" status
check "it is told so in one line with a remedy" [ "$(wc -l <"$T/err")" -le 2 ]
check "the line names the socket" grep -q "$PORTHOLE_SOCKET" "$T/err"

chmod 666 "$PORTHOLE_SOCKET"
exits_with 5 "a uid without access is denied by the agent too" nobody "$T/porthole" status
exits_with 5 "it cannot capture either" nobody "$T/porthole" cpu all -d 1 -f folded
if nobody unshare --user --map-root-user true 2>/dev/null; then
    exits_with 5 "root of another user namespace is denied" \
        nobody unshare --user --map-root-user "$T/porthole" status
else
    skip "root of another user namespace is denied" "no user namespaces for that uid here"
fi
exits_with 0 "root is served all the same" "$B/porthole" status
exits_with 3 "no agent at that socket is said so" "$B/porthole" --socket "$T/nobody.sock" status
