// The pay page in a real browser: a person over the limit pays with a wallet, and is served, once for each payment whatever is
// lost, declined, refused or reloaded. Programs get what they always got.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { PaymentPayload } from "@x402/core/types";
import type { Page } from "playwright-core";
import { exactly, problem, remaining, served, tokens } from "./rig/answers.ts";
import { startBrowser } from "./rig/browser.ts";
import type { Browser, Look, Visit } from "./rig/browser.ts";
import { installWallet } from "./rig/browser_wallet.ts";
import type { Asked, Behaviour } from "./rig/browser_wallet.ts";
import { signByHand } from "./rig/by_hand.ts";
import { newWallet } from "./rig/chain.ts";
import type { Wallet } from "./rig/chain.ts";
import type { Fetch } from "./rig/clients.ts";
import { headerV2, offerV2, payingV2 } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import { html } from "./rig/faulty_facilitator.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { sendByHand } from "./rig/wire.ts";
import { startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;
let browser: Browser;

const ENDPOINT = { bucket: { capacity: 1, refill_rate: 0.001 }, over_limit: "pay", price: "0.001", refill: 4 };
const PLANS: Table = {
  free: { endpoints: { "*": ENDPOINT, "/echo/*": { payment: "always", price: "0.002" }, "/page/sold/*": { payment: "always", price: "0.002" } } },
};

before(async () => {
  world = await startWorld();
  gate = await world.gate({ plans: PLANS, settings: { cors: { origins: ["*"] } } });
  browser = await startBrowser();
});

after(async () => await world.stop());
beforeEach(async () => await world.facilitator.heal());

/** What Chromium notes of answers that are the gate's business. */
const EXPECTED = /Failed to load resource: the server responded with a status of (402|409|503)/;

interface Person extends Visit {
  wallet: Wallet;
  /** What the wallet was asked. */
  asked: Asked[];
  /** The same address without a browser. */
  client: Fetch;
  /** How much of the million atomic units is gone. */
  spent(): Promise<bigint>;
}

/** Somebody with nothing left and a wallet, who opens a path of the gate in a browser. */
async function person(path: string, { look = {}, wallet, ...behaviour }: Behaviour & { look?: Look; wallet?: Wallet | "none" } = {}): Promise<Person> {
  const ip = freshAddress();
  const client = gate.client(ip);
  await served(await client("/cpu"));
  const own = wallet === "none" || wallet === undefined ? await world.chain.wallet() : wallet;
  let asked: Asked[] = [];
  const prepare = async (page: Page) => {
    if (wallet !== "none") asked = await installWallet(page, own, { name: "Testwallet", ...behaviour });
  };
  const visit = await browser.visit(gate, path, { expected: EXPECTED, ...look, ip, prepare });
  return { ...visit, wallet: own, asked, client, spent: async () => 1_000_000n - await world.chain.balance(own.address) };
}

const payButton = (page: Page) => page.getByRole("button", { name: /^Pay / });
const progress = async (page: Page): Promise<string> => await page.locator("#progress").textContent() ?? "";

/** What the page says of the payment, once it says that. */
async function told(page: Page, text: RegExp): Promise<string> {
  return await eventually(`the page says ${text}`, async () => {
    const said = await progress(page);
    return text.test(said) ? said : undefined;
  });
}

const signed = ({ asked }: Person): number => asked.filter(({ method }) => method === "eth_signTypedData_v4").length;
const cookie = async ({ context }: Person) => (await context.cookies()).find(({ name }) => name === "tollgate_session");

/** Loads the page at /cpu again with a payment that was signed there before. */
async function leaveBehind({ page }: Person, payment: PaymentPayload | string): Promise<void> {
  const field = typeof payment === "string" ? payment : headerV2(payment)["PAYMENT-SIGNATURE"];
  const kept = JSON.stringify({ field, price: "$0.001 in USDC on Base Sepolia", isInDoubt: false });
  await page.evaluate(`sessionStorage.setItem("tollgate payment ${gate.at("/cpu")}", ${JSON.stringify(kept)})`);
  await page.reload();
}

test("a person over the limit reads what it costs, pays, and sees the page that was asked for", async () => {
  const one = await person("/page/welcome?to=all");
  const text = await one.page.locator("main").innerText();
  for (const words of ["Your allowance is used up", "GET /page/welcome?to=all", "0 of 1 request left", "4 more requests", "$0.001 in USDC on Base Sepolia"]) {
    assert.ok(text.includes(words), `${words} in ${text}`);
  }
  await one.shot("pay-light");
  await one.fine();
  await payButton(one.page).click();
  await one.page.getByRole("heading", { name: "The page welcome" }).waitFor();
  assert.equal(await one.page.title(), "welcome!", "it is the origin's own page, with its script");
  assert.equal(await one.spent(), 1000n);
  assert.equal(signed(one), 1);
  assert.equal(world.facilitator.calls.settle.length, 1);
  assert.deepEqual(one.faults, []);
  const { value, path, sameSite, secure, expires } = (await cookie(one))!;
  assert.deepEqual({ path, sameSite, secure }, { path: "/", sameSite: "Lax", secure: false });
  assert.ok(Math.abs(expires - Date.now() / 1000 - 86_400) < 120);
  // Four were bought; the payment's own request and the page took two. They are spent from any address.
  const elsewhere = await gate.client()("/cpu", { headers: { Cookie: `a=b; tollgate_session=${value}` } });
  assert.equal(remaining(await served(elsewhere)), 1);
  await exactly(one.client, 1);
  await one.close();
});

test("JSON stands in the page, with its receipt, and costs the one request that it is", async () => {
  const one = await person("/cpu");
  await payButton(one.page).click();
  await one.page.locator("#answer pre").waitFor();
  const { cores } = JSON.parse(await one.page.locator("#answer pre").innerText()) as Table;
  assert.ok(cores > 0);
  assert.match(await progress(one.page), /^Paid \$0\.001 in USDC on Base Sepolia\./);
  await one.shot("pay-paid");
  const href = await one.page.getByRole("link", { name: "Receipt" }).getAttribute("href");
  const { receipt } = await (await served(await one.client(href!))).json() as Table;
  assert.equal(receipt.payment.payer, one.wallet.address.toLowerCase());
  assert.equal(await one.spent(), 1000n);
  assert.ok(Math.abs(await tokens(one.client) - 3) < 0.1);
  await one.fine();
  await one.close();
});

test("what is declined in the wallet is no error, and costs nothing", async () => {
  const one = await person("/cpu", { declines: ["eth_requestAccounts", "eth_signTypedData_v4"] });
  for (let times = 0; times < 2; times += 1) {
    await payButton(one.page).click();
    await told(one.page, /^You declined in the wallet\. Nothing was paid\.$/);
    assert.equal(await one.page.locator("#progress.wrong").count(), 0);
    await one.page.locator("#progress").evaluate("(node) => { node.textContent = '' }");
  }
  assert.equal(await one.spent(), 0n);
  await payButton(one.page).click();
  await told(one.page, /^Paid/);
  assert.equal(await one.spent(), 1000n);
  await one.fine();
  await one.close();
});

test("a wallet on another network is switched, to one that it has to add first", async () => {
  const one = await person("/cpu", { chain: 1, knows: [1] });
  await payButton(one.page).click();
  await told(one.page, /^Paid/);
  const asked = one.asked.filter(({ method }) => method.startsWith("wallet_"));
  assert.deepEqual(asked.map(({ method }) => method), ["wallet_switchEthereumChain", "wallet_addEthereumChain", "wallet_switchEthereumChain"]);
  assert.deepEqual([asked[1]!.params[0].chainId, asked[1]!.params[0].chainName], ["0x14a34", "Base Sepolia"]);
  assert.equal(await one.spent(), 1000n);
  await one.fine();
  await one.close();
});

test("a payment that is refused is told with its reason, and a new one may follow", async () => {
  const one = await person("/cpu", { wallet: newWallet() });
  await payButton(one.page).click();
  const said = await told(one.page, /refused/);
  assert.match(said, /no money moved/);
  assert.match(said, /simulation_failed|insufficient/);
  await one.shot("pay-refused");
  await world.chain.send("mint", [one.wallet.address, 1000n]);
  await payButton(one.page).click();
  await told(one.page, /^Paid/);
  assert.equal(await world.chain.balance(one.wallet.address), 0n);
  assert.equal(signed(one), 2);
  await one.fine();
  await one.close();
});

test("a facilitator that fails twice: the page waits, sends the same payment, and it is settled once", async () => {
  const one = await person("/cpu");
  world.facilitator.next("verify", html(500));
  world.facilitator.next("settle", html(500));
  await payButton(one.page).click();
  await told(one.page, /^The payment is on its way and not lost/);
  await told(one.page, /^(Paid|The payment went through)/);
  assert.equal(signed(one), 1);
  assert.equal(await one.spent(), 1000n);
  assert.equal(new Set(world.facilitator.calls.settle.map(({ body }) => body.paymentPayload.payload.signature)).size, 1);
  await one.fine();
  await one.close();
});

test("a page that is loaded again in the middle goes on with the payment that was signed", async () => {
  const one = await person("/cpu");
  let release = (): void => {};
  const held = new Promise<void>((resolve) => release = resolve);
  world.facilitator.next("verify", async (call) => {
    await held;
    const { status, body } = await call.forward();
    call.response.writeHead(status, { "content-type": "application/json" }).end(body);
  });
  await payButton(one.page).click();
  await eventually("the payment is being checked", async () => world.facilitator.calls.verify.length > 0 ? true : undefined);
  one.page.on("dialog", (dialog) => void dialog.accept());
  await one.page.reload();
  release();
  await told(one.page, /^(Paid|The payment went through)/);
  assert.equal(signed(one), 1);
  assert.equal(world.facilitator.calls.settle.length, 1);
  assert.equal(await one.spent(), 1000n);
  await one.fine();
  await one.close();
});

test("a connection that is lost: the same payment is sent again", async () => {
  const one = await person("/cpu");
  let lost = 0;
  let kept = "";
  await one.page.route(gate.at("/cpu"), async (route) => {
    if (lost++ > 0) return await route.continue();
    kept = route.request().headers()["payment-signature"]!;
    // The gate has it, and its answer is lost.
    await route.fetch();
    await route.abort("connectionreset");
  });
  await payButton(one.page).click();
  await told(one.page, /^No answer came/);
  await told(one.page, /^(Paid|The payment went through)/);
  assert.equal(signed(one), 1);
  assert.equal(await one.spent(), 1000n);
  assert.deepEqual(one.faults.filter((fault) => !fault.includes("net::ERR_CONNECTION_RESET")), []);
  // The page's two requests took two of the four that were bought; of the same payment nothing is left after the other two.
  await exactly(one.client, 2);
  await leaveBehind(one, kept);
  assert.match(await told(one.page, /used up/), /^This payment was credited before.*Its receipt$/);
  assert.equal(await one.spent(), 1000n);
  await one.close();
});

test("a payment that nobody took in its time is given up, and no money moved", async () => {
  const one = await person("/cpu");
  await leaveBehind(one, await signByHand(one.wallet, offerV2(await one.client("/cpu")), -1));
  assert.match(await told(one.page, /expired/), /no money moved\. You may try again\.$/);
  assert.equal(await one.page.evaluate("sessionStorage.length"), 0);
  await payButton(one.page).click();
  await told(one.page, /^Paid/);
  assert.equal(await one.spent(), 1000n);
  await one.fine();
  await one.close();
});

test("what a caller puts into the address stays text", async () => {
  const path = "/cpu/</code><script>document.title='owned'</script><img src=x onerror=alert(1)>?q=\"></script><script>document.title='owned'</script>";
  const one = await person(path);
  assert.equal(await one.page.title(), "402 Your allowance is used up");
  assert.equal(await one.page.locator("img[src=x], #asked script").count(), 0);
  assert.match(await one.page.locator("#asked").innerText(), /^GET \/cpu\/.*owned/);
  await payButton(one.page).waitFor();
  await one.fine();
  await one.close();
});

test("without a wallet the page says how to pay with a program", async () => {
  const one = await person("/cpu?a=1", { wallet: "none" });
  await told(one.page, /^No wallet was found/);
  assert.equal(await payButton(one.page).count(), 0);
  assert.ok(await one.page.getByText(`curl -i '${gate.at("/cpu?a=1")}'`).isVisible());
  for (const name of ["offers", "llms.txt", "problems/payment-required"]) {
    assert.ok(await one.page.locator(`a[href="/_tollgate/${name}"]`).first().isVisible(), name);
  }
  await one.shot("pay-no-wallet");
  await one.fine();
  await one.close();
});

test("one of several wallets is chosen, with the keyboard alone", async () => {
  const one = await person("/cpu", { name: "Firstwallet" });
  const second = await world.chain.wallet();
  const asked = await installWallet(one.page, second, { name: "Secondwallet" });
  await one.page.reload();
  await one.page.getByLabel("Secondwallet").waitFor();
  await one.page.getByLabel("Firstwallet").focus();
  await one.page.keyboard.press("ArrowDown");
  await one.page.keyboard.press("Tab");
  assert.match(await one.page.evaluate("document.activeElement.textContent") as string, /^Pay .* with Secondwallet$/);
  await one.shot("pay-wallets");
  await one.page.keyboard.press("Enter");
  await told(one.page, /^Paid/);
  await eventually("the answer has the focus", async () => await one.page.evaluate("document.activeElement.id") === "answer" ? true : undefined);
  assert.equal(await world.chain.balance(second.address), 999_000n);
  assert.deepEqual([one.asked.length > 0, asked.length > 0], [false, true]);
  await one.fine();
  await one.close();
});

test("one call that is sold is shown in place, also a page, from a wallet that only stands at window.ethereum", async () => {
  const one = await person("/page/sold/story", { name: "", look: { width: 360, height: 740, scheme: "dark" } });
  assert.ok((await one.page.locator("main").innerText()).includes("this call"));
  await one.shot("pay-phone-dark");
  await payButton(one.page).click();
  const heading = one.page.frameLocator("#answer iframe").getByRole("heading");
  assert.equal(await heading.innerText(), "The page story");
  await one.shot("pay-phone-dark-paid");
  assert.equal(world.origin.seen.filter(({ url }) => url === "/page/sold/story").length, 1);
  assert.equal(await one.spent(), 2000n);
  await one.fine();
  await one.close();
});

test("an offer is chosen where there are several, and what a page cannot pay is told", async () => {
  const offers = [{ network: "polygon" }, { network: "base", asset_transfer_method: "permit2" }, {
    scheme: "exact", network: "solana", asset: "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", pay_to: "2wKupLR9q6wXYppw8Gr2NvWxKBUqm4PPJKkQfoxHDBg4", decimals: 6, symbol: "USDC",
  }];
  const several = await world.gate({ plans: PLANS, payment: { offers } });
  let asked: Asked[] = [];
  const prepare = async (page: Page) => {
    asked = await installWallet(page, newWallet(), { name: "Testwallet", chain: 137, declines: ["eth_signTypedData_v4"] });
  };
  const visit = await browser.visit(several, "/echo/several", { expected: EXPECTED, prepare });
  await visit.page.getByLabel("on Polygon").check();
  assert.equal(await visit.page.getByRole("radio").count(), 2);
  for (const words of ["by Permit2, with a program", "with a program for that network"]) assert.ok(await visit.page.getByText(words).isVisible());
  await visit.shot("pay-offers");
  await payButton(visit.page).click();
  await told(visit.page, /^You declined/);
  assert.equal(JSON.parse(asked.at(-1)!.params[1]).domain.chainId, 137);
  await visit.fine();
  await visit.close();
  await several.stop();
});

test("what is neither page nor text can be saved", async () => {
  const one = await person("/big?bytes=2000");
  await payButton(one.page).click();
  const [download] = await Promise.all([one.page.waitForEvent("download"), one.page.getByRole("link", { name: "Save big (2.0 kB)" }).click()]);
  assert.equal(download.suggestedFilename(), "big");
  await one.fine();
  await one.close();
});

/** The fields of an answer, without what is of one answer only. */
function fields(head: string): Map<string, string> {
  const once = /^(date|content-length|transfer-encoding|tollgate-request-id|www-authenticate|payment-required|x-ratelimit-reset|retry-after|ratelimit)$/;
  const lines = head.split("\r\n").slice(1).map((line) => /^([^:]+): *(.*)$/.exec(line)!);
  return new Map(lines.map(([, name, value]) => [name!.toLowerCase(), once.test(name!.toLowerCase()) ? "…" : value!]));
}

const NAVIGATION = ["Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept: text/html,*/*;q=0.8", "User-Agent: Mozilla/5.0"];

for (const method of ["GET", "HEAD", "POST"]) {
  test(`a navigation's ${method} is answered as a program's, but for type, body and what guards a page`, async () => {
    const ip = freshAddress();
    await served(await gate.client(ip)("/cpu"));
    const ask = async (headers: string[]) => await sendByHand(gate.url, method, "/cpu", ["Origin: https://app.example", ...headers], ip);
    const program = await ask(["Accept: */*", "User-Agent: curl/8"]);
    const person = await ask(NAVIGATION);
    assert.deepEqual([program.status, person.status], [402, 402]);
    const [ours, theirs] = [fields(program.head), fields(person.head)];
    assert.equal(ours.get("content-type"), "application/problem+json");
    assert.equal(theirs.get("content-type"), "text/html; charset=utf-8");
    for (const name of ["content-security-policy", "x-content-type-options", "referrer-policy", "x-robots-tag"]) assert.ok(theirs.delete(name), name);
    assert.equal(theirs.get("vary"), `Accept, Sec-Fetch-Mode, User-Agent, ${ours.get("vary")}`);
    for (const name of ["content-type", "vary"]) [ours, theirs].forEach((each) => each.delete(name));
    assert.deepEqual([...theirs].sort(), [...ours].sort());
    for (const name of ["payment-required", "www-authenticate", "retry-after", "ratelimit", "cache-control", "access-control-allow-origin"]) assert.ok(theirs.has(name), name);
  });
}

test("who is no navigation gets JSON: a page's fetch, curl, a stock client that pays", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  await served(await client("/cpu"));
  await problem(await client("/cpu"), 402, "payment-required");
  for (const headers of [["Sec-Fetch-Mode: cors", ...NAVIGATION.slice(2)], ["Accept: text/html", "User-Agent: curl/8"], ["Accept: */*", "User-Agent: Mozilla/5.0"]]) {
    const { status, head } = await sendByHand(gate.url, "GET", "/cpu", headers, ip);
    assert.equal(status, 402);
    assert.match(head, /content-type: application\/problem\+json/i);
  }
  const old = await sendByHand(gate.url, "GET", "/cpu", NAVIGATION.slice(2), ip);
  assert.match(old.head, /content-type: text\/html/i);
  await served(await payingV2(client, await world.chain.wallet())(gate.at("/cpu")));
});

test("a navigation that is within its limits is the origin's, and one whose payment is refused gets the page", async () => {
  const ip = freshAddress();
  const free = await sendByHand(gate.url, "GET", "/cpu", NAVIGATION, ip);
  assert.deepEqual([free.status, /cpu_percent/.test(free.body)], [200, true]);
  const payment = Buffer.from(JSON.stringify({ x402Version: 2, accepted: {}, payload: {} })).toString("base64");
  const refused = await sendByHand(gate.url, "GET", "/cpu", [...NAVIGATION, `PAYMENT-SIGNATURE: ${payment}`], ip);
  assert.equal(refused.status, 402);
  assert.match(refused.head, /content-type: text\/html/i);
  assert.match(refused.head, /payment-response: /i);
});
