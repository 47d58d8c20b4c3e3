#include "gateway/settings.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "common/kernel_tls.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/send_ring.h"
#include "common/stream_gather.h"
#include "gateway/api_keys.h"
#include "gateway/bus.h"
#include "gateway/namespaces.h"
#include "gateway/token.h"

/* The built-in web root may be missing (a program that was built and not installed); one that the
 * user named may not. */
static int load_files(struct settings *settings, char error[OPTION_ERROR_LIMIT])
{
    const char *root = settings->config.web_root;

    if (root[0] == '\0')
        return 0;

    int result = static_files_load(&settings->files, root);

    if (result == 0)
        return 0;
    for (size_t i = 0; i < config_program.option_count; i++) {
        const struct option *option = &config_program.options[i];

        if (strcmp(option->name, "web-root") == 0 && strcmp(option->fallback, root) == 0)
            return 0;
    }
    snprintf(error, OPTION_ERROR_LIMIT, "--web-root: cannot read %.300s: %s", root,
             uv_strerror(result));
    return result;
}

static int check_bus(const struct config *config, char error[OPTION_ERROR_LIMIT])
{
    struct bus_settings settings = {.redis_prefix = config->redis_prefix,
                                    .router_secret_file = config->router_secret_file};
    char problem[256];
    int result = bus_check(config->bus, &settings, problem);

    if (result)
        snprintf(error, OPTION_ERROR_LIMIT, "--bus: %s", problem);
    return result;
}

static int load_tokens(struct settings *settings, char error[OPTION_ERROR_LIMIT])
{
    const struct config *config = &settings->config;
    struct token_options options = {
        .hmac_secret_file = config->token_hmac_secret_file,
        .rsa_public_key = config->token_rsa_public_key,
        .ecdsa_public_key = config->token_ecdsa_public_key,
        .eddsa_public_key = config->token_eddsa_public_key,
        .jwks_file = config->token_jwks_file,
        .audience = config->token_audience,
        .issuer = config->token_issuer,
        .leeway_s = config->token_leeway_ms / 1000,
        .user_id_claim = config->token_user_claim,
    };
    char problem[256];
    int result = token_verifier_create(&settings->tokens, &options, problem);

    if (result) {
        snprintf(error, OPTION_ERROR_LIMIT, "--token-…: %s", problem);
        return result;
    }
    settings->allows_anonymous =
        config->allow_anonymous == ANONYMOUS_ON ||
        (config->allow_anonymous == ANONYMOUS_AUTO && !token_verifier_has_keys(settings->tokens));
    return 0;
}

static int load_api_keys(struct settings *settings, char error[OPTION_ERROR_LIMIT])
{
    const char *path = settings->config.api_key_file;
    int result = path[0] == '\0' ? 0 : api_keys_read(&settings->api_keys, path);

    if (result)
        snprintf(error, OPTION_ERROR_LIMIT, "--api-key-file: cannot use %.300s: %s", path,
                 api_keys_explain(result));
    return result;
}

/* Whoever insists is told; auto falls back. */
static int check_io_uring(const struct config *config, char error[OPTION_ERROR_LIMIT])
{
    int result = config->io_uring == GATHER_ON ? send_ring_probe() : 0;

    if (result)
        snprintf(error, OPTION_ERROR_LIMIT, "--io-uring: cannot be on: %s",
                 send_ring_explain(result));
    return result;
}

static int check_kernel_tls(const struct config *config, char error[OPTION_ERROR_LIMIT])
{
    int result = config->kernel_tls == KERNEL_TLS_ON ? kernel_tls_probe() : 0;

    if (result)
        snprintf(error, OPTION_ERROR_LIMIT, "--kernel-tls: cannot be on: %s",
                 kernel_tls_explain(result));
    return result;
}

enum option_outcome settings_load(struct settings **settings, const struct settings *running,
                                  int argc, char **argv, char **environment,
                                  char error[OPTION_ERROR_LIMIT])
{
    struct settings *loaded = memory_zeroed(1, sizeof(*loaded));

    atomic_init(&loaded->references, 1);

    enum option_outcome outcome =
        options_load(&config_program, &loaded->config, argc, argv, environment, error);

    if (outcome == OPTION_RUN && running)
        options_keep_fixed(&config_program, &loaded->config, &running->config, loaded->not_applied);
    if (outcome == OPTION_RUN) {
        config_check(&loaded->config, option_keep_first, error);
        if (error[0] != '\0' || load_files(loaded, error))
            outcome = OPTION_BAD;
    }
    if (outcome == OPTION_RUN && (load_tokens(loaded, error) || load_api_keys(loaded, error) ||
                                  (!running && (check_io_uring(&loaded->config, error) ||
                                                check_kernel_tls(&loaded->config, error)))))
        outcome = OPTION_BAD;
    if (outcome == OPTION_RUN) {
        loaded->namespaces = namespaces_create(&loaded->config);
        networks_init(&loaded->trusted, loaded->config.trusted_proxy.items,
                      loaded->config.trusted_proxy.count);
        *settings = loaded;
    } else {
        settings_unref(loaded);
    }
    return outcome;
}

/* The option names the files, whose number was checked before. */
static void check_tls(const char *option, struct tls_source source, struct option_printer *printer)
{
    char problem[OPTION_ERROR_LIMIT + sizeof("--bus-tls: ")];
    char error[TLS_ERROR_LIMIT];

    if (source.certificates->count != source.keys->count || !tls_source_check(&source, error))
        return;
    snprintf(problem, sizeof(problem), "%s: %s", option, error);
    option_print(printer, problem);
}

int settings_check(int argc, char **argv, char **environment)
{
    struct settings *loaded = memory_zeroed(1, sizeof(*loaded));
    struct config *config = &loaded->config;
    struct option_printer printer = {.program = &config_program};
    char error[OPTION_ERROR_LIMIT];

    atomic_init(&loaded->references, 1);
    if (options_check(&config_program, config, argc, argv, environment, option_print, &printer) ==
        OPTION_RUN) {
        config_check(config, option_print, &printer);
        if (load_files(loaded, error))
            option_print(&printer, error);
        if (load_tokens(loaded, error))
            option_print(&printer, error);
        if (load_api_keys(loaded, error))
            option_print(&printer, error);
        if (check_io_uring(config, error))
            option_print(&printer, error);
        if (check_kernel_tls(config, error))
            option_print(&printer, error);
        if (check_bus(config, error))
            option_print(&printer, error);
        if (strcmp(config->tls_listen, "off") != 0 && config->tls_cert.count > 0)
            check_tls("--tls-cert", config_client_tls(config), &printer);
        if (bus_wants_tls(config->bus))
            check_tls("--bus-tls", config_bus_tls(config), &printer);
    }
    settings_unref(loaded);
    return printer.count > 0 ? 2 : 0;
}

struct settings *settings_ref(struct settings *settings)
{
    atomic_fetch_add_explicit(&settings->references, 1, memory_order_relaxed);
    return settings;
}

void settings_unref(struct settings *settings)
{
    if (atomic_fetch_sub_explicit(&settings->references, 1, memory_order_acq_rel) != 1)
        return;
    if (settings->files)
        static_files_destroy(settings->files);
    token_verifier_destroy(settings->tokens);
    api_keys_destroy(settings->api_keys);
    namespaces_destroy(settings->namespaces);
    networks_deinit(&settings->trusted);
    options_free(&config_program, &settings->config);
    memory_free(settings);
}
