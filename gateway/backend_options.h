/* The rows of the table in config.c that say how the application's backend is asked (backend.h). */

/* A row is an option, and part of an array that begins elsewhere. */
/* clang-format off */
#define HOOK(option_name, member, text)                                                            \
    {.name = (option_name),                                                                        \
     .type = OPTION_TEXT,                                                                          \
     .offset = AT(member),                                                                         \
     .fallback = "",                                                                               \
     .argument = "URL",                                                                            \
     .help = (text)}

    {.name = "proxy-connect",
     .type = OPTION_TEXT,
     .offset = AT(proxy_connect),
     .fallback = "",
     .argument = "URL",
     .group = "The application's backend",
     .help = "Asked (a POST of JSON, as Centrifugo's proxy does) who a client is that connects "
             "without a token. Empty: nobody is asked, here and in the following."},
    HOOK("proxy-refresh", proxy_refresh,
         "Asked whether a client may stay, when its time is over; clients then refresh nothing "
         "themselves."),
    HOOK("proxy-subscribe", proxy_subscribe,
         "Asked whether a client may subscribe, where subscribe-proxy is on."),
    HOOK("proxy-publish", proxy_publish,
         "Asked whether a client may publish, and what, where publish-proxy is on."),
    HOOK("proxy-rpc", proxy_rpc, "Answers the remote procedure calls of clients."),
    {.name = "proxy-timeout",
     .type = OPTION_TIME,
     .offset = AT(proxy_timeout_ms),
     .fallback = "1s",
     .argument = "TIME",
     .minimum = 10,
     .maximum = 5 * MINUTE,
     .help = "For an answer of the backend, the wait for a turn included; then clients are told a "
             "temporary error."},
    {.name = "proxy-concurrency",
     .type = OPTION_NUMBER,
     .offset = AT(proxy_concurrency),
     .fallback = "64",
     .argument = "N",
     .minimum = 1,
     .maximum = 10000,
     .help = "Requests to the backend at a time, each on a connection of its own; 1024 more wait "
             "for a turn."},
    {.name = "proxy-header",
     .type = OPTION_LIST,
     .offset = AT(proxy_header),
     .fallback = "",
     .argument = "NAME,...",
     .help = "Headers of a client's handshake that the backend is sent, too, such as Cookie; they "
             "are kept as long as the client is connected."},
    {.name = "proxy-tls-ca",
     .type = OPTION_TEXT,
     .offset = AT(proxy_tls_ca),
     .fallback = "",
     .argument = "FILE",
     .help = "Certificates (PEM) by which a backend at an https URL is known; empty: those that "
             "this machine trusts."},

#undef HOOK
    /* clang-format on */
