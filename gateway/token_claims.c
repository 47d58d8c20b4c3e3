/*
 * The claims that Centrifugo's users know, and RFC 7519's. A reader here returns NULL or what is
 * wrong, as static text. A null stands for a claim that is not there, as JSON libraries write what
 * is empty, but not where that would make a token worth more: in times, the audience, the issuer
 * and the user.
 */
#include "gateway/token_claims.h"

#include <stdbool.h>
#include <string.h>

#include "common/base64.h"
#include "common/channel_name.h"
#include "common/memory.h"
#include "gateway/token_json.h"

static const char expired[] = "it has expired";

/* NULL where there is none, or null. */
static const json_t *member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_null(value) ? NULL : value;
}

static char *copy_string(const json_t *string)
{
    return memory_copy_text(json_string_value(string), json_string_length(string));
}

/* A NumericDate (RFC 7519 §2) in whole seconds; 0 for the moment 0 alone. Stays as it is where
 * there is none; false: there is something else. */
static bool read_time(const json_t *payload, const char *name, bool *is_there, int64_t *time_s)
{
    const json_t *value = json_object_get(payload, name);

    *is_there = value != NULL;
    if (!value)
        return true;
    if (!json_is_number(value))
        return false;

    double seconds = json_number_value(value);

    if (!(seconds >= 0 && seconds <= (double)TOKEN_TIME_LIMIT))
        return false;
    *time_s = (int64_t)seconds;
    if (*time_s == 0 && seconds > 0)
        *time_s = 1;
    return true;
}

static const char *read_times(const struct token_rules *rules, const json_t *payload, int64_t now_s,
                              struct token_claims *claims, bool *is_over)
{
    bool is_there;
    int64_t time_s;

    if (!read_time(payload, "nbf", &is_there, &time_s))
        return "its nbf is not a time";
    if (is_there && time_s > now_s + rules->leeway_s)
        return "it is not valid yet";
    if (!read_time(payload, "iat", &is_there, &time_s))
        return "its iat is not a time";
    if (is_there && time_s > now_s + rules->leeway_s)
        return "it was issued in the future";
    if (!read_time(payload, "exp", &is_there, &time_s))
        return "its exp is not a time";
    *is_over = is_there && time_s + rules->leeway_s <= now_s;
    claims->expires_at_s = is_there ? time_s : 0;
    if (!read_time(payload, "expire_at", &is_there, &claims->expires_at_s))
        return "its expire_at is not a time";
    return NULL;
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* RFC 7519 §4.1.3: one or several. */
static bool is_for_audience(const json_t *audience, const char *ours)
{
    size_t index;
    const json_t *one;

    json_array_foreach(audience, index, one)
    {
        if (is_text(one, ours))
            return true;
    }
    return is_text(audience, ours);
}

static const char *read_identity(const struct token_rules *rules, const json_t *payload,
                                 struct token_claims *claims)
{
    const json_t *user = json_object_get(payload, rules->user_claim);

