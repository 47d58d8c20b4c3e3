/*
 * Everything is read at start: a request costs one look-up and one copy, and the directory may
 * change or vanish under a running server without one page being served half old, half new.
 *
 * Symbolic links are followed to regular files that lie inside the root, because that is how
 * Kubernetes mounts a ConfigMap (index.html → ..data/index.html); links to directories are not, so
 * there are no cycles.
 */
#include "common/static_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <uv.h>

#include "common/http_response.h"
#include "common/map.h"
#include "common/memory.h"

#define FILE_COUNT_LIMIT 1000
#define TOTAL_SIZE_LIMIT ((size_t)16 << 20)
#define ENTITY_TAG_SIZE  (2 + 64) /* SHA-256 in hexadecimal, in quotes */
#define INDEX_NAME       "index.html"

struct file {
    struct map_entry entry; /* by path: "/scripts/chat.js" */
    char *path;
    const char *content_type;
    char entity_tag[ENTITY_TAG_SIZE + 1];
    char *headers; /* those that do not depend on the request */
    struct buffer content;
};

struct static_files {
    struct map by_path;
    size_t total_size;
    char *root; /* without links in it; while loading */
};

static const struct {
    const char *ending;
    const char *type;
} content_types[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".d.ts", "text/plain; charset=utf-8"},
    {".txt", "text/plain; charset=utf-8"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".webmanifest", "application/manifest+json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".gif", "image/gif"},
    {".webp", "image/webp"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
};

/* Scripts, styles, images, fonts and the manifest from here; WebSocket connections to anywhere, for
 * a page may stand on another host than its gateway. `ws:` and `wss:` are named because 'self' does
 * not cover them in every browser. */
static const char fixed_headers[] =
    "Cache-Control: no-cache\r\n"
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; font-src 'self'; manifest-src 'self'; connect-src 'self' ws: wss:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "Referrer-Policy: no-referrer\r\n";

static const char *content_type_of(const char *path)
{
    size_t path_size = strlen(path);

    for (size_t i = 0; i < sizeof(content_types) / sizeof(content_types[0]); i++) {
        size_t size = strlen(content_types[i].ending);

        if (path_size > size && strcasecmp(path + path_size - size, content_types[i].ending) == 0)
            return content_types[i].type;
    }
    return "application/octet-stream";
}

static void destroy_file(struct file *file)
{
    memory_free(file->path);
    memory_free(file->headers);
    buffer_deinit(&file->content);
    memory_free(file);
}

/* Strong: the same tag means the same bytes (RFC 9110 §8.8.3), on every gateway behind a balancer.
 */
static int make_entity_tag(struct file *file)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    char *text = file->entity_tag;

    if (EVP_Digest(file->content.data, file->content.size, digest, &size, EVP_sha256(), NULL) != 1)
        return UV_EIO;
    *text++ = '"';
    for (unsigned int i = 0; i < size; i++)
        text += snprintf(text, 3, "%02x", digest[i]);
    *text++ = '"';
    *text = '\0';
    return 0;
}

static void make_headers(struct file *file)
{
    struct buffer headers = {0};

    buffer_printf(&headers, "ETag: %s\r\n%s", file->entity_tag, fixed_headers);
    file->headers = memory_copy_text((const char *)headers.data, headers.size);
    buffer_deinit(&headers);
}

/* Reads to the end; more than `limit` bytes are UV_E2BIG. */
static int read_content(int descriptor, size_t limit, struct buffer *content)
{
    static const size_t chunk_size = 16384;

    for (;;) {
        ssize_t size = read(descriptor, buffer_reserve(content, chunk_size), chunk_size);

        if (size == 0)
            return 0;
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return uv_translate_sys_error(errno);
        content->size += (size_t)size;
        if (content->size > limit)
            return UV_E2BIG;
    }
}

