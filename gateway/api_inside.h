/* What the parts of the server API share: api.c, api_call.c, api_params.c, api_publish.c,
 * api_ask.c, api_act.c. Nobody else includes it. */
#ifndef GATEWAY_API_INSIDE_H
#define GATEWAY_API_INSIDE_H

#include <jansson.h>

#include "gateway/api.h"
#include "gateway/client_protocol.h"

struct api_command;

enum api_method {
    API_PUBLISH,
    API_BROADCAST,
    API_SUBSCRIBE,
    API_UNSUBSCRIBE,
    API_DISCONNECT,
    API_REFRESH,
    API_PRESENCE,
    API_PRESENCE_STATS,
    API_HISTORY,
    API_HISTORY_REMOVE,
    API_CHANNELS,
    API_INFO,
    API_RPC,
    API_METHOD_COUNT, /* none of these */
};

#define API_CODES 14 /* success, the errors from 100 on */

struct api_stats {
    struct metric requests[API_METHOD_COUNT + 1][API_CODES];
    struct metric refused[4]; /* by status, see api.c */
    struct histogram time;
};

struct api {
    struct hub *hub;
    struct settings *settings;
    struct api_stats stats;
};

/* Something that a command has to wait for. */
struct api_part {
    struct api_command *command;
    int code; /* enum client_error; 0: it went well */
    uint64_t offset;
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    union {
        struct bus_publish publish;
        struct bus_ask ask;
        struct control_sending sending;
        struct control_survey survey;
    };
};

struct api_command {
    struct api_call *call;
    enum api_method method;
    json_t *params;   /* an object of the call's */
    struct text text; /* its JSON */
    int code;
    struct buffer result; /* JSON */
    struct api_part *parts;
    size_t part_count;
    size_t left; /* parts that are under way, and one while they are being begun */
};

/* How the commands came, and the replies go. */
enum api_form { API_ONE, API_LINES, API_BATCH };

/* One HTTP request. */
struct api_call {
    struct http_pending pending;
    struct api *api;
    enum api_form form;
    unsigned references; /* one while it is unanswered, one of each part under way */
    bool is_answered;
    uint64_t started_ns;
    struct waiter deadline;
    struct buffer body;
    struct list documents; /* that were parsed from it */
    struct api_command *commands;
    size_t command_count;
    size_t left; /* commands that have not ended */
    size_t parts_total;
};

/* api_params.c: what stands in the parameters. A member that is null counts as absent; one of
 * another type sets `is_bad`, and counts as absent. */

struct api_params {
    const json_t *object;
    struct text text;
    bool is_bad;
};

struct text api_text(struct api_params *params, const char *name);
bool api_flag(struct api_params *params, const char *name);
/* A whole number from -2^53 to 2^53. */
int64_t api_number(struct api_params *params, const char *name);
const json_t *api_array(struct api_params *params, const char *name);
struct api_params api_object(struct api_params *params, const char *name);
bool api_has(const struct api_params *params, const char *name);

/* The JSON as it was written; empty where the member is absent. */
struct text api_json(const struct api_params *params, const char *name);

/* The bytes of NAME, JSON as it was written, or of b64NAME, with which `*is_base64` is set and
 * which the buffer then holds. */
struct text api_payload(struct api_params *params, const char *name, const char *base64_name,
                        struct buffer *bytes, bool *is_base64);

/* Finds the member with that name; false where there is none. */
bool api_member(struct text object, const char *name, struct text *value);

/* api_call.c */

const char *api_method_name(enum api_method method);
enum api_method api_method_find(const char *name);

/* Begins what the request asks for, which is JSON, and answers when it is done. 0, or the status to
 * refuse it with, and why. */
int api_call_begin(struct api *api, const struct http_request *request, const char *method,
                   const char **problem);

/* Memory for so many parts, once for a command. NULL: there are too many in all. */
struct api_part *api_parts(struct api_command *command, size_t count);

/* A part is under way: it holds the call until api_part_done. */
void api_part_begin(struct api_part *part);
void api_part_done(struct api_part *part, int code);

/* The rules of a channel that the application names. NULL: `*code` says why not. */
const struct channel_rules *api_rules(const struct api_command *command, struct text channel,
                                      int *code);

/* Appends `"error":{…}`. */
void api_append_error(struct buffer *out, int code);

/* What an error of the bus is called. */
int api_code_of(int error);

/* The methods: begin the parts, or fill in the result. An error code, or 0. */
int api_publish(struct api_command *command);
void api_publish_result(struct api_command *command);
int api_broadcast(struct api_command *command);
void api_broadcast_result(struct api_command *command);
int api_subscribe(struct api_command *command);
int api_unsubscribe(struct api_command *command);
int api_disconnect(struct api_command *command);
int api_refresh(struct api_command *command);
int api_presence(struct api_command *command);
int api_history(struct api_command *command);
int api_history_remove(struct api_command *command);
int api_channels(struct api_command *command);
int api_info(struct api_command *command);

#endif
