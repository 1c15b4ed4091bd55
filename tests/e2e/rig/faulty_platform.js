// Stands before the built worker and hands it a platform that fails on command: D1 that cannot be reached, never answers, or
// makes changes and does not say so; a Durable Object's storage whose writes fail, or are made and reported failed; and calls
// that bring an account a credit and fail or are late. `POST /__faults` says what fails from now on, and `GET /__faults` how
// many of those calls there were, and how alarms ended.
import Gate, { AccountObject as Account, PaymentObject as Payment } from "./index.js";
import { over } from "./over.js";

/**
 * `ledger`: "fails", "hangs" or "lies". `storage`: "fails" or "lies". `credits`: by the account's id, "lost", "unanswered",
 * "refused" or "late".
 */
let faults = {};
/** How many calls that bring a credit were not simply answered, and how each alarm of a payment's object ended. */
const seen = { credits: 0, alarms: [] };

const never = new Promise(() => {});

/** What a question names: the statements of a batch, or itself. */
const changes = (target, [statements]) => (statements ?? [target]).some(({ statement }) => !statement.startsWith("SELECT"));

const asked = (target, name) => async (...values) => {
  if (faults.ledger === "hangs") await never;
  if (faults.ledger === "fails") throw new Error("D1_ERROR: Network connection lost.");
  const answer = await target[name](...values);
  if (faults.ledger === "lies" && changes(target, values)) await never;
  return answer;
};

const statement = (real) => over(real, {
  bind: (...values) => statement(real.bind(...values)),
  ...Object.fromEntries(["all", "run", "first", "raw"].map((name) => [name, asked(real, name)])),
});

/** What is to become of a call to an account: it stands in the URL. Late is the one that a request waits for. */
function faultOf(url) {
  if (faults.credits === undefined) return undefined;
  const [[text]] = new URL(url).searchParams;
  const { account, call } = JSON.parse(text);
  const fault = call.credit && faults.credits[account];
  return fault === "late" && call.credit[1] === null ? undefined : fault;
}

const account = (real) => over(real, {
  fetch: async (url, ...more) => {
    const fault = faultOf(url);
    if (fault === undefined) return await real.fetch(url, ...more);
    seen.credits += 1;
    if (fault === "refused") throw new Error("a call failed, for the test");
    if (fault === "unanswered") await real.fetch(url, ...more);
    while (fault === "late" && faultOf(url) === fault) await new Promise((resolve) => setTimeout(resolve, 10));
    return await (fault === "late" ? real.fetch(url, ...more) : never);
  },
});

const environment = (env) => ({
  ...env,
  ACCOUNT: over(env.ACCOUNT, { getByName: (name) => account(env.ACCOUNT.getByName(name)) }),
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

/** What a payment's object keeps. */
function kept({ sql }) {
  const tables = [...sql.exec("SELECT name FROM sqlite_master WHERE name = 'payment'")];
  return tables.length === 0 ? "" : [...sql.exec("SELECT state FROM payment")].map(({ state }) => state).join();
}

export class PaymentObject extends Faulty {
  constructor(real, env) {
    super(new Payment(real, environment(env)));
    this.storage = real.storage;
  }
  async alarm() {
    const ended = { failed: true };
    try {
      await super.alarm();
      ended.failed = false;
    } finally {
      seen.alarms.push({ ...ended, kept: kept(this.storage), next: await this.storage.getAlarm() });
    }
  }
}

export default class extends Gate {
  constructor(context, env) {
    super(context, environment(env));
  }
  async fetch(request) {
    if (new URL(request.url).pathname !== "/__faults") return await super.fetch(request);
    if (request.method === "POST") faults = await request.json();
    return Response.json(seen);
  }
}
