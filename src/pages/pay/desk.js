// @ts-check
// Where a person chooses what to pay with, and is told how it goes.

/** @typedef {{words: string, price: string, network: string, chain: Chain & {blockExplorerUrls?: string[]} | null}} Offer */
/** @typedef {{at: number, prefix: string, oneCall: boolean, named: boolean, sessionSeconds: number, required: {accepts: Requirements[], resource: object}, offers: Offer[], problem: Problem}} Data */

/** @param {Document} page @returns {Data} */
const dataOf = (page) => JSON.parse(page.getElementById("data")?.textContent ?? "");

class Desk {
  /** @type {Wallet[]} */
  #wallets = [];
  #isBusy = false;
  #go = found("go", HTMLButtonElement);
  #choice = found("wallets");
  #progress = found("progress");
  #skew;

  /** @param {Data} data */
  constructor(data) {
    this.data = data;
    this.#skew = data.at - Date.now();
    document.addEventListener("change", () => this.#draw());
  }

  /** The gate's time in unix seconds, whatever the clock here says. */
  now = () => Math.floor((Date.now() + this.#skew) / 1000);

  /** @param {() => Promise<void>} pay */
  onPay(pay) {
    this.#go.addEventListener("click", () => this.busy(pay));
  }

  /** @param {string} text @param {"" | "wrong" | "good" | "busy"} mood @param {(Node | string)[]} more */
  say(text, mood = "", ...more) {
    this.#progress.replaceChildren(text, ...more);
    this.#progress.className = `note ${mood}`;
  }

  /** Says what is waited for, and waits. @param {string} text @param {number} seconds */
  pause = async (text, seconds) => {
    this.say(`${text} in ${spanOf(seconds)}.`, "busy");
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    this.say("Asking the gate about the payment…", "busy");
  };

  /** The wallet, the offer and what it asks, as they are chosen. */
  chosen() {
    const nth = Number(chosen("offer") ?? 0);
    return { wallet: this.#wallet(), offer: this.data.offers[nth], accepted: this.data.required.accepts[nth] };
  }

  #wallet() {
    return this.#wallets.find(({ id }) => id === chosen("wallet")) ?? this.#wallets[0];
  }

  /** Does one thing at a time; what goes wrong is told. @param {() => Promise<void>} work */
  async busy(work) {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#draw();
    const stay = (/** @type {BeforeUnloadEvent} */ event) => {
      if (keptPayment()) event.preventDefault();
    };
    window.addEventListener("beforeunload", stay);
    try {
      await work();
    } catch (error) {
      if (error instanceof Declined) this.say("You declined in the wallet. Nothing was paid.");
      else this.say(error instanceof Told ? error.message : `This page failed: ${error}. Load it again; a payment that was signed is not lost.`, "wrong");
    }
    window.removeEventListener("beforeunload", stay);
    this.#isBusy = false;
    this.#draw();
  }

  /** Shows the wallets that there are. @param {Wallet[]} all */
  list = (all) => {
    const before = this.#wallet()?.id ?? all[0]?.id;
    this.#wallets = all;
    this.#choice.hidden = all.length < 2;
    this.#choice.replaceChildren(make("fieldset", {}, make("legend", {}, "Wallet"), ...all.map((wallet) => walletChoice(wallet, before))));
    if (all.length === 0) {
      found("programs", HTMLDetailsElement).open = true;
      if (!this.#isBusy) this.say(NO_WALLET);
    } else if (this.#progress.textContent === NO_WALLET) {
      this.say("");
    }
    this.#draw();
  };

  #draw() {
    const radios = [.../** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[name=offer]"))];
    if (radios[0] && chosen("offer") === undefined) radios[0].checked = true;
    for (const radio of radios) radio.hidden = radios.length === 1;
    for (const input of document.querySelectorAll("input")) input.disabled = this.#isBusy;
    const { wallet, offer } = this.chosen();
    this.#go.hidden = !wallet;
    this.#go.disabled = this.#isBusy;
    this.#go.textContent = `Pay ${offer?.price} with ${wallet?.name}`;
  }
}

const NO_WALLET = "No wallet was found in this browser. Install one and load this page again, or pay with a program, as below.";

/** What is chosen of a group. @param {string} name @returns {string | undefined} */
const chosen = (name) => /** @type {HTMLInputElement | null} */ (document.querySelector(`input[name="${name}"]:checked`))?.value;

/** @param {Wallet} wallet @param {string | undefined} before */
function walletChoice({ id, name, icon }, before) {
  const picture = icon ? make("img", { src: icon, alt: "", width: 20, height: 20 }) : null;
  return make("label", {}, make("input", { type: "radio", name: "wallet", value: id, checked: id === before }), picture, name);
}
