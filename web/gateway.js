// The gateway behind the page: where it is, and what the page has to know of it.

const SETTINGS_DEADLINE_MS = 3_000;

// Those of a gateway that does not tell.
export const DEFAULTS = { lobby: "lobby", messageLimit: 64 * 1024 };

// The gateway's WebSocket beside a page: same host, same folder, whatever stands in front of it.
export function socketUrl(base) {
  const url = new URL("connection/websocket", base);

  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

// The channel that is the lobby, and how many bytes a message may have.
export async function fetchSettings() {
  try {
    const response = await fetch("chat.json", { signal: AbortSignal.timeout(SETTINGS_DEADLINE_MS) });
    return { ...DEFAULTS, ...(response.ok && (await response.json())) };
  } catch {
    return DEFAULTS;
  }
}
