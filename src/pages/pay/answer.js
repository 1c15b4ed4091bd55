// @ts-check
// What was bought, shown: a page is opened, text stands in place, anything else can be saved.

const MOST_SHOWN = 200_000;

/**
 * Keeps the session token that came with a paid answer: this browser spends what it bought, from whatever address.
 * @param {Response} answer @param {number} seconds how long the token is good
 */
function keepSession(answer, seconds) {
  const token = answer.headers.get("Tollgate-Session");
  const secure = location.protocol === "https:" ? "; Secure" : "";
  if (token) document.cookie = `tollgate_session=${token}; path=/; max-age=${seconds}; SameSite=Lax${secure}`;
}

/**
 * Whether the browser is to open the address again: a page looks like itself only there, and it takes one more request.
 * @param {Response} answer @param {boolean} isOneCall
 */
function isToBeOpened(answer, isOneCall) {
  if (isOneCall) return false;
  if (answer.type === "opaqueredirect") return true;
  return answer.ok && mediaType(answer) === "text/html" && Number(answer.headers.get("X-RateLimit-Remaining") ?? 1) >= 1;
}

/** Whether the API did what was asked. @param {Response} answer */
const hasPassed = (answer) => answer.ok || answer.type === "opaqueredirect";

/** @param {Response} answer */
const mediaType = (answer) => (answer.headers.get("Content-Type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";

/** The answer as it can stand in this page. @param {Answer} given @returns {Promise<HTMLElement[]>} */
async function shown({ answer, body }) {
  const type = mediaType(answer);
  if (answer.type === "opaqueredirect") return [make("p", {}, "The API sends you on to another address, which a page cannot look into.")];
  if (body.size === 0) return [make("p", { class: "soft" }, "The answer is empty.")];
  if (/^text\/html$|^application\/xhtml/.test(type)) return [...framed(await body.text()), save(body, answer)];
  if (!/^text\/|[/+](json|xml|yaml|x-ndjson|javascript)$/.test(type)) return [save(body, answer)];
  const text = await body.text();
  const pretty = type.endsWith("json") ? indented(text) : text;
  const part = pretty.length > MOST_SHOWN ? `${pretty.slice(0, MOST_SHOWN)}…` : pretty;
  return [make("pre", { tabindex: 0 }, make("code", {}, part)), save(body, answer)];
}

/** JSON, indented; as it came where numbers in it would lose digits. @param {string} text */
function indented(text) {
  if (/\d{16}/.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** A page without what this one's policy would not load: its text and structure. @param {string} html */
function framed(html) {
  // In a template nothing is loaded. What this page's policy forbids anyway is not even read there: browsers would complain.
  const page = make("template");
  page.innerHTML = html.replace(/<[^>]*>/g, (tag) => tag.replace(/([\s"'/])(on\w+|style)(?=\s*=)/gi, "$1data-$2"));
  for (const part of page.content.querySelectorAll("script, style, link, meta, base, img, picture, video, audio, iframe, object, embed, form, title")) part.remove();
  for (const part of page.content.querySelectorAll("*")) {
    for (const { name } of [...part.attributes]) if (name === "style" || name.startsWith("on")) part.removeAttribute(name);
  }
  const frame = make("iframe", { title: "The page that you asked for", sandbox: "", srcdoc: page.innerHTML });
  return [make("p", { class: "note" }, "Shown without its styles, pictures and scripts: save it to see all of it."), frame];
}

/** @param {Blob} body @param {Response} answer */
function save(body, answer) {
  const named = /filename="?([^";]+)/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1];
  const name = named ?? (location.pathname.split("/").pop() || "answer");
  return make("a", { href: URL.createObjectURL(body), download: name, class: "button" }, `Save ${name} (${size(body.size)})`);
}

/** @param {number} bytes */
const size = (bytes) => (bytes < 1000 ? `${bytes} bytes` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
