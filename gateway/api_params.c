/* Two views of the same: jansson's, which has looked whether it is JSON, and the text, for what
 * goes on as it was written. */
#include <string.h>

#include "common/base64.h"
#include "common/memory.h"
#include "gateway/api_inside.h"
#include "gateway/json_walk.h"

#define NUMBER_LIMIT 9007199254740992.0 /* 2^53 */
#define NAME_LIMIT   64

static const json_t *find(const struct api_params *params, const char *name)
{
    const json_t *value = json_object_get(params->object, name);

    return json_is_null(value) ? NULL : value;
}

bool api_has(const struct api_params *params, const char *name)
{
    return find(params, name) != NULL;
}

struct text api_text(struct api_params *params, const char *name)
{
    const json_t *value = find(params, name);
    struct text text = {"", 0};

    if (!value)
        return text;
    if (json_is_string(value))
        text = (struct text){json_string_value(value), json_string_length(value)};
    if (!json_is_string(value) || memchr(text.data, '\0', text.size)) {
        params->is_bad = true;
        return (struct text){"", 0};
    }
    return text;
}

bool api_flag(struct api_params *params, const char *name)
{
    const json_t *value = find(params, name);

    params->is_bad |= value && !json_is_boolean(value);
    return json_is_true(value);
}

int64_t api_number(struct api_params *params, const char *name)
{
    const json_t *value = find(params, name);
    double number = json_number_value(value);

    if (!value)
        return 0;
    if (!json_is_number(value) || number > NUMBER_LIMIT || number < -NUMBER_LIMIT ||
        (double)(int64_t)number != number) {
        params->is_bad = true;
        return 0;
    }
    return (int64_t)number;
}

const json_t *api_array(struct api_params *params, const char *name)
{
    const json_t *value = find(params, name);

    params->is_bad |= value && !json_is_array(value);
    return json_is_array(value) ? value : NULL;
}

struct api_params api_object(struct api_params *params, const char *name)
{
    const json_t *value = find(params, name);

    params->is_bad |= value && !json_is_object(value);
    return (struct api_params){.object = json_is_object(value) ? value : NULL,
                               .text = api_json(params, name)};
}

/* Names that are longer than any of ours are none of them. */
static bool is_name(struct text quoted, const char *name)
{
    char plain[NAME_LIMIT];

    return quoted.size < NAME_LIMIT && json_value_is_string(quoted) &&
           text_is((struct text){plain, json_unescape(quoted, plain)}, name);
}

bool api_member(struct text object, const char *name, struct text *value)
{
    struct json_members members;
    struct text found;

    if (!json_members_init(&members, json_trim(object)))
        return false;
    while (json_members_next(&members, &found, value)) {
        if (is_name(found, name))
            return true;
    }
    return false;
}

struct text api_json(const struct api_params *params, const char *name)
{
    struct text value = {NULL, 0};

    if (!find(params, name) || !api_member(params->text, name, &value))
        return (struct text){NULL, 0};
    return value;
}

struct text api_payload(struct api_params *params, const char *name, const char *base64_name,
                        struct buffer *bytes, bool *is_base64)
{
    struct text encoded = api_text(params, base64_name);

    *is_base64 = encoded.size > 0;
    if (!*is_base64)
        return api_json(params, name);
    if (base64_decode(BASE64_STANDARD, encoded.data, encoded.size,
                      buffer_reserve(bytes, BASE64_DECODED_LIMIT(encoded.size)), &bytes->size))
        params->is_bad = true;
    return (struct text){(const char *)bytes->data, bytes->size};
}
