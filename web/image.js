// Images within messages: a picture is drawn anew, small enough for a message, and what others send is
// shown only if it is such a picture.
//
// Drawing takes off what cameras add (places, names), and animations. The formats are the two that every
// browser draws and whose size in pixels can be read here, before a decoder makes room for it.

const SOURCE_LIMIT_BYTES = 30 * 1024 * 1024;
const EDGES = [1600, 1280, 960, 720, 480, 320, 200]; // pixels of the longer side
const QUALITIES = [0.85, 0.7, 0.5];
const PIXEL_LIMIT = 2048; // of each side, in what is shown

export const IMAGE_LIMIT = 128 * 1024; // characters, wherever the server would take more

const DATA_URL = /^data:image\/(webp|jpeg);base64,([A-Za-z0-9+/]+={0,2})$/;

// Resolves to a data URL of at most `room` characters; rejects with a sentence for the user.
export async function shrink(file, room) {
  if (file.size > SOURCE_LIMIT_BYTES) throw new Error("This image is too large for the page to open.");

  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error("This image cannot be opened here.");
  });
  try {
    const longest = Math.max(bitmap.width, bitmap.height);
    const edges = [Math.min(longest, EDGES[0]), ...EDGES.filter((edge) => edge < Math.min(longest, EDGES[0]))];

    for (const edge of edges) {
      const canvas = draw(bitmap, edge / longest);
      for (const quality of QUALITIES) {
        const url = await encode(canvas, quality);
        if (url.length <= room) return url;
      }
    }
  } finally {
    bitmap.close();
  }
  throw new Error("This image does not fit into a message here, however small it is made.");
}

// Whether it is a picture that may be shown.
export function isSafeImage(url) {
  if (typeof url !== "string" || url.length > IMAGE_LIMIT) return false;

  const [, type, base64] = DATA_URL.exec(url) ?? [];
  if (!type) return false;

  const size = sizeOf(type, decode(base64));
  return size !== null && size.every((pixels) => pixels > 0 && pixels <= PIXEL_LIMIT);
}

function draw(bitmap, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));

  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // behind what is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

// Where the browser writes no WebP it would write PNG.
async function encode(canvas, quality) {
  const webp = canvas.toDataURL("image/webp", quality);
  return webp.startsWith("data:image/webp") ? webp : canvas.toDataURL("image/jpeg", quality);
}

function decode(base64) {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

// [width, height] in pixels; null where it is no such image, or moves.
export function sizeOf(type, bytes) {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return type === "webp" ? sizeOfWebp(view) : sizeOfJpeg(view);
  } catch {
    return null; // it ends too early
  }
}

// The container's first chunk (RFC 9649 §2): VP8 of one picture, VP8L, or VP8X, which tells the canvas.
function sizeOfWebp(view) {
  if (view.getUint32(0) !== 0x52494646 || view.getUint32(8) !== 0x57454250) return null;

  switch (view.getUint32(12)) {
    case 0x56503820: // "VP8 "
      return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
    case 0x5650384c: { // "VP8L"
      const bits = view.getUint32(21, true);
      return [(bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1];
    }
    case 0x56503858: // "VP8X"
      if (view.getUint8(20) & 0x02) return null; // animation
      return [1 + (view.getUint32(24, true) & 0xffffff), 1 + (view.getUint32(27, true) & 0xffffff)];
    default:
      return null;
  }
}

// The frame header among the segments (ITU T.81 §B.2.2).
function sizeOfJpeg(view) {
  if (view.getUint16(0) !== 0xffd8) return null;
  for (let at = 2; ; at += 2 + view.getUint16(at + 2)) {
    const marker = view.getUint16(at);
    const isFrame = marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker);

    if (marker < 0xff00 || marker === 0xffda) return null;
    if (isFrame) return [view.getUint16(at + 7), view.getUint16(at + 5)];
  }
}
