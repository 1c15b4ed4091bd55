// The pages of the gate as a browser shows them: nothing from elsewhere, nothing in the console, and room on a telephone.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startBrowser } from "./rig/browser.ts";
import type { Browser } from "./rig/browser.ts";
import type { Gate } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { startLimits } from "./rig/limits.ts";

let gate: Gate;
let browser: Browser;

before(async () => {
  ({ gate } = await startLimits({ endpoints: { "*": {} } }));
  browser = await startBrowser();
});

after(stopAll);

for (const scheme of ["light", "dark"] as const) {
  test(`a problem's page is styled in ${scheme} colours, and fits a telephone`, async () => {
    const visit = await browser.visit(gate, "/_tollgate/problems/rate-limited", { scheme, width: 360, height: 740 });
    const ground = await visit.page.evaluate("getComputedStyle(document.body).backgroundColor");
    assert.equal(ground, { light: "rgb(251, 250, 247)", dark: "rgb(20, 22, 26)" }[scheme]);
    await visit.shot(`problem-${scheme}`);
    await visit.fine();
    await visit.close();
  });
}

test("from one problem the keyboard leads to the others", async () => {
  const visit = await browser.visit(gate, "/_tollgate/problems/rate-limited");
  await visit.page.keyboard.press("Tab");
  const first = await visit.page.evaluate("document.activeElement.href") as string;
  await visit.page.keyboard.press("Enter");
  await visit.page.waitForURL(first);
  assert.notEqual(await visit.page.locator("h1").textContent(), "");
  await visit.fine();
  await visit.close();
});
