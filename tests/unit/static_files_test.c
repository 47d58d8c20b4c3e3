#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "common/static_files.h"

/* A temporary directory; its subdirectory "root" is what is served. */
static char base[64];
static struct static_files *files;
static struct buffer output;

static const char *in_base(const char *name)
{
    static char path[512];

    snprintf(path, sizeof(path), "%s/%s", base, name);
    return path;
}

static void write_file(const char *name, const char *content)
{
    FILE *file = fopen(in_base(name), "w");

    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, strlen(content), file), strlen(content));
    assert_int_equal(fclose(file), 0);
}

static void make_directory(const char *name)
{
    assert_int_equal(mkdir(in_base(name), 0700), 0);
}

static void make_link(const char *target, const char *name)
{
    assert_int_equal(symlink(target, in_base(name)), 0);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(base, "/tmp/static_files_test.XXXXXX");
    assert_non_null(mkdtemp(base));
    make_directory("root");
    make_directory("root/scripts");
    write_file("root/index.html", "<!doctype html>\n");
    write_file("root/scripts/chat.js", "export {};\n");
    write_file("root/scripts/index.html", "inner\n");
    write_file("secret.txt", "secret\n");
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    static_files_destroy(files);
    files = NULL;
    buffer_deinit(&output);
    return nftw(base, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void load(void)
{
    assert_int_equal(static_files_load(&files, in_base("root")), 0);
    assert_non_null(files);
}

/* The response as text, NULL where there is none. */
static const char *respond(const struct http_request *request)
{
    output.size = 0;
    if (!static_files_respond(files, request, &output)) {
        assert_int_equal(output.size, 0);
        return NULL;
    }
    buffer_append(&output, "", 1);
    output.size--;
    return (const char *)output.data;
}

static const char *get(const char *path)
{
    return respond(&(struct http_request){.method = "GET", .path = path, .keep_alive = true});
}

static const char *get_if_none_match(const char *value)
{
    const struct http_header headers[] = {{"Accept", "*/*"}, {"if-none-match", value}};

    return respond(&(struct http_request){.method = "GET",
                                          .path = "/index.html",
                                          .keep_alive = true,
                                          .headers = headers,
                                          .header_count = 2});
}

static void expect_status(const char *text, int status)
{
    assert_non_null(text);
    assert_int_equal(strtol(text + strlen("HTTP/1.1 "), NULL, 10), status);
}

static void expect_body(const char *text, const char *body)
{
    const char *end = text ? strstr(text, "\r\n\r\n") : NULL;

    assert_non_null(end);
    assert_string_equal(end + 4, body);
}

/* The value of a header, in memory that the next call reuses. */
static const char *header(const char *text, const char *name)
{
    static char value[512];
    char start[64];

    snprintf(start, sizeof(start), "\r\n%s: ", name);

    const char *line = text ? strstr(text, start) : NULL;

    value[0] = '\0';
    if (line) {
        line += strlen(start);
        snprintf(value, sizeof(value), "%.*s", (int)strcspn(line, "\r"), line);
    } else {
        fail_msg("no %s in:\n%s", name, text ? text : "no response");
    }
    return value;
}

static void files_are_served_by_their_path(void **state)
{
    (void)state;
    load();
    expect_status(get("/scripts/chat.js"), 200);
    expect_body(get("/scripts/chat.js"), "export {};\n");
    assert_string_equal(header(get("/scripts/chat.js"), "Content-Length"), "11");
}

static void slash_is_the_index_of_its_directory(void **state)
{
    (void)state;
    load();
    expect_body(get("/"), "<!doctype html>\n");
    expect_body(get("/scripts/"), "inner\n");
    assert_null(get("/scripts"));
    assert_null(get("/none/"));
}

static void no_path_leads_out_of_the_root(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/../secret.txt",
        "/scripts/../../secret.txt",
        "/..",
        "/scripts/../index.html",
        "//index.html",
        "//",
        "/index.html.",
        "/index.html/",
        "/./index.html",
        "/%2e%2e/secret.txt",
        "",
        "index.html",
        "/..\\secret.txt",
        "/scripts//chat.js",
        "/INDEX.HTML",
        "/index.html ",
        "/scripts/chat.j",
    };

    load();
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        assert_null(get(paths[i]));
}

static void paths_longer_than_any_file_are_not_found(void **state)
{
    (void)state;
    static char path[8192];

    load();
    memset(path, '/', sizeof(path) - 1);
    assert_null(get(path));
    path[sizeof(path) - 2] = 'a';
    assert_null(get(path));
}

static void hidden_files_and_readmes_are_not_served(void **state)
{
    (void)state;
    make_directory("root/.git");
    write_file("root/.git/config", "x");
    write_file("root/.env", "x");
    write_file("root/README.md", "x");
    write_file("root/scripts/README.md", "x");
    load();
    assert_null(get("/.git/config"));
    assert_null(get("/.env"));
    assert_null(get("/README.md"));
    assert_null(get("/scripts/README.md"));
}

static void links_are_followed_inside_the_root_only(void **state)
{
    (void)state;
    make_directory("root/..data");
    write_file("root/..data/app.js", "linked\n");
    make_directory("root-beside");
    write_file("root-beside/a.txt", "beside\n");
    make_link("..data/app.js", "root/app.js");
    make_link("../secret.txt", "root/secret.txt");
    make_link("../root-beside/a.txt", "root/beside.txt");
    make_link("nowhere", "root/dangling.txt");
    make_link("loop", "root/loop");
    make_link("..", "root/scripts/up");
    make_link("../..", "root/scripts/out");
    load();
    expect_body(get("/app.js"), "linked\n");
    assert_null(get("/secret.txt"));
    assert_null(get("/beside.txt"));
    assert_null(get("/dangling.txt"));
    assert_null(get("/scripts/up/index.html"));
    assert_null(get("/scripts/out/secret.txt"));
}

static void root_may_be_a_link(void **state)
{
    (void)state;
    make_link("root", "link");
    make_link("scripts/chat.js", "root/chat.js");
    assert_int_equal(static_files_load(&files, in_base("link")), 0);
    expect_status(get("/"), 200);
    expect_body(get("/chat.js"), "export {};\n");
}

static void pipes_are_passed_over(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in_base("root/pipe.txt"), 0600), 0);
    load();
    assert_null(get("/pipe.txt"));
}

