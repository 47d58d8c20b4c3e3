// A text as nodes: addresses become links, everything else stays a text node.

const URLS = /\bhttps?:\/\/[^\s<>"'`\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]+/giu;
const TRAILING = /[.,;:!?…*_~]+$/u;
const BRACKETS = { ")": "(", "]": "[", "}": "{" };

// Emoji alone, and few of them, are worth being seen.
const EMOJI = /^(?:\p{RGI_Emoji}\s?){1,6}$/v;

export function toNodes(text) {
  const nodes = [];
  let end = 0;

  for (const { 0: match, index } of text.matchAll(URLS)) {
    const address = trim(match);
    const link = createLink(address);

    if (!link) continue;
    nodes.push(document.createTextNode(text.slice(end, index)), link);
    end = index + address.length;
  }
  nodes.push(document.createTextNode(text.slice(end)));
  return nodes.filter((node) => node.textContent !== "");
}

export function isEmojiAlone(text) {
  return text.length <= 80 && EMOJI.test(text.trim());
}

// A sentence's own marks behind an address are none of it, nor is a bracket that began before it.
function trim(address) {
  for (;;) {
    const shorter = address.replace(TRAILING, "");
    const last = shorter.at(-1);
    const isOpen = last in BRACKETS && count(shorter, last) > count(shorter, BRACKETS[last]);

    if (!isOpen && shorter === address) return address;
    address = isOpen ? shorter.slice(0, -1) : shorter;
  }
}

function count(text, character) {
  return text.split(character).length - 1;
}

function createLink(address) {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (!url || !["http:", "https:"].includes(url.protocol) || url.username || url.password) return null;

  const link = document.createElement("a");
  link.href = url.href;
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow ugc";
  link.title = url.href; // the name of the host as the network knows it
  link.textContent = address;
  return link;
}
