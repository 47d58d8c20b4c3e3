/* What the codes of the channel protocol are called on the wire, as Centrifugo calls them. */
#include "gateway/client_protocol.h"

bool client_error_is_temporary(enum client_error code)
{
    return code == CLIENT_ERROR_INTERNAL || code == CLIENT_ERROR_TOO_MANY_REQUESTS ||
           code == CLIENT_ERROR_AWAY;
}

const char *client_error_text(enum client_error code)
{
    switch (code) {
    case CLIENT_ERROR_INTERNAL:
        return "internal server error";
    case CLIENT_ERROR_UNAUTHORIZED:
        return "unauthorized";
    case CLIENT_ERROR_UNKNOWN_CHANNEL:
        return "unknown channel";
    case CLIENT_ERROR_PERMISSION_DENIED:
        return "permission denied";
    case CLIENT_ERROR_METHOD_NOT_FOUND:
        return "method not found";
    case CLIENT_ERROR_ALREADY_SUBSCRIBED:
        return "already subscribed";
    case CLIENT_ERROR_LIMIT_EXCEEDED:
        return "limit exceeded";
    case CLIENT_ERROR_BAD_REQUEST:
        return "bad request";
    case CLIENT_ERROR_NOT_AVAILABLE:
    case CLIENT_ERROR_AWAY:
        return "not available";
    case CLIENT_ERROR_TOKEN_EXPIRED:
        return "token expired";
    case CLIENT_ERROR_EXPIRED:
        return "expired";
    case CLIENT_ERROR_TOO_MANY_REQUESTS:
        return "too many requests";
    case CLIENT_ERROR_UNRECOVERABLE_POSITION:
        return "unrecoverable position";
    }
    return "";
}

const char *client_unsubscribe_text(enum client_unsubscribe code)
{
    switch (code) {
    case CLIENT_UNSUBSCRIBE_SERVER:
        return "server unsubscribe";
    case CLIENT_UNSUBSCRIBE_INSUFFICIENT:
        return "insufficient state";
    case CLIENT_UNSUBSCRIBE_EXPIRED:
        return "subscription expired";
    }
    return "";
}

/* With these a client may come back; */
static const char *passing_text(enum client_disconnect code)
{
    switch (code) {
    case CLIENT_DISCONNECT_NORMAL:
        return "connection closed";
    case CLIENT_DISCONNECT_SHUTDOWN:
        return "shutdown";
    case CLIENT_DISCONNECT_SERVER_ERROR:
        return "internal server error";
    case CLIENT_DISCONNECT_EXPIRED:
        return "connection expired";
    case CLIENT_DISCONNECT_SUB_EXPIRED:
        return "subscription expired";
    case CLIENT_DISCONNECT_SLOW:
        return "slow";
    case CLIENT_DISCONNECT_WRITE_ERROR:
        return "write error";
    case CLIENT_DISCONNECT_INSUFFICIENT:
        return "insufficient state";
    case CLIENT_DISCONNECT_FORCE_RECONNECT:
        return "force reconnect";
    case CLIENT_DISCONNECT_NO_PONG:
        return "no pong";
    case CLIENT_DISCONNECT_TOO_MANY_REQUESTS:
        return "too many requests";
    default:
        return "";
    }
}

/* with these not. */
static const char *final_text(enum client_disconnect code)
{
    switch (code) {
    case CLIENT_DISCONNECT_INVALID_TOKEN:
        return "invalid token";
    case CLIENT_DISCONNECT_BAD_REQUEST:
        return "bad request";
    case CLIENT_DISCONNECT_STALE:
        return "stale";
    case CLIENT_DISCONNECT_FORCED:
        return "force disconnect";
    case CLIENT_DISCONNECT_CONNECTION_LIMIT:
        return "connection limit";
    case CLIENT_DISCONNECT_CHANNEL_LIMIT:
        return "channel limit";
    case CLIENT_DISCONNECT_INAPPROPRIATE_PROTOCOL:
        return "inappropriate protocol";
    case CLIENT_DISCONNECT_PERMISSION_DENIED:
        return "permission denied";
    case CLIENT_DISCONNECT_NOT_AVAILABLE:
        return "not available";
    case CLIENT_DISCONNECT_TOO_MANY_ERRORS:
        return "too many errors";
    default:
        return "";
    }
}

const char *client_disconnect_text(enum client_disconnect code)
{
    return code < CLIENT_DISCONNECT_INVALID_TOKEN ? passing_text(code) : final_text(code);
}