    if (rules->audience[0] && !is_for_audience(json_object_get(payload, "aud"), rules->audience))
        return "it is for another audience";
    if (rules->issuer[0] && !is_text(json_object_get(payload, "iss"), rules->issuer))
        return "it is from another issuer";
    if (user && !json_is_string(user))
        return "its user is not a string";
    if (json_string_length(user) > TOKEN_USER_LIMIT)
        return "its user is longer than 255 bytes";
    claims->user = user ? copy_string(user) : memory_copy_text("", 0);
    return NULL;
}

/* JSON, or its twin in base64 where it has one, which goes first if it says anything; false: it is
 * no base64. */
static bool read_bytes(const json_t *object, const char *name, const char *twin, char **bytes,
                       size_t *size)
{
    const json_t *value = member(object, name);
    const json_t *encoded = twin ? member(object, twin) : NULL;
    size_t encoded_size = json_string_length(encoded);

    if (encoded && !json_is_string(encoded))
        return false;
    if (encoded_size == 0) {
        *bytes = value ? token_json_print(value, size) : NULL;
        return true;
    }
    *bytes = memory_allocate(BASE64_DECODED_LIMIT(encoded_size) + 1);
    if (base64_decode(BASE64_STANDARD, json_string_value(encoded), encoded_size,
                      (unsigned char *)*bytes, size))
        return false;
    (*bytes)[*size] = '\0';
    return true;
}

/* {"presence": {"value": true}, …}; a value that is not there is false, as protobuf leaves it out.
 * What others know beside these is passed over. */
static const char *read_override(const json_t *options, bool has[TOKEN_OVERRIDES],
                                 bool values[TOKEN_OVERRIDES])
{
    static const char *const names[TOKEN_OVERRIDES] = {
        [TOKEN_OVERRIDE_PRESENCE] = "presence",
        [TOKEN_OVERRIDE_JOIN_LEAVE] = "join_leave",
        [TOKEN_OVERRIDE_FORCE_RECOVERY] = "force_recovery",
        [TOKEN_OVERRIDE_FORCE_POSITIONING] = "force_positioning",
        [TOKEN_OVERRIDE_FORCE_PUSH_JOIN_LEAVE] = "force_push_join_leave",
    };
    const json_t *override = member(options, "override");

    if (override && !json_is_object(override))
        return "its override is not an object";
    for (size_t i = 0; i < TOKEN_OVERRIDES; i++) {
        const json_t *wrapper = member(override, names[i]);
        const json_t *value = member(wrapper, "value");

        if ((wrapper && !json_is_object(wrapper)) || (value && !json_is_boolean(value)))
            return "its override has something else than {\"value\": true or false}";
        has[i] = wrapper != NULL;
        values[i] = json_is_true(value);
    }
    return NULL;
}

static struct token_sub *find_sub(const struct token_claims *claims, const char *channel)
{
    for (size_t i = 0; i < claims->sub_count; i++) {
        if (strcmp(claims->subs[i].channel, channel) == 0)
            return &claims->subs[i];
    }
    return NULL;
}

/* The channel's place among the subscriptions, new if need be. */
static const char *place_sub(struct token_claims *claims, const char *channel,
                             struct token_sub **sub)
{
    size_t size = strlen(channel);

