// Who may ask for decisions, about whom, and in which words.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { served } from "./rig/answers.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { HOUR, post, startLimits, windowEnd } from "./rig/limits.ts";

const endpoints = { "three": { fixed_windows: [{ window: "1h", limit: 3 }] } };

let gate: Gate;

before(async () => {
  ({ gate } = await startLimits({ endpoints }));
});

after(stopAll);

for (const [what, one, other] of [["wallet", `wallet:0x${"ab".repeat(20)}`, `wallet:0x${"AB".repeat(20)}`], ["IPv6 network", "ip:2001:db8:1:2::/64", "ip:2001:db8:1:2::7"]]) {
  test(`another spelling of a ${what} is the same account, or none`, async () => {
    await windowEnd(HOUR, 3000);
    const ask = async (account: string | undefined) => await post(gate, "/attempt", { request_id: randomUUID(), account, endpoint: "three" });
    for (let count = 0; count < 3; count += 1) await served(await ask(one));
    const answer = await ask(other);
    assert.ok(answer.status === 400 || (await answer.json() as Table)["allowed"] === false, "it has an allowance of its own");
  });
}

test("an endpoint that the plan does not list is not allowed, by name", async () => {
  const answer = await post(gate, "/attempt", { request_id: randomUUID(), account: `ip:${freshAddress()}`, endpoint: "gpt-5" });
  const text = await answer.text();
  assert.ok(answer.status === 403 || JSON.parse(text).allowed === false, `${answer.status}`);
  assert.match(text, /no access to endpoint: gpt-5"/);
});

test("only the owner's backend may ask, and nobody where there is no admin token", async () => {
  const body = { request_id: randomUUID(), account: `ip:${freshAddress()}`, endpoint: "three" };
  for (const path of ["/attempt", "/end"]) {
    for (const token of [null, "", "wrong-token-of-some-length", "an-admin-token-for-test"]) {
      const answer = await post(gate, path, body, token);
      assert.equal(answer.status, 401, `${path} ${token}`);
    }
  }
  const without = await startLimits({ endpoints, secrets: { ADMIN_TOKEN: undefined } });
  for (const path of ["/attempt", "/end"]) assert.equal((await post(without.gate, path, body)).status, 404);
  await without.gate.stop();
});

for (const body of ["no JSON", {}, { request_id: "r", endpoint: "three" }, { request_id: "r", account: "nobody", endpoint: "three" },
  { request_id: "r", account: "ip:192.0.2.1", endpoint: "three", units: { token: -1 } }]) {
  test(`a question that cannot be read (${JSON.stringify(body)}) is a 400`, async () => {
    assert.equal((await post(gate, "/attempt", body)).status, 400);
  });
}
