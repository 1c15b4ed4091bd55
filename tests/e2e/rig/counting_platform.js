// Stands before the built worker and counts what Cloudflare charges for: requests to the worker and to its objects, rows that
// objects and D1 write, and writes to KV. `GET /__counts` tells them, and `DELETE /__counts` starts anew.
import Gate, { AccountObject as Account, PaymentObject as Payment } from "./index.js";
import { over } from "./over.js";

const none = () => ({ workerRequests: 0, objectRequests: 0, objectRows: 0, d1Rows: 0, kvWrites: 0 });

let counts = none();

/** Counts the rows that D1 says it wrote, indexes among them. */
const asked = (target, name) => async (...values) => {
  const answer = await target[name](...values);
  for (const { meta } of [answer].flat()) counts.d1Rows += meta?.rows_written ?? 0;
  return answer;
};

const statement = (real) => over(real, {
  bind: (...values) => statement(real.bind(...values)),
  ...Object.fromEntries(["all", "run"].map((name) => [name, asked(real, name)])),
});

const environment = (env) => ({
  ...env,
  LEDGER: over(env.LEDGER, { batch: asked(env.LEDGER, "batch"), prepare: (sql) => statement(env.LEDGER.prepare(sql)) }),
  RECEIPTS: over(env.RECEIPTS, {
    put: async (...values) => {
      counts.kvWrites += 1;
      return await env.RECEIPTS.put(...values);
    },
  }),
});

/** An alarm that is set is a row, and so is the deletion of all. */
const storage = (real) => over(real, {
  sql: over(real.sql, {
    exec: (...values) => {
      const cursor = real.sql.exec(...values);
      counts.objectRows += cursor.rowsWritten;
      return cursor;
    },
  }),
  setAlarm: async (...values) => {
    counts.objectRows += 1;
    return await real.setAlarm(...values);
  },
  deleteAll: async () => {
    counts.objectRows += 1;
    return await real.deleteAll();
  },
});

class Counted {
  constructor(Real, state, env) {
    this.object = new Real(over(state, { storage: storage(state.storage) }), environment(env));
  }
  fetch(request) {
    counts.objectRequests += 1;
    return this.object.fetch(request);
  }
  alarm() {
    counts.objectRequests += 1;
    return this.object.alarm();
  }
}

export class AccountObject extends Counted {
  constructor(state, env) {
    super(Account, state, env);
  }
}

export class PaymentObject extends Counted {
  constructor(state, env) {
    super(Payment, state, env);
  }
}

export default class extends Gate {
  constructor(context, env) {
    super(context, environment(env));
  }
  async fetch(request) {
    if (new URL(request.url).pathname === "/__counts") {
      if (request.method === "DELETE") counts = none();
      return Response.json(counts);
    }
    counts.workerRequests += 1;
    return await super.fetch(request);
  }
}
