/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/runtimes_json.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <string.h>

#define DEPTH_MAX 32
#define NESTED_MAX ((size_t)64 << 10) /* bytes of JSON within a string */
#define K8S "io.kubernetes."

static void json_putp(json_object **o)
{
    if (*o)
        json_object_put(*o);
}
#define _cleanup_json_ _cleanup_(json_putp)

/* The whole of data is one JSON value of this type; NULL otherwise. */
static json_object *parse(const char *data, size_t size, json_type type)
{
    json_tokener *tok = json_tokener_new_ex(DEPTH_MAX);
    json_object *o;
    size_t end;

    if (!tok || size > INT_MAX) {
        json_tokener_free(tok);
        return NULL;
    }
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
    o = json_tokener_parse_ex(tok, data, (int)size);
    end = json_tokener_get_parse_end(tok);
    while (end < size && strchr(" \t\r\n", data[end]) && data[end])
        end++;
    if (o && (json_tokener_get_error(tok) != json_tokener_success || end != size ||
              !json_object_is_type(o, type))) {
        json_object_put(o);
        o = NULL;
    }
    json_tokener_free(tok);
    return o;
}

/* Borrowed; NULL when it is not there or has another type. */
static json_object *member(json_object *o, const char *key, json_type type)
{
    json_object *v;

    if (!o || !json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &v) ||
        !json_object_is_type(v, type))
        return NULL;
    return v;
}

/* Borrowed; NULL when it is not a string that can be used. */
static const char *text_upto(json_object *v, size_t max)
{
    const char *s;
    size_t size;

    if (!v || !json_object_is_type(v, json_type_string))
        return NULL;
    s = json_object_get_string(v);
    size = (size_t)json_object_get_string_len(v);
    return size > 0 && size <= max && strlen(s) == size ? s : NULL;
}

static const char *text_of(json_object *v)
{
    return text_upto(v, RUNTIMES_TEXT_MAX);
}

static const char *text(json_object *o, const char *key)
{
    return text_of(member(o, key, json_type_string));
}

/* An object that is written as a string; the caller's. */
static json_object *nested(json_object *o, const char *key)
{
    const char *s = text_upto(member(o, key, json_type_string), NESTED_MAX);

    return s ? parse(s, strlen(s), json_type_object) : NULL;
}

/* A positive integer up to max, or 0. */
static uint64_t number(json_object *o, const char *key, uint64_t max)
{
    json_object *v = member(o, key, json_type_int);
    int64_t n = v ? json_object_get_int64(v) : 0;

    return n > 0 && (uint64_t)n <= max ? (uint64_t)n : 0;
}

/* Replaces *to by a copy unless s is NULL. */
static int set(char **to, const char *s)
{
    char *copy;

    if (!s)
        return 0;
    copy = strdup(s);
    if (!copy)
        return -ENOMEM;
    free(*to);
    *to = copy;
    return 0;
}

/* ---- labels and annotations ---- */

struct labels {
    json_object *object; /* {"key": "value"} */
    json_object *list;   /* ["key=value"] */
};

static const char *label(const struct labels *l, const char *key)
{
    size_t size = strlen(key), count = l->list ? json_object_array_length(l->list) : 0;
    const char *s = text(l->object, key);

    for (size_t i = 0; i < count && !s; i++) {
        const char *entry = text_of(json_object_array_get_idx(l->list, i));

        if (entry && strncmp(entry, key, size) == 0 && entry[size] == '=' && entry[size + 1])
            s = entry + size + 1;
    }
    return s;
}

static const char *first(const char *a, const char *b)
{
    return a ? a : b;
}

/* Pod, namespace and container as containerd's CRI plugin annotates them. */
static int claim_cri(const struct labels *l, const char *type, struct claim *c)
{
    int r;

    c->runtime = RUNTIME_CRI;
    c->sandbox = strcmp(type, "sandbox") == 0;
    r = set(&c->pod, label(l, K8S "cri.sandbox-name"));
    if (r == 0)
        r = set(&c->namespace, label(l, K8S "cri.sandbox-namespace"));
    if (r == 0)
        r = set(&c->pod_uid, label(l, K8S "cri.sandbox-uid"));
    if (r == 0)
        r = set(&c->image, label(l, K8S "cri.image-name"));
    if (r == 0)
        r = set(&c->name, first(label(l, K8S "cri.container-name"), c->sandbox ? "POD" : NULL));
    return r;
}

