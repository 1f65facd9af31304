/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of the protocol as a json-c object, parsed strictly, and careful access to its fields.
 *
 * json-c by itself takes trailing bytes, NaN, numbers that do not fit, and the last of two equal
 * keys; the strict one of the two functions takes none of that. For requests, the stream reader and
 * the commands that print replies.
 */
#pragma once

#include "base/err.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#define JSON_LINE_MAX (1u << 20) /* bytes in one line of a reply */
#define JSON_DEPTH_MAX 16

static inline void json_putp(struct json_object **o)
{
    json_object_put(*o);
}
#define _cleanup_json_ _cleanup_(json_putp)

/* Parses one whole object without its newline; the caller owns *ret. Returns 0, or a negative errno
 * with e saying what is wrong with the line. */
int json_parse_line(const char *line, size_t size, struct json_object **ret, struct err *e);

/* As json_parse_line(), and refuses NaN, equal keys in one object and whole numbers beyond 64 bits,
 * of which json-c would take the last and the nearest. For what clients send. */
int json_parse_strict(const char *line, size_t size, struct json_object **ret, struct err *e);

/* A string, borrowed from o; NULL when absent or no string. */
const char *json_string(const struct json_object *o, const char *field);

/* A whole number within [0, max]; false when absent or anything else. */
bool json_number(const struct json_object *o, const char *field, uint64_t max, uint64_t *ret);

/* The number, or 0. */
uint64_t json_count(const struct json_object *o, const char *field);

/* True for true; false for anything else. */
bool json_flag(const struct json_object *o, const char *field);

/* An object or array, borrowed; NULL when absent or of another type. */
struct json_object *json_member(const struct json_object *o, const char *field,
                                enum json_type type);
