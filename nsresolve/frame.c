/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/frame.h"

static const char *const sources[SOURCE_COUNT] = {
    [SOURCE_NONE] = "none",
    [SOURCE_SYMTAB] = "symtab",
    [SOURCE_DYNSYM] = "dynsym",
    [SOURCE_MINIDEBUG] = "minidebug",
    [SOURCE_PLT] = "plt",
    [SOURCE_DEBUG_FILE] = "debug-file",
    [SOURCE_PERF_MAP] = "perf-map",
    [SOURCE_KALLSYMS] = "kallsyms",
    [SOURCE_VDSO] = "vdso",
    [SOURCE_PCLNTAB] = "pclntab",
    [SOURCE_DWARF_INLINE] = "dwarf-inline",
    [SOURCE_JITDUMP] = "jitdump",
    [SOURCE_DEBUGINFOD] = "debuginfod",
    [SOURCE_LABEL] = "label",
};

static const struct {
    const char *name;
    const char *remedy;
} reasons[REASON_COUNT] = {
    [REASON_NONE] = {"none", ""},
    [REASON_STRIPPED] = {"stripped", "install its debug symbols in the image or under "
                                     "/usr/lib/debug on the host"},
    [REASON_NO_SYMBOL] = {"no-symbol", ""},
    [REASON_FILE_GONE] = {"file-gone", "capture while the program runs: its file was removed or "
                                       "replaced before it could be opened"},
    [REASON_FILE_UNREADABLE] = {"file-unreadable", "let root on the host read the file: a FUSE "
                                                   "mount, for one, needs allow_other"},
    [REASON_FILE_REFUSED] = {"file-refused", "run the program from a plain file on a file system "
                                             "that keeps files"},
    [REASON_LIMIT] = {"limit", "capture fewer programs at a time, or raise the agent's limit of "
                               "open files"},
    [REASON_PARSER] = {"parser", "check the file with readelf: it is damaged or beyond the bounds"},
    [REASON_JIT_NO_MAP] = {"jit-no-map", "switch the runtime's perf map or jitdump file on (node "
                                         "--perf-basic-prof or --perf-prof, python >= 3.12 -X "
                                         "perf), or ask for it (java: --java)"},
    [REASON_JIT_NOT_IN_MAP] = {"jit-not-in-map", "code that its runtime did not list; node: use "
                                                 "--interpreted-frames-native-stack"},
    [REASON_JIT_MAP_REFUSED] = {"jit-map-refused", "the perf map or jitdump file must be a regular "
                                                   "file of the process's own user or its root"},
    [REASON_JIT_MOVED] = {"jit-code-moved",
                          "the runtime moved or replaced code there while it was "
                          "sampled; a jitdump file (node --perf-prof) tells when"},
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

static const struct {
    const char *name;
    const char *remedy;
} inline_causes[INLINES_COUNT] = {
    [INLINES_NOT_ASKED] = {"not-asked", ""},
    [INLINES_EXPANDED] = {"expanded", ""},
    [INLINES_NO_DWARF] = {"no-dwarf", "build it with -g, or install its debug symbols in the image "
                                      "or under /usr/lib/debug on the host"},
    [INLINES_NO_UNIT] = {"no-unit", "that part of it was built without -g"},
    [INLINES_SPLIT] = {"split-dwarf", "build it without -gsplit-dwarf"},
    [INLINES_NO_ALT] = {"no-alternate-file", "install the file that its .gnu_debugaltlink names "
                                             "in the image or under /usr/lib/debug on the host"},
    [INLINES_BOUNDS] = {"bounds", ""},
    [INLINES_PARSER] = {"parser",
                        "check the file with readelf: it is damaged or beyond the bounds"},
    [INLINES_TIMEOUT] = {"timeout", "try again: the host is loaded or a file system hangs"},
};

const char *frame_inlines_name(enum frame_inlines inlines)
{
    return inlines < INLINES_COUNT ? inline_causes[inlines].name : "not-asked";
}

const char *frame_inlines_remedy(enum frame_inlines inlines)
{
    return inlines < INLINES_COUNT ? inline_causes[inlines].remedy : "";
}

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

enum frame_reason frame_reason_of_file(enum file_reason reason)
{
    switch (reason) {
    case FILE_NOT_FOUND:
    case FILE_REPLACED:
    case FILE_GONE:
        return REASON_FILE_GONE;
    case FILE_TIMEOUT:
    case FILE_BREAKER:
        return REASON_TIMEOUT;
    case FILE_LIMIT:
        return REASON_LIMIT;
    case FILE_UNREADABLE:
        return REASON_FILE_UNREADABLE;
    default:
        return REASON_FILE_REFUSED;
    }
}
