/*
 * The rows of the table in config.c that a section [namespace NAME] has, too, for that file alone.
 * At the top, where the chat page is at home, everybody may do everything; in a section, as with
 * Centrifugo, nobody may do anything but by a token, until an option says so.
 */
#define RULE(member) AT(rules.member)

/* A row is an option, and part of an array that begins elsewhere. */
/* clang-format off */
#define SWITCH(option_name, member, top, text)                                                     \
    {.name = (option_name),                                                                        \
     .type = OPTION_FLAG,                                                                          \
     .offset = RULE(member),                                                                       \
     .fallback = (top),                                                                            \
     .help = (text),                                                                               \
     .in_section = true,                                                                           \
     .section_fallback = "off"}

    {.name = "private-prefix",
     .type = OPTION_TEXT,
     .offset = AT(private_prefix),
     .fallback = "$",
     .argument = "TEXT",
     .maximum = 16,
     .group = "Channels",
     .help = "Channels whose name begins with it are for those who have a token for them, or have "
             "subscribed with one. Empty: there are no such channels."},
    {.name = "personal-prefix",
     .type = OPTION_TEXT,
     .offset = AT(personal_prefix),
     .fallback = "#",
     .argument = "TEXT",
     .maximum = 16,
     .help = "The channel of this name with a user's behind it, #ann, is for that user alone. A "
             "prefix such as news:# puts it into a namespace. Empty: there are no such channels."},
    SWITCH("allow-subscribe-for-client", allow_subscribe_for_client, "on",
           "Clients may subscribe without a token for the channel."),
    SWITCH("allow-subscribe-for-anonymous", allow_subscribe_for_anonymous, "on",
           "And those who have no name, where clients may."),
    SWITCH("allow-publish-for-client", allow_publish_for_client, "on", "Clients may publish."),
    SWITCH("allow-publish-for-subscriber", allow_publish_for_subscriber, "on",
           "Subscribers of the channel may publish."),
    SWITCH("allow-publish-for-anonymous", allow_publish_for_anonymous, "on",
           "And those who have no name, where clients or subscribers may."),
    SWITCH("allow-history-for-client", allow_history_for_client, "on",
           "Clients may read the history."),
    SWITCH("allow-history-for-subscriber", allow_history_for_subscriber, "on",
           "Subscribers of the channel may read it."),
    SWITCH("allow-history-for-anonymous", allow_history_for_anonymous, "on",
           "And those who have no name, where clients or subscribers may."),
    SWITCH("allow-presence-for-client", allow_presence_for_client, "on",
           "Clients may ask who is on the channel."),
    SWITCH("allow-presence-for-subscriber", allow_presence_for_subscriber, "on",
           "Subscribers of the channel may ask."),
    SWITCH("allow-presence-for-anonymous", allow_presence_for_anonymous, "on",
           "And those who have no name, where clients or subscribers may."),
    SWITCH("allow-user-limited-channels", allow_user_limited_channels, "off",
           "A channel such as room#ann,bob is for these users alone, without a token; else # is a "
           "letter like others."),
    {.name = "history-size",
     .type = OPTION_NUMBER,
     .is_fixed = true,
     .offset = RULE(history_size),
     .fallback = "1000",
     .argument = "N",
     .maximum = 1000000,
     .help = "Messages that the bus keeps for each channel. Holes are filled from them; with 0 "
             "there is nothing to fill them from. That of a section takes no restart.",
     .in_section = true,
     .section_fallback = "0"},
    {.name = "history-ttl",
     .type = OPTION_TIME,
     .is_fixed = true,
     .offset = RULE(history_ttl_ms),
     .fallback = "10m",
     .argument = "TIME",
     .minimum = SECOND,
     .maximum = 24 * HOUR * 366,
     .help = "How long a channel's history is kept after its last message. That of a section takes "
             "no restart.",
     .in_section = true},
    SWITCH("presence", presence, "on", "It is known who is on a channel."),
    SWITCH("join-leave", join_leave, "on",
           "Subscribers who ask for it are told who comes and goes."),
    SWITCH("force-push-join-leave", force_push_join_leave, "off",
           "All subscribers are told who comes and goes."),
    SWITCH("allow-positioning", allow_positioning, "on",
           "Subscribers who ask for it are told when messages were lost for good."),
    SWITCH("force-positioning", force_positioning, "off", "All subscribers are."),
    SWITCH("allow-recovery", allow_recovery, "on",
           "Subscribers who ask for it are given what they missed when they come back."),
    SWITCH("force-recovery", force_recovery, "off", "All subscribers are."),
    SWITCH("delta", delta, "on",
           "Subscribers who ask for it are sent what a message changes in the one before it."),
    {.name = "max-subscribers",
     .type = OPTION_NUMBER,
     .offset = RULE(max_subscribers),
     .fallback = "0",
     .argument = "N",
     .maximum = 100000000,
     .help = "Clients of the channel protocol on a channel, for each thread; 0 means no limit.",
     .in_section = true,
     .section_fallback = "0"},
    {.name = "message-size",
     .type = OPTION_SIZE,
     .offset = RULE(message_size),
     .fallback = "0",
     .argument = "SIZE",
     .maximum = 64 * MIB,
     .help = "Largest data that a client may publish; 0 means as --max-message-size.",
     .in_section = true},
    {.name = "message-rate",
     .type = OPTION_NUMBER,
     .offset = RULE(message_rate),
     .fallback = "100",
     .argument = "N",
     .maximum = 1000000,
     .help = "Messages a second that a client may send before it is disconnected (1008); 0 means "
             "no limit. In a section: what it may publish there.",
     .in_section = true},
    {.name = "message-burst",
     .type = OPTION_NUMBER,
     .offset = RULE(message_burst),
     .fallback = "200",
     .argument = "N",
     .minimum = 1,
     .maximum = 1000000,
     .help = "Messages that a client may send at once after having been quiet.",
     .in_section = true},
    SWITCH("subscribe-proxy", subscribe_proxy, "off",
           "The application's backend is asked whether a client may subscribe."),
    SWITCH("publish-proxy", publish_proxy, "off", "And whether it may publish."),

#undef SWITCH
#undef RULE
    /* clang-format on */
