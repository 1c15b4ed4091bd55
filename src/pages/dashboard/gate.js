// @ts-check
// Asks the owner's API, in the name of the token that this tab keeps. Paths are relative: the page stands beside /admin.

const KEPT = "tollgate-admin-token";

/** What the gate refuses or cannot do, in its own words; or that it cannot be reached. */
class Refusal extends Error {
  /**
   * @param {number} status 0 where no answer came
   * @param {string} title
   * @param {string} detail
   * @param {{ type?: string, requestId?: string, advice?: string }} [more]
   */
  constructor(status, title, detail, more = {}) {
    super(`${title}: ${detail}`);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.more = more;
  }
}

/** @returns {string | null} */
const token = () => sessionStorage.getItem(KEPT);

/** @param {string} value */
const keepToken = (value) => sessionStorage.setItem(KEPT, value);

const forgetToken = () => sessionStorage.removeItem(KEPT);

/**
 * What the API answers, as JSON; nothing where it answers nothing.
 * @param {string} method
 * @param {string} path under /admin
 * @param {{ body?: unknown, headers?: Record<string, string>, token?: string | null }} [order]
 * @returns {Promise<any>}
 */
async function ask(method, path, order = {}) {
  const text = await askText(method, path, order);
  return text === "" ? null : JSON.parse(text);
}

/**
 * The same as text.
 * @param {string} method
 * @param {string} path
 * @param {{ body?: unknown, headers?: Record<string, string>, token?: string | null }} [order]
 * @returns {Promise<string>}
 */
async function askText(method, path, order = {}) {
  let answer;
  try {
    answer = await fetch(`admin${path}`, {
      method,
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(30_000),
      headers: {
        Authorization: `Bearer ${order.token ?? token()}`,
        ...(order.body !== undefined && { "Content-Type": "application/json" }),
        ...order.headers,
      },
      ...(order.body !== undefined && { body: JSON.stringify(order.body) }),
    });
    const text = await answer.text();
    if (answer.ok) return text;
    throw refusal(answer, text);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(0, "The gate cannot be reached", "No answer came, or it broke off.", {
      advice: "Check the connection, then refresh. What you had sent may have been done: look before you send it again.",
    });
  }
}

/**
 * @param {Response} answer
 * @param {string} text
 * @returns {Refusal}
 */
function refusal(answer, text) {
  try {
    const { title, detail, type, request_id: requestId } = JSON.parse(text);
    if (typeof title === "string" && typeof detail === "string") return new Refusal(answer.status, title, detail, { type, requestId });
  } catch {
    // Something before the gate answered in words of its own.
  }
  return new Refusal(answer.status, `HTTP ${answer.status}`, "The answer is not the gate’s: something before it may have answered instead.");
}

/**
 * What to do about a refusal, as the gate's page about it says.
 * @param {Refusal} refused
 * @returns {Promise<string | undefined>}
 */
async function advice({ more }) {
  if (more.advice || !more.type) return more.advice;
  const page = new URL(more.type, location.href);
  if (page.origin !== location.origin) return undefined;
  try {
    const answer = await fetch(page, { headers: { Accept: "application/json" } });
    return answer.ok ? (await answer.json()).what_to_do : undefined;
  } catch {
    return undefined;
  }
}

/**
 * A path with a query of what is not empty.
 * @param {string} path
 * @param {Record<string, string | number>} query
 */
function asked(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== "");
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}
