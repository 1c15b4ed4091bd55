// Stands before the built worker and moves its wall clock forward on command, so that a day or a month ends without waiting
// for it. `POST /__clock` with an instant in Unix milliseconds says what the clock shows from then on; it runs as always. What
// rings in the time that is skipped rings at once.
import Gate, { AccountObject as Account, PaymentObject as Payment } from "./index.js";
import { over } from "./over.js";

const Wall = Date;

/** By how much the worker's clock is before the platform's. */
let ahead = 0;

globalThis.Date = class Date extends Wall {
  static now() {
    return Wall.now() + ahead;
  }
  constructor(...values) {
    super(...(values.length === 0 ? [Date.now()] : values));
  }
};

/** What the rig asks of an object that it stands before. */
const MOVE_ALARM = "https://rig/move-alarm";

/** The objects that were made, by binding: their ids. */
const made = { ACCOUNT: new Set(), PAYMENT: new Set() };

/** Storage whose alarms are told, and tell, the worker's time; the platform rings them by its own. */
const storage = (real) => over(real, {
  setAlarm: (at, options) => real.setAlarm(Number(at) - ahead, options),
  getAlarm: async (options) => {
    const at = await real.getAlarm(options);
    return at === null ? null : at + ahead;
  },
});

class Moved {
  constructor(binding, Real, state, env) {
    made[binding].add(state.id.toString());
    this.storage = state.storage;
    this.object = new Real(over(state, { storage: storage(state.storage) }), env);
  }
  async fetch(request) {
    if (request.url !== MOVE_ALARM) return await this.object.fetch(request);
    const at = await this.storage.getAlarm();
    if (at !== null) await this.storage.setAlarm(at - Number(await request.text()));
    return new Response();
  }
  alarm() {
    return this.object.alarm();
  }
}

export class AccountObject extends Moved {
  constructor(state, env) {
    super("ACCOUNT", Account, state, env);
  }
}

export class PaymentObject extends Moved {
  constructor(state, env) {
    super("PAYMENT", Payment, state, env);
  }
}

async function move(env, to) {
  const by = to - Date.now();
  if (by < 0) throw new Error("the clock only goes forward");
  ahead += by;
  for (const [binding, ids] of Object.entries(made)) {
    for (const id of ids) {
      const object = env[binding].get(env[binding].idFromString(id));
      await object.fetch(MOVE_ALARM, { method: "POST", body: String(by) });
    }
  }
}

export default class extends Gate {
  async fetch(request) {
    if (new URL(request.url).pathname !== "/__clock") return await super.fetch(request);
    await move(this.env, Number(await request.text()));
    return new Response();
  }
}