/* The labels that kubelet gives every container: dockershim's, CRI-O's. */
static int claim_kubelet(const struct labels *l, struct claim *c)
{
    int r = set(&c->pod, label(l, K8S "pod.name"));

    if (r == 0)
        r = set(&c->namespace, label(l, K8S "pod.namespace"));
    if (r == 0)
        r = set(&c->pod_uid, label(l, K8S "pod.uid"));
    if (r == 0)
        r = set(&c->name, label(l, K8S "container.name"));
    return r;
}

/* podman writes some io.kubernetes.cri-o.* too; only CRI-O knows a pod's name. */
static int claim_crio(const struct labels *l, struct claim *c)
{
    const char *type = label(l, K8S "cri-o.ContainerType");
    const char *pod = first(label(l, K8S "cri-o.KubeName"), label(l, K8S "pod.name"));
    _cleanup_json_ json_object *inner = nested(l->object, K8S "cri-o.Labels");
    int r;

    c->sandbox = type && strcmp(type, "sandbox") == 0;
    if (!pod && !text(inner, K8S "pod.name"))
        return 0;
    c->runtime = RUNTIME_CRI;
    r = set(&c->namespace, label(l, K8S "cri-o.Namespace"));
    if (r == 0)
        r = set(&c->image, label(l, K8S "cri-o.ImageName"));
    if (r == 0)
        r = set(&c->pod, pod);
    if (r == 0)
        r = claim_kubelet(l, c);
    if (r == 0 && inner)
        r = claim_kubelet(&(struct labels){.object = inner}, c);
    return r == 0 && c->sandbox ? set(&c->name, "POD") : r;
}

static int claim_annotations(const struct labels *l, struct claim *c)
{
    const char *type = label(l, K8S "cri.container-type");
    int r;

    if (type)
        return claim_cri(l, type, c);
    r = claim_crio(l, c);
    if (r == 0 && c->runtime != RUNTIME_CRI)
        r = set(&c->name, label(l, "nerdctl/name"));
    return r;
}

/* ---- the files ---- */

int runtimes_json_docker_config(const char *data, size_t size, struct claim *c)
{
    _cleanup_json_ json_object *o = parse(data, size, json_type_object);
    json_object *state = member(o, "State", json_type_object);
    json_object *config = member(o, "Config", json_type_object);
    json_object *running = member(state, "Running", json_type_boolean);
    struct labels labels = {.object = member(config, "Labels", json_type_object)};
    const char *name = text(o, "Name"), *id = text(o, "ID"), *type;
    int r;

    if (!o || !state || !id || strcmp(id, c->id) != 0)
        return -EBADMSG;
    if (name && *name == '/')
        name++;
    r = set(&c->name, name);
    if (r == 0)
        r = set(&c->image, text(config, "Image"));
    if (running && json_object_get_boolean(running))
        c->pid = (int32_t)number(state, "Pid", INT32_MAX);
    type = label(&labels, K8S "docker.type");
    if (r < 0 || !type)
        return r;
    c->sandbox = strcmp(type, "podsandbox") == 0;
    return claim_kubelet(&labels, c);
}

/* Docker mounts these of its own files into every container: they give its data-root away. */
static int docker_root_of(json_object *mounts, struct claim *c)
{
    static const char *const leaves[] = {"hostname", "hosts", "resolv.conf"};
    size_t count = mounts ? json_object_array_length(mounts) : 0;
    char tail[RUNTIMES_TEXT_MAX];

    for (size_t i = 0; i < count; i++) {
        const char *source = text(json_object_array_get_idx(mounts, i), "source");

        for (size_t k = 0; source && k < ARRAY_SIZE(leaves); k++) {
            size_t n = (size_t)snprintf(tail, sizeof(tail), "/containers/%s/%s", c->id, leaves[k]);
            size_t length = strlen(source);

            if (n >= sizeof(tail) || length <= n || strcmp(source + length - n, tail) != 0)
                continue;
            c->docker_root = strndup(source, length - n);
            return c->docker_root ? 0 : -ENOMEM;
        }
    }
    return 0;
}

