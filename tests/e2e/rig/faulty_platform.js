// Stands before the built worker and hands it a platform that fails on command: D1 that never answers, and a Durable Object's
// storage whose writes fail, or are made and reported failed. `POST /__faults` says what fails from now on.
import Gate, { AccountObject as Account, PaymentObject as Payment } from "./index.js";

/** `ledger`: "hangs". `storage`: "fails" or "lies". */
let faults = {};

const never = new Promise(() => {});

/** The object with some of its members replaced; the others are its own. */
function over(target, members) {
  return new Proxy(target, {
    get(_, name) {
      if (Object.hasOwn(members, name)) return members[name];
      const own = Reflect.get(target, name, target);
      return typeof own === "function" && name !== "constructor" ? own.bind(target) : own;
    },
  });
}

const asked = (target, name) => async (...values) => (faults.ledger === "hangs" ? await never : await target[name](...values));

const statement = (real) => over(real, {
  bind: (...values) => statement(real.bind(...values)),
  ...Object.fromEntries(["all", "run", "first", "raw"].map((name) => [name, asked(real, name)])),
});

const environment = (env) => ({
  ...env,
  LEDGER: over(env.LEDGER, { batch: asked(env.LEDGER, "batch"), prepare: (sql) => statement(env.LEDGER.prepare(sql)) }),
});

function exec(sql) {
  return (query, ...values) => {
    const fault = query.startsWith("INSERT INTO account") ? faults.storage : undefined;
    if (fault === "fails") throw new Error("a write failed, for the test");
    const cursor = sql.exec(query, ...values);
    if (fault === "lies") throw new Error("a write was made and reported failed, for the test");
    return cursor;
  };
}

const state = (real) => over(real, { storage: over(real.storage, { sql: over(real.storage.sql, { exec: exec(real.storage.sql) }) }) });

class Faulty {
  constructor(object) {
    this.object = object;
  }
  fetch(request) {
    return this.object.fetch(request);
  }
  alarm() {
    return this.object.alarm();
  }
}

export class AccountObject extends Faulty {
  constructor(real, env) {
    super(new Account(state(real), environment(env)));
  }
}

export class PaymentObject extends Faulty {
  constructor(real, env) {
    super(new Payment(real, environment(env)));
  }
}

export default class extends Gate {
  constructor(context, env) {
    super(context, environment(env));
  }
  async fetch(request) {
    if (new URL(request.url).pathname !== "/__faults") return await super.fetch(request);
    faults = await request.json();
    return new Response();
  }
}
