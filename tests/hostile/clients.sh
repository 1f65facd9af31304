#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# Misbehaving clients (rows C1, C2, C3, C5, C6): tests/hostile/clients.py against a real agent.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc /usr/bin/python3

A=pht$$-a
chmod 755 "$T"
start_agent
victim "$A" /bin/spin
prlimit --pid $$ --nofile=4096:4096 2>/dev/null
/usr/bin/python3 "$ROOT/tests/hostile/clients.py" "$PORTHOLE_SOCKET" "$AGENT_PID" "$A" ||
    not_ok "the misbehaving clients run to their end" "exit $?"
check "the agent that met them all is still the same one" kill -0 "$AGENT_PID"
check "it never said that something of its own broke" lacks "$T/agent.log" 'assert|Sanitizer|signal 11'