static void types_follow_the_ending(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *type;
    } cases[] = {
        {"a.html", "text/html; charset=utf-8"},
        {"a.css", "text/css; charset=utf-8"},
        {"a.js", "text/javascript; charset=utf-8"},
        {"a.mjs", "text/javascript; charset=utf-8"},
        {"a.d.ts", "text/plain; charset=utf-8"},
        {"a.txt", "text/plain; charset=utf-8"},
        {"a.json", "application/json"},
        {"a.js.map", "application/json"},
        {"a.webmanifest", "application/manifest+json"},
        {"a.svg", "image/svg+xml"},
        {"a.png", "image/png"},
        {"a.JPG", "image/jpeg"},
        {"a.gif", "image/gif"},
        {"a.webp", "image/webp"},
        {"a.ico", "image/x-icon"},
        {"a.woff2", "font/woff2"},
        {"a.bin", "application/octet-stream"},
        {"html", "application/octet-stream"},
    };
    char name[64];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(name, sizeof(name), "root/%s", cases[i].name);
        write_file(name, "x");
    }
    load();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(name, sizeof(name), "/%s", cases[i].name);
        assert_string_equal(header(get(name), "Content-Type"), cases[i].type);
    }
}

static void responses_carry_the_protective_headers(void **state)
{
    (void)state;
    load();

    const char *text = get("/");

    assert_string_equal(header(text, "Cache-Control"), "no-cache");
    assert_string_equal(header(text, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(header(text, "Referrer-Policy"), "no-referrer");

    const char *policy = header(text, "Content-Security-Policy");

    assert_non_null(strstr(policy, "default-src 'none'; "));
    assert_non_null(strstr(policy, "script-src 'self'; "));
    assert_non_null(strstr(policy, "connect-src 'self' ws: wss:; "));
    assert_non_null(strstr(policy, "frame-ancestors 'none'"));
    assert_null(strstr(policy, "unsafe"));
}

static void known_entity_tag_is_304(void **state)
{
    (void)state;
    char tag[128];
    char list[512];

    load();
    snprintf(tag, sizeof(tag), "%s", header(get("/"), "ETag"));
    assert_int_equal(strlen(tag), 66);
    assert_int_equal(tag[0], '"');

    const char *text = get_if_none_match(tag);

    expect_status(text, 304);
    expect_body(text, "");
    assert_string_equal(header(text, "ETag"), tag);
    assert_string_equal(header(text, "Cache-Control"), "no-cache");
    expect_status(get_if_none_match("*"), 304);
    snprintf(list, sizeof(list), "W/%s", tag);
    expect_status(get_if_none_match(list), 304);
    snprintf(list, sizeof(list), "\"a,b\" , W/\"\",\t%s", tag);
    expect_status(get_if_none_match(list), 304);
}

static void other_entity_tags_are_200(void **state)
{
    (void)state;
    char tag[128];
    char value[512];

    load();
    snprintf(tag, sizeof(tag), "%s", header(get("/"), "ETag"));
    expect_status(get_if_none_match(""), 200);
    expect_status(get_if_none_match("\"x\", \"y\""), 200);
    expect_status(get_if_none_match("\""), 200);
    expect_status(get_if_none_match("W/"), 200);
    expect_status(get_if_none_match("x*"), 200);
    snprintf(value, sizeof(value), "%.20s\"", tag);
    expect_status(get_if_none_match(value), 200);
    snprintf(value, sizeof(value), "%.*s", 64, tag + 1); /* not in quotes */
    expect_status(get_if_none_match(value), 200);
    snprintf(value, sizeof(value), "\"x%s", tag); /* what is in quotes is "x" alone */
    expect_status(get_if_none_match(value), 200);
}

static void entity_tag_follows_the_content(void **state)
{
    (void)state;
    char tag[128];

    write_file("root/a.txt", "one");
    write_file("root/b.css", "one");
    write_file("root/c.txt", "two");
    load();
    snprintf(tag, sizeof(tag), "%s", header(get("/a.txt"), "ETag"));
    assert_string_equal(header(get("/b.css"), "ETag"), tag);
    assert_string_not_equal(header(get("/c.txt"), "ETag"), tag);
}

static void head_has_no_body(void **state)
{
    (void)state;
    load();

    const char *text = respond(&(struct http_request){.method = "HEAD", .path = "/"});

    expect_status(text, 200);
    assert_string_equal(header(text, "Content-Length"), "16");
    expect_body(text, "");
}

static void other_methods_are_405(void **state)
{
    (void)state;
    load();

    const char *text = respond(&(struct http_request){.method = "POST", .path = "/"});

    expect_status(text, 405);
    assert_string_equal(header(text, "Allow"), "GET, HEAD");
    assert_null(respond(&(struct http_request){.method = "POST", .path = "/none"}));
}

static void connection_follows_the_request(void **state)
{
    (void)state;
    load();
    assert_string_equal(header(get("/"), "Connection"), "keep-alive");
    assert_string_equal(
        header(respond(&(struct http_request){.method = "GET", .path = "/"}), "Connection"),
        "close");
    assert_string_equal(
        header(respond(&(struct http_request){.method = "PUT", .path = "/", .keep_alive = true}),
               "Connection"),
        "keep-alive");
}

static void files_are_served_as_they_were_at_start(void **state)
{
    (void)state;
    load();
    write_file("root/index.html", "changed\n");
    assert_int_equal(unlink(in_base("root/scripts/chat.js")), 0);
    expect_body(get("/"), "<!doctype html>\n");
    expect_body(get("/scripts/chat.js"), "export {};\n");
}

static void empty_files_are_served(void **state)
{
    (void)state;
    write_file("root/empty.txt", "");
    load();
    expect_status(get("/empty.txt"), 200);
    assert_string_equal(header(get("/empty.txt"), "Content-Length"), "0");
}

static void too_many_files_are_refused(void **state)
{
    (void)state;
    char name[64];

    for (int i = 0; i < 1000 - 3; i++) {
        snprintf(name, sizeof(name), "root/%d", i);
        write_file(name, "x");
    }
    load();
    static_files_destroy(files);
    write_file("root/last", "x");
    assert_int_equal(static_files_load(&files, in_base("root")), UV_E2BIG);
    assert_null(files);
}

static void too_many_bytes_are_refused(void **state)
{
    (void)state;
    off_t rest = ((off_t)16 << 20) - 16 - 11 - 6; /* beside the files of the fixture */

    write_file("root/big", "");
    assert_int_equal(truncate(in_base("root/big"), rest), 0);
    load();
    static_files_destroy(files);
    assert_int_equal(truncate(in_base("root/big"), rest + 1), 0);
    assert_int_equal(static_files_load(&files, in_base("root")), UV_E2BIG);
    assert_null(files);
}

static void a_root_that_is_no_directory_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(static_files_load(&files, in_base("none")), UV_ENOENT);
    assert_null(files);
    assert_int_equal(static_files_load(&files, in_base("secret.txt")), UV_ENOTDIR);
    assert_null(files);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_are_served_by_their_path),
        TEST(slash_is_the_index_of_its_directory),
        TEST(no_path_leads_out_of_the_root),
        TEST(paths_longer_than_any_file_are_not_found),
        TEST(hidden_files_and_readmes_are_not_served),
        TEST(links_are_followed_inside_the_root_only),
        TEST(root_may_be_a_link),
        TEST(pipes_are_passed_over),
        TEST(types_follow_the_ending),
        TEST(responses_carry_the_protective_headers),
        TEST(known_entity_tag_is_304),
        TEST(other_entity_tags_are_200),
        TEST(entity_tag_follows_the_content),
        TEST(head_has_no_body),
        TEST(other_methods_are_405),
        TEST(connection_follows_the_request),
        TEST(files_are_served_as_they_were_at_start),
        TEST(empty_files_are_served),
        TEST(too_many_files_are_refused),
        TEST(too_many_bytes_are_refused),
        TEST(a_root_that_is_no_directory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
