// @ts-check
// The way of a payment through the page: from one click to what was bought.

/** The gate refuses a payment that is good for less than 6 more seconds. */
const LEAST_SECONDS = 8;

/** @param {Desk} desk */
async function pay(desk) {
  const { wallet, offer, accepted } = desk.chosen();
  if (!wallet || !offer?.chain || !accepted) return;
  desk.say(`Open ${wallet.name} and let it connect to this page.`, "busy");
  const from = await connect(wallet, offer.chain, offer.network);
  desk.say(`Check the amount in ${wallet.name} and sign: ${offer.words}, from ${from.slice(0, 6)}…${from.slice(-4)}.`, "busy");
  const payload = await sign(wallet, from, accepted, desk.now());
  if (desk.now() > Number(payload.authorization.validBefore) - LEAST_SECONDS) {
    throw new Told(`Signing took longer than the ${accepted.maxTimeoutSeconds} seconds for which it is good. Nothing was paid: try again.`);
  }
  await settle(desk, { field: paymentField(desk.data, accepted, payload), price: offer.words, isInDoubt: false });
}

/** Sees a signed payment through. @param {Desk} desk @param {Payment} payment */
async function settle(desk, payment) {
  keep(payment);
  desk.say("Paying…", "busy");
  const arrived = (/** @type {Response} */ answer) => {
    keepSession(answer, desk.data.sessionSeconds);
    if (isPaid(answer)) desk.say("Paid. The answer is coming…", "busy");
  };
  const outcome = await deliver(payment, { pause: desk.pause, arrived });
  keep(undefined);
  switch (outcome.is) {
    case "answered":
      return await present(desk, outcome, payment);
    case "refused":
      throw new Told(refusal(desk, outcome, payment));
    case "used": {
      const { detail, receipt } = outcome.problem;
      const more = receipt ? [" ", make("a", { href: receipt }, "Its receipt")] : [];
      return desk.say(sentence(detail ?? "This payment was used before"), "wrong", ...more);
    }
  }
}

/** Why a payment was refused. @param {Desk} desk @param {Outcome} outcome @param {Payment} payment */
function refusal({ data }, { answer, problem: { detail, reason } }, payment) {
  const required = fromBase64(answer.headers.get("PAYMENT-REQUIRED"));
  if (required && JSON.stringify(required.accepts) !== JSON.stringify(data.required.accepts)) {
    return "What is for sale has changed. Nothing was paid: load this page again.";
  }
  const hint = /insufficient|simulation/.test(reason ?? "") ? ` Check that the wallet holds ${payment.price}.` : "";
  return `${sentence(detail ?? "The payment was refused; no money moved")}${hint} You may try again.`;
}

/** Opens or shows what was bought. @param {Desk} desk @param {Answer} given @param {Payment} payment */
async function present(desk, given, payment) {
  const { answer } = given;
  const free = hasPassed(answer) ? "This request passed, and nothing was paid for it." : "Nothing was paid.";
  const what = isPaid(answer) ? `Paid ${payment.price}.` : payment.isInDoubt && !desk.data.oneCall ? "The payment went through." : free;
  if (isToBeOpened(answer, desk.data.oneCall)) {
    desk.say(`${what} The page is opened…`, "good");
    return location.reload();
  }
  desk.say(what, "good");
  await show(desk, given, what);
}

/** Puts the answer in the place of the offer. @param {Desk} desk @param {Answer} given @param {string} what */
async function show(desk, given, what) {
  const { answer } = given;
  const left = answer.headers.get("X-RateLimit-Remaining");
  const again = desk.data.oneCall || left === null ? "Ask again" : `Ask again (${left} left)`;
  const place = found("answer");
  place.replaceChildren(
    make("h2", { id: "answer-title" }, hasPassed(answer) ? what : `${what} The API answered ${answer.status}.`),
    proofs(desk, answer),
    ...await shown(given),
    make("a", { href: "", class: "button" }, again),
  );
  found("title").textContent = document.title = hasPassed(answer) ? "Here is your answer" : "The API could not do it";
  for (const id of ["status", "pay", "wait", "programs"]) document.getElementById(id)?.setAttribute("hidden", "");
  place.hidden = false;
  place.focus();
}

/** Where the payment is proven. @param {Desk} desk @param {Response} answer */
function proofs(desk, answer) {
  const receipt = fromBase64(answer.headers.get("X-402-Receipt"))?.receipt?.id ?? answer.headers.get("X-402-Receipt-Id");
  const transaction = settlement(answer)?.transaction;
  const explorer = desk.chosen().offer?.chain?.blockExplorerUrls?.[0];
  return make(
    "p", { class: "links" },
    receipt ? make("a", { href: `${desk.data.prefix}/receipts/${receipt}` }, "Receipt") : null,
    transaction && explorer ? make("a", { href: `${explorer}/tx/${transaction}`, rel: "noreferrer" }, "Transaction") : null,
  );
}

/** @param {string} text */
const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

countDown();
if (document.getElementById("go")) {
  const desk = new Desk(dataOf(document));
  desk.onPay(() => pay(desk));
  const signedBefore = keptPayment();
  if (signedBefore) desk.busy(() => settle(desk, signedBefore));
  findWallets(desk.list);
}
