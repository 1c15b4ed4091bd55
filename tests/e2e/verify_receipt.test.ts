// The receipt checker for JavaScript: the vectors that the Rust one is tested with, here in Node, and bundled in workerd and
// for a browser. What is signed is checked once more by viem.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { after, test } from "node:test";
import { build } from "esbuild";
import { Miniflare } from "miniflare";
import { ReceiptError, canonicalReceipt, verifiedReceipt, verifyReceipt } from "../../clients/verify-receipt.mjs";
import { receiptIsSignedBy } from "./rig/receipts.ts";
import { COMPATIBILITY_DATE } from "./rig/runtime.ts";
import { hold, stopAll } from "./rig/lifetime.ts";

interface Vectors {
  public_key: `0x${string}`;
  address: string;
  stranger_public_key: string;
  valid: { name: string; canonical: string; digest: string; signed: any }[];
  invalid: { name: string; reason: string; signed: any }[];
}

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const vectors = JSON.parse(readFileSync(path("tests/vectors/receipts.json"), "utf8")) as Vectors;
const pins = [{ publicKey: vectors.public_key }, { address: vectors.address }, { address: vectors.address.toLowerCase() }];

after(stopAll);

for (const { name, canonical, signed } of vectors.valid) {
  test(`holds: ${name}`, async () => {
    assert.equal(canonicalReceipt(signed.receipt), canonical);
    assert.ok(await receiptIsSignedBy(vectors.public_key, signed), "viem agrees");
    const json = JSON.stringify(signed);
    for (const pinned of pins) {
      for (const form of [signed, json, Buffer.from(json).toString("base64"), { ...signed, status: "valid" }]) {
        assert.equal(verifyReceipt(form, pinned), true);
      }
      assert.deepEqual(verifiedReceipt(signed, pinned), signed.receipt);
    }
    const shuffled = { ...signed, receipt: Object.fromEntries(Object.entries(signed.receipt).reverse()) };
    assert.equal(verifyReceipt(shuffled, pins[0]!), true, "the order of what was parsed does not matter");
    assert.equal(verifyReceipt(signed, { publicKey: vectors.stranger_public_key }), false);
  });
}

for (const { name, reason, signed } of vectors.invalid) {
  test(`does not hold: ${name}`, () => {
    for (const pinned of pins) {
      assert.equal(verifyReceipt(signed, pinned), false);
      assert.throws(() => verifiedReceipt(signed, pinned), (error) => error instanceof ReceiptError && error.reason === reason);
    }
  });
}

test("what is no receipt at all does not hold, and what is no key is an error", () => {
  const [{ signed }] = vectors.valid as [Vectors["valid"][number]];
  for (const nothing of [undefined, null, 7, "", "{", "AAAA", [], {}, { ...signed, receipt: [] }, { ...signed, status: 1 }]) {
    assert.equal(verifyReceipt(nothing, pins[0]!), false, JSON.stringify(nothing));
  }
  const lone = structuredClone(signed);
  lone.receipt.service.endpoint = "\ud800";
  assert.throws(() => canonicalReceipt(lone.receipt), ReceiptError);
  for (const no of [{}, { publicKey: "0x04" }, { address: "0x1" }, { ...pins[0], ...pins[1] }, { address: vectors.address.replace("e", "E") }, undefined]) {
    assert.throws(() => verifyReceipt(signed, no as never), TypeError, JSON.stringify(no));
  }
});

/** The checker in one file, as a bundler makes it for that platform. */
async function bundled(platform: "browser" | "neutral"): Promise<string> {
  const { outputFiles, metafile } = await build({
    entryPoints: [path("clients/verify-receipt.mjs")],
    bundle: true,
    write: false,
    format: "esm",
    platform,
    mainFields: ["module", "main"],
    metafile: true,
    logLevel: "silent",
  });
  assert.deepEqual(Object.values(metafile.outputs).flatMap(({ imports }) => imports), [], "nothing of Node is needed");
  return outputFiles[0]!.text;
}

test("it is bundled for a browser as it is, and stays small", async () => {
  const code = await bundled("browser");
  const { verifyReceipt: inBrowser } = await import(`data:text/javascript,${encodeURIComponent(code)}`) as typeof import("../../clients/verify-receipt.mjs");
  assert.equal(inBrowser(vectors.valid[1]!.signed, pins[0]!), true);
  assert.equal(inBrowser(vectors.invalid[0]!.signed, pins[0]!), false);
  assert.ok(code.length < 200_000, `${code.length} bytes`);
});

test("it runs in workerd", async () => {
  const worker = `
    import { verifyReceipt } from "checker";
    export default { async fetch(request) {
      const { forms, pinned } = await request.json();
      return Response.json(forms.map((form) => verifyReceipt(form, pinned)));
    } };`;
  const checker = await bundled("neutral");
  const miniflare = new Miniflare({
    workers: [{
      config: {
        name: "checker",
        compatibilityDate: COMPATIBILITY_DATE,
        manifest: {
          mainModule: "index.js",
          modulesRoot: path("."),
          modules: { "index.js": { type: "esm", contents: worker }, "checker": { type: "esm", contents: checker } },
        },
      },
    }],
    port: 0,
    cf: false,
  });
  hold({ stop: async () => await miniflare.dispose() });
  const { origin } = await miniflare.ready;
  const forms = [...vectors.valid, ...vectors.invalid].map(({ signed }) => signed);
  const answer = await fetch(origin, { method: "POST", body: JSON.stringify({ forms, pinned: pins[1] }) });
  assert.deepEqual(await answer.json(), [...vectors.valid.map(() => true), ...vectors.invalid.map(() => false)]);
});
