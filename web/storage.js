// What the page keeps in the browser. Storage may be forbidden, full or absent; the page does without.

export function recall(key, storage = "localStorage") {
  try {
    return window[storage].getItem(key) ?? "";
  } catch {
    return "";
  }
}

export function remember(key, value, storage = "localStorage") {
  try {
    window[storage].setItem(key, value);
  } catch {
    // It lasts as long as the page, then.
  }
}

// A list of texts, newest first.
export function recallList(key, storage) {
  try {
    const list = JSON.parse(recall(key, storage) || "[]");
    return Array.isArray(list) ? list.filter((item) => typeof item === "string") : [];
  } catch {
    return [];
  }
}

// Puts `item` in front of the list, which keeps `limit` of them.
export function rememberInList(key, item, limit, storage) {
  const others = recallList(key, storage).filter((other) => other !== item);
  remember(key, JSON.stringify([item, ...others].slice(0, limit)), storage);
}