/* `real_path` has no links in it; `path` is what the file is called in requests. */
static int load_file(struct static_files *files, const char *real_path, const char *path)
{
    if (files->by_path.count == FILE_COUNT_LIMIT)
        return UV_E2BIG;

    int descriptor = open(real_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (descriptor < 0)
        return uv_translate_sys_error(errno);

    struct file *file = memory_zeroed(1, sizeof(*file));
    int result = read_content(descriptor, TOTAL_SIZE_LIMIT - files->total_size, &file->content);

    close(descriptor);
    if (result == 0)
        result = make_entity_tag(file);
    if (result != 0) {
        destroy_file(file);
        return result;
    }
    make_headers(file);
    file->path = memory_copy_text(path, strlen(path));
    file->content_type = content_type_of(path);
    files->total_size += file->content.size;
    map_insert(&files->by_path, &file->entry, file->path, strlen(file->path));
    return 0;
}

static bool is_below(const char *path, const char *root)
{
    size_t size = strlen(root);

    if (size == 1) /* "/" */
        return true;
    return strncmp(path, root, size) == 0 && path[size] == '/';
}

static int load_link(struct static_files *files, const char *full_path, const char *path)
{
    char *target = realpath(full_path, NULL);
    struct stat status;
    int result = 0;

    if (!target) /* one that leads nowhere is no file */
        return errno == ENOENT || errno == ELOOP ? 0 : uv_translate_sys_error(errno);
    if (is_below(target, files->root)) {
        if (lstat(target, &status) != 0)
            result = uv_translate_sys_error(errno);
        else if (S_ISREG(status.st_mode))
            result = load_file(files, target, path);
    }
    free(target); /* realpath's own */
    return result;
}

static int load_directory(struct static_files *files, const char *full_path, const char *path);

static int load_entry(struct static_files *files, const char *directory, const char *prefix,
                      const char *name)
{
    char full_path[PATH_MAX];
    char path[PATH_MAX];
    struct stat status;

    if (snprintf(full_path, sizeof(full_path), "%s/%s", directory, name) >= PATH_MAX ||
        snprintf(path, sizeof(path), "%s/%s", prefix, name) >= PATH_MAX)
        return UV_ENAMETOOLONG;
    if (lstat(full_path, &status) != 0)
        return uv_translate_sys_error(errno);
    if (S_ISREG(status.st_mode))
        return load_file(files, full_path, path);
    if (S_ISLNK(status.st_mode))
        return load_link(files, full_path, path);
    if (S_ISDIR(status.st_mode))
        return load_directory(files, full_path, path);
    return 0;
}

static int is_served(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strcmp(entry->d_name, "README.md") != 0;
}

static int load_directory(struct static_files *files, const char *full_path, const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(full_path, &entries, is_served, NULL);
    int result = 0;

    if (count < 0)
        return uv_translate_sys_error(errno);
    for (int i = 0; i < count; i++) {
        if (result == 0)
            result = load_entry(files, full_path, path, entries[i]->d_name);
        free(entries[i]); /* scandir's own */
    }
    free(entries);
    return result;
}

int static_files_load(struct static_files **files, const char *root)
{
    struct static_files *loaded = memory_zeroed(1, sizeof(*loaded));
    int result;

    *files = NULL;
    loaded->root = realpath(root, NULL);
    if (!loaded->root)
        result = uv_translate_sys_error(errno);
    else
        result = load_directory(loaded, loaded->root, "");
    free(loaded->root); /* realpath's own */
    loaded->root = NULL;
    if (result != 0) {
        static_files_destroy(loaded);
        return result;
    }
    *files = loaded;
    return 0;
}

static void remove_file(struct map_entry *entry, void *context)
{
    map_remove(context, entry);
    destroy_file(container_of(entry, struct file, entry));
}

void static_files_destroy(struct static_files *files)
{
    if (!files)
        return;
    map_each(&files->by_path, remove_file, &files->by_path);
    map_deinit(&files->by_path);
    memory_free(files);
}

static const struct file *find_file(const struct static_files *files, const char *path)
{
    char index_path[PATH_MAX];
    size_t size = strlen(path);

    if (size > 0 && path[size - 1] == '/') {
        if (size + strlen(INDEX_NAME) >= sizeof(index_path))
            return NULL;
        size = (size_t)snprintf(index_path, sizeof(index_path), "%s" INDEX_NAME, path);
        path = index_path;
    }

    struct map_entry *entry = map_find(&files->by_path, path, size);

    return entry ? container_of(entry, struct file, entry) : NULL;
}

/* Whether a list of entity tags has this one, by the weak comparison (RFC 9110 §8.8.3.2, §13.1.2).
 * A tag may hold commas. Reading ends at the first thing that is no tag. */
static bool tag_list_matches(const char *list, const char *entity_tag)
{
    if (strcmp(list, "*") == 0)
        return true;
    for (;;) {
        list += strspn(list, " \t,");
        if (strncmp(list, "W/", 2) == 0)
            list += 2;
        if (*list != '"')
            return false;

        const char *end = strchr(list + 1, '"');

        if (!end)
            return false;
        end++;
        if ((size_t)(end - list) == ENTITY_TAG_SIZE &&
            memcmp(list, entity_tag, ENTITY_TAG_SIZE) == 0)
            return true;
        list = end;
    }
}

static bool is_known_to_client(const struct http_request *request, const struct file *file)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcasecmp(request->headers[i].name, "If-None-Match") == 0 &&
            tag_list_matches(request->headers[i].value, file->entity_tag))
            return true;
    return false;
}

bool static_files_respond(const struct static_files *files, const struct http_request *request,
                          struct buffer *output)
{
    const struct file *file = find_file(files, request->path);
    bool is_head = strcmp(request->method, "HEAD") == 0;

    if (!file)
        return false;
    if (!is_head && strcmp(request->method, "GET") != 0) {
        http_response_append_error(output, 405, "Allow: GET, HEAD\r\n", "use GET", false,
                                   request->keep_alive);
        return true;
    }
    http_response_append(output, &(struct http_response){
                                     .status = is_known_to_client(request, file) ? 304 : 200,
                                     .content_type = file->content_type,
                                     .headers = file->headers,
                                     .body = file->content.data,
                                     .body_size = file->content.size,
                                     .is_head = is_head,
                                     .keep_alive = request->keep_alive,
                                 });
    return true;
}
