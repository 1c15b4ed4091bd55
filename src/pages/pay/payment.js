// @ts-check
// A payment that was signed, from then until it is known what became of it: kept over a reload, and sent again, the very same,
// as long as the gate cannot say. It is never signed a second time by itself.

/** @typedef {{network: string, amount: string, asset: string, payTo: string, maxTimeoutSeconds: number, extra: {name: string, version: string}}} Requirements */
/** @typedef {{field: string, price: string, isInDoubt: boolean}} Payment */
/** @typedef {{answer: Response, body: Blob}} Answer */
/** @typedef {{is: "answered" | "refused" | "used", problem: Problem} & Answer} Outcome */
/** @typedef {{type?: string, detail?: string, reason?: string, receipt?: string}} Problem */

const LONGEST_PAUSE_SECONDS = 15;

/** Where the payment for this request is kept. The fragment of a URL is not sent. */
const KEPT = `tollgate payment ${location.href.split("#")[0]}`;

/** @returns {Payment | undefined} */
function keptPayment() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "") ?? undefined;
  } catch {
    return undefined;
  }
}

/** @param {Payment | undefined} payment */
function keep(payment) {
  try {
    if (payment) sessionStorage.setItem(KEPT, JSON.stringify(payment));
    else sessionStorage.removeItem(KEPT);
  } catch {
    // A browser may forbid it; then a reload forgets the payment.
  }
}

/**
 * What is sent to pay (x402 version 2): base64 of the payment's JSON.
 * @param {Data} data @param {Requirements} accepted @param {object} payload
 */
function paymentField(data, accepted, payload) {
  const extensions = data.named ? { "payment-identifier": { info: { required: true, id: `page_${crypto.getRandomValues(new BigUint64Array(2)).join("_")}` } } } : {};
  const text = JSON.stringify({ x402Version: 2, resource: data.required.resource, accepted, payload, extensions });
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

/**
 * Sends the request with the payment until it is known what became of that, and all of the answer is there. Of one that was
 * presented in its time the gate knows it afterwards, too.
 * @param {Payment} payment
 * @param {{pause: (text: string, seconds: number) => Promise<void>, arrived: (answer: Response) => void}} page
 *   `pause` says why, and waits; `arrived` is told of an answer before its body is read
 * @returns {Promise<Outcome>}
 */
async function deliver(payment, { pause, arrived }) {
  for (let losses = 0; ;) {
    let answer, body;
    try {
      answer = await send(payment.field);
      arrived(answer);
      body = await answer.blob();
    } catch {
      // It is not known what the gate did.
    }
    const problem = answer && body ? await problemOf(answer, body) : {};
    const is = (/** @type {string} */ name) => problem.type?.endsWith(`/${name}`) === true;
    if (!answer || !body || is("internal") || !isOfGate(answer)) {
      keep(Object.assign(payment, { isInDoubt: true }));
      await pause("No answer came from the gate. The same payment is sent again", Math.min(2 ** losses, LONGEST_PAUSE_SECONDS));
      losses += 1;
      continue;
    }
    const retryAfter = Number(answer.headers.get("Retry-After") ?? 1);
    if (isPaid(answer)) return { is: "answered", problem, answer, body };
    if (is("payment-pending") || is("facilitator-unavailable")) {
      if (is("payment-pending")) keep(Object.assign(payment, { isInDoubt: true }));
      await pause("The payment is on its way and not lost. The gate is asked again", retryAfter);
    } else if (is("too-many-failures")) {
      await pause("Too many payments were refused, so this one was not looked at yet. It is sent again", retryAfter);
    } else {
      return { is: answer.status === 402 ? "refused" : is("payment-used") ? "used" : "answered", problem, answer, body };
    }
  }
}

/** The same request as the browser's, paid for. Redirects are the browser's to follow. @param {string} field */
async function send(field) {
  const headers = { Accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "PAYMENT-SIGNATURE": field };
  return await fetch(location.href, { headers, cache: "no-store", redirect: "manual" });
}

/** Whether an answer came by the gate, and not from something before it that failed. @param {Response} answer */
const isOfGate = (answer) => answer.type === "opaqueredirect" || answer.headers.has("Tollgate-Request-Id");

/** What the gate's own answer says went wrong. @param {Response} answer @param {Blob} body @returns {Promise<Problem>} */
async function problemOf(answer, body) {
  const type = answer.headers.get("Content-Type") ?? "";
  try {
    if (type.startsWith("application/problem+json")) return JSON.parse(await body.text());
    // A browser that does not say that this was no navigation is sent this page again.
    if (answer.status === 402 && type.startsWith("text/html")) return dataOf(new DOMParser().parseFromString(await body.text(), "text/html")).problem;
  } catch {
    // It is not the gate's, then.
  }
  return {};
}

/** What is said of the settlement, if it went through. @param {Response} answer @returns {{transaction?: string} | undefined} */
function settlement(answer) {
  const said = fromBase64(answer.headers.get("PAYMENT-RESPONSE"));
  return said?.success === true ? said : undefined;
}

/** @param {Response} answer */
const isPaid = (answer) => Boolean(settlement(answer) || answer.headers.get("X-402-Receipt-Id")) && answer.status !== 409;

/** @param {string | null} text */
function fromBase64(text) {
  try {
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(text ?? ""), (letter) => letter.charCodeAt(0))));
  } catch {
    return undefined;
  }
}