int runtimes_json_oci_config(const char *data, size_t size, struct claim *c)
{
    _cleanup_json_ json_object *o = parse(data, size, json_type_object);
    struct labels labels = {.object = member(o, "annotations", json_type_object)};
    int r;

    if (!o)
        return -EBADMSG;
    r = claim_annotations(&labels, c);
    if (r == 0)
        r = set(&c->cgroup, text(member(o, "linux", json_type_object), "cgroupsPath"));
    if (r == 0 && c->runtime == RUNTIME_DOCKER)
        r = docker_root_of(member(o, "mounts", json_type_array), c);
    return r;
}

int runtimes_json_runc_state(const char *data, size_t size, struct claim *c)
{
    _cleanup_json_ json_object *o = parse(data, size, json_type_object);
    json_object *start = member(o, "init_process_start", json_type_int);
    json_object *config = member(o, "config", json_type_object);
    struct labels labels = {.list = member(config, "labels", json_type_array)};
    const char *id = text(o, "id");

    if (!o || !start || !id || strcmp(id, c->id) != 0)
        return -EBADMSG;
    c->pid = (int32_t)number(o, "init_process_pid", INT32_MAX);
    c->start_time = number(o, "init_process_start", INT64_MAX);
    /* Without a start time the pid could be anybody's. */
    if (c->start_time == 0)
        c->pid = 0;
    return claim_annotations(&labels, c);
}

int runtimes_json_crun_status(const char *data, size_t size, struct claim *c)
{
    _cleanup_json_ json_object *o = parse(data, size, json_type_object);

    if (!o)
        return -EBADMSG;
    c->pid = (int32_t)number(o, "pid", INT32_MAX);
    c->start_time = number(o, "process-start-time", INT64_MAX);
    return set(&c->cgroup, text(o, "cgroup-path"));
}

/* CRI-O calls a pod's sandbox k8s_POD_NAMESPACE_UID_ATTEMPT; none of these has a "_" in it. */
static int claim_crio_pod(const char *pod_name, struct claim *c)
{
    char *fields[5] = {0}, *rest;
    _cleanup_free_ char *copy = strdup(pod_name);
    int r;

    if (!copy)
        return -ENOMEM;
    rest = copy;
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        fields[i] = strsep(&rest, "_");
    if (!fields[4] || strcmp(fields[0], "k8s") != 0)
        return 0;
    c->runtime = RUNTIME_CRI;
    r = set(&c->pod, fields[1]);
    if (r == 0)
        r = set(&c->namespace, fields[2]);
    if (r == 0)
        r = set(&c->pod_uid, fields[3]);
    return r;
}

/* One entry of containers/storage, which podman and CRI-O share. */
static int parse_storage_entry(json_object *o, struct claims *ret)
{
    json_object *names = member(o, "names", json_type_array), *pod_flag;
    const char *id = text(o, "id"), *pod_name;
    _cleanup_json_ json_object *meta = nested(o, "metadata");
    struct claim *c;
    int r;

    if (!id)
        return 0;
    c = claims_add(ret);
    if (!c)
        return -ENOMEM;
    c->runtime = RUNTIME_PODMAN;
    r = set(&c->id, id);
    /* The metadata keep the first name, the list has the one since "podman rename". */
    if (r == 0)
        r = set(&c->name, text(meta, "name"));
    if (r == 0 && names && json_object_array_length(names) > 0)
        r = set(&c->name, text_of(json_object_array_get_idx(names, 0)));
    if (r == 0)
        r = set(&c->image, text(meta, "image-name"));
    pod_name = text(meta, "pod-name");
    if (r < 0 || !pod_name)
        return r;
    pod_flag = member(meta, "pod", json_type_boolean);
    c->sandbox = pod_flag && json_object_get_boolean(pod_flag);
    r = claim_crio_pod(pod_name, c);
    return r < 0 ? r : set(&c->name, c->sandbox ? "POD" : text(meta, "metadata-name"));
}

int runtimes_json_podman_containers(const char *data, size_t size, struct claims *ret)
{
    _cleanup_json_ json_object *o = parse(data, size, json_type_array);
    size_t count = o ? json_object_array_length(o) : 0;

    if (!o)
        return -EBADMSG;
    for (size_t i = 0; i < count; i++) {
        int r = parse_storage_entry(json_object_array_get_idx(o, i), ret);

        if (r < 0)
            return r;
    }
    return 0;
}
