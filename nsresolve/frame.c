/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/frame.h"

static const char *const sources[SOURCE_COUNT] = {
    [SOURCE_NONE] = "none",         [SOURCE_SYMTAB] = "symtab",
    [SOURCE_DYNSYM] = "dynsym",     [SOURCE_DEBUG_FILE] = "debug-file",
    [SOURCE_PERF_MAP] = "perf-map", [SOURCE_KALLSYMS] = "kallsyms",
    [SOURCE_VDSO] = "vdso",
};

static const struct {
    const char *name;
    const char *remedy;
} reasons[REASON_COUNT] = {
    [REASON_NONE] = {"none", ""},
    [REASON_STRIPPED] = {"stripped", "install its debug symbols in the image or under "
                                     "/usr/lib/debug on the host"},
    [REASON_FILE] = {"file", "let the agent's host user read the file, or keep it in place while "
                             "it runs"},
    [REASON_PARSER] = {"parser", "check the file with readelf: it is damaged or beyond the bounds"},
    [REASON_JIT_NO_MAP] = {"jit-no-map", "switch the runtime's perf map on (node "
                                         "--perf-basic-prof, python >= 3.12 -X perf, a perf-map "
                                         "agent for java)"},
    [REASON_JIT_NOT_IN_MAP] = {"jit-not-in-map", "code that its runtime did not list; node: use "
                                                 "--interpreted-frames-native-stack"},
    [REASON_JIT_MAP_REFUSED] = {"jit-map-refused", "the perf map must be a regular file of the "
                                                   "process's own user or its root"},
    [REASON_NO_MAPPING] = {"no-mapping",
                           "the stack was walked wrongly there: code without unwind information or "
                           "frame pointers"},
    [REASON_CHANGED] = {"mapping-changed", ""},
    [REASON_PROCESS_GONE] = {"process-gone", ""},
    [REASON_KERNEL_HIDDEN] = {"kernel-hidden", "set kernel.kptr_restrict to 1 or 0 and give the "
                                               "agent CAP_SYSLOG at its start"},
    [REASON_KERNEL] = {"kernel", ""},
    [REASON_TIMEOUT] = {"timeout", "try again: the host is loaded or a file system hangs"},
};

const char *frame_source_name(enum frame_source source)
{
    return source < SOURCE_COUNT ? sources[source] : "none";
}

const char *frame_reason_name(enum frame_reason reason)
{
    return reason < REASON_COUNT ? reasons[reason].name : "none";
}

const char *frame_reason_remedy(enum frame_reason reason)
{
    return reason < REASON_COUNT ? reasons[reason].remedy : "";
}
