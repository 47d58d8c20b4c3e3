#include "gateway/settings.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "common/log.h"
#include "common/memory.h"

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

enum option_outcome settings_load(struct settings **settings, int argc, char **argv,
                                  char **environment, char error[OPTION_ERROR_LIMIT])
{
    struct settings *loaded = memory_zeroed(1, sizeof(*loaded));

    atomic_init(&loaded->references, 1);

    enum option_outcome outcome =
        options_load(&config_program, &loaded->config, argc, argv, environment, error);

    if (outcome == OPTION_RUN) {
        const char *wrong = config_check(&loaded->config);

        if (wrong) {
            snprintf(error, OPTION_ERROR_LIMIT, "%s", wrong);
            outcome = OPTION_BAD;
        } else if (load_files(loaded, error)) {
            outcome = OPTION_BAD;
        }
    }
    if (outcome == OPTION_RUN)
        *settings = loaded;
    else
        settings_unref(loaded);
    return outcome;
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
    options_free(&config_program, &settings->config);
    memory_free(settings);
}