    if (!channel_name_is_valid(channel, size))
        return "it names a channel that cannot be";
    *sub = find_sub(claims, channel);
    if (*sub)
        return NULL;
    if (claims->sub_count == TOKEN_SUBS_LIMIT)
        return "it has more than 128 channels";
    claims->subs = memory_resize(claims->subs, (claims->sub_count + 1) * sizeof(claims->subs[0]));
    *sub = &claims->subs[claims->sub_count++];
    **sub = (struct token_sub){.channel = memory_copy_text(channel, size)};
    return NULL;
}

static const char *read_channels(const json_t *payload, struct token_claims *claims)
{
    const json_t *channels = member(payload, "channels");
    size_t index;
    const json_t *channel;

    if (channels && !json_is_array(channels))
        return "its channels are not an array";
    json_array_foreach(channels, index, channel)
    {
        struct token_sub *sub;
        const char *problem = json_is_string(channel)
                                  ? place_sub(claims, json_string_value(channel), &sub)
                                  : "its channels are not strings";

        if (problem)
            return problem;
    }
    return NULL;
}

static const char *read_sub(const json_t *options, struct token_sub *sub)
{
    if (!json_is_object(options) && !json_is_null(options))
        return "its subs are not objects";
    if (!read_bytes(options, "info", "b64info", &sub->info, &sub->info_size))
        return "its b64info is not base64";
    if (!read_bytes(options, "data", "b64data", &sub->data, &sub->data_size))
        return "its b64data is not base64";
    return read_override(options, sub->has_override, sub->override);
}

static const char *read_subs(const json_t *payload, struct token_claims *claims)
{
    /* jansson walks by pointers to objects that may change; this one does not. */
    json_t *subs = json_object_get(payload, "subs");
    const char *channel;
    json_t *options;

    if (subs && !json_is_object(subs) && !json_is_null(subs))
        return "its subs are not an object";
    json_object_foreach(subs, channel, options)
    {
        struct token_sub *sub;
        const char *problem = place_sub(claims, channel, &sub);

        if (!problem)
            problem = read_sub(options, sub);
        if (problem)
            return problem;
    }
    return NULL;
}

static const char *read_connection(const json_t *payload, struct token_claims *claims)
{
    const char *problem;

    /* Whoever may listen to a channel is not by that a user who may connect. */
    if (member(payload, "channel"))
        return "it is for a subscription";
    read_bytes(payload, "meta", NULL, &claims->meta, &claims->meta_size);
    problem = read_channels(payload, claims);
    return problem ? problem : read_subs(payload, claims);
}

static const char *read_subscription(const json_t *payload, struct token_claims *claims)
{
    const json_t *channel = json_object_get(payload, "channel");
    const json_t *client = member(payload, "client");

    if (!json_is_string(channel))
        return "it names no channel";
    if (!channel_name_is_valid(json_string_value(channel), json_string_length(channel)))
        return "it names a channel that cannot be";
    if (client && !json_is_string(client))
        return "its client is not a string";
    claims->channel = copy_string(channel);
    if (json_string_length(client) > 0)
        claims->client = copy_string(client);
    if (!read_bytes(payload, "data", "b64data", &claims->data, &claims->data_size))
        return "its b64data is not base64";
    return read_override(payload, claims->has_override, claims->override);
}

static const char *read_all(const struct token_rules *rules, enum token_purpose purpose,
                            const json_t *payload, int64_t now_s, struct token_claims *claims)
{
    bool is_over = false;
    const char *problem = read_identity(rules, payload, claims);

    if (!problem)
        problem = read_times(rules, payload, now_s, claims, &is_over);
    if (!problem && !read_bytes(payload, "info", "b64info", &claims->info, &claims->info_size))
        problem = "its b64info is not base64";
    if (!problem)
        problem = purpose == TOKEN_FOR_CONNECTION ? read_connection(payload, claims)
                                                  : read_subscription(payload, claims);
    /* Last: "expired" asks the client for a new one of the same, which has to be of use. */
    return !problem && is_over ? expired : problem;
}

enum token_outcome token_claims_read(const struct token_rules *rules, enum token_purpose purpose,
                                     const json_t *payload, int64_t now_s,
                                     struct token_claims *claims)
{
    const char *problem = read_all(rules, purpose, payload, now_s, claims);

    if (!problem)
        return TOKEN_VALID;
    token_claims_deinit(claims);
    *claims = (struct token_claims){.problem = problem};
    return problem == expired ? TOKEN_EXPIRED : TOKEN_INVALID;
}

const char *token_claims_read_result(const json_t *result, struct token_claims *claims)
{
    static const struct token_rules rules = {.audience = "", .issuer = "", .user_claim = "user"};
    const char *problem = read_identity(&rules, result, claims);
    bool is_there;

    if (!problem && !read_time(result, "expire_at", &is_there, &claims->expires_at_s))
        problem = "its expire_at is not a time";
    if (!problem && !read_bytes(result, "info", "b64info", &claims->info, &claims->info_size))
        problem = "its b64info is not base64";
    if (!problem)
        problem = read_channels(result, claims);
    if (!problem)
        problem = read_subs(result, claims);
    if (!problem)
        problem = read_override(result, claims->has_override, claims->override);
    if (!problem)
        read_bytes(result, "meta", NULL, &claims->meta, &claims->meta_size);
    return problem;
}

void token_claims_deinit(struct token_claims *claims)
{
    for (size_t i = 0; i < claims->sub_count; i++) {
        memory_free(claims->subs[i].channel);
        memory_free(claims->subs[i].info);
        memory_free(claims->subs[i].data);
    }
    memory_free(claims->subs);
    memory_free(claims->user);
    memory_free(claims->info);
    memory_free(claims->meta);
    memory_free(claims->channel);
    memory_free(claims->client);
    memory_free(claims->data);
}
