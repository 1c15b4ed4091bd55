// A wallet in a browser, as an extension puts one there: a provider (EIP-1193) that announces itself (EIP-6963), or that only
// stands at `window.ethereum`. What it answers is decided out here, with a local account's key; it shows nobody any window.
import type { Page } from "playwright-core";
import { CHAIN_ID } from "./chain.ts";
import type { Wallet } from "./chain.ts";

export interface Asked {
  method: string;
  params: any;
}

export interface Behaviour {
  /** How it is called; without it, it stands at `window.ethereum` and announces nothing. */
  name?: string;
  /** Which chain it is on. */
  chain?: number;
  /** Which other chains it knows. */
  knows?: number[];
  /** What is declined, once each. */
  declines?: string[];
}

const ICON = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E";

/** Puts a wallet into all pages that this one opens from now on; what it is asked is kept. */
export async function installWallet(page: Page, wallet: Wallet, behaviour: Behaviour = {}): Promise<Asked[]> {
  const asked: Asked[] = [];
  const state = { chain: behaviour.chain ?? CHAIN_ID, knows: behaviour.knows ?? [CHAIN_ID], declines: behaviour.declines ?? [] };
  const bridge = `wallet_${Math.random().toString(36).slice(2)}`;
  await page.exposeFunction(bridge, async (call: Asked) => {
    asked.push(call);
    const declined = state.declines.indexOf(call.method);
    if (declined >= 0) {
      state.declines.splice(declined, 1);
      return { error: { code: 4001, message: "User rejected the request." } };
    }
    return await answer(wallet, state, call);
  });
  await page.addInitScript(`(() => {
    const provider = { request: async (call) => {
      const { result, error } = await window[${JSON.stringify(bridge)}]({ method: call.method, params: call.params ?? [] });
      if (error) throw error;
      return result;
    } };
    const name = ${JSON.stringify(behaviour.name ?? "")};
    if (!name) { window.ethereum = provider; return; }
    const detail = Object.freeze({ info: { uuid: ${JSON.stringify(bridge)}, name, icon: ${JSON.stringify(ICON)}, rdns: "example." + name }, provider });
    const announce = () => window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
    window.addEventListener("eip6963:requestProvider", announce);
    announce();
  })()`);
  return asked;
}

interface State {
  chain: number;
  knows: number[];
}

async function answer(wallet: Wallet, state: State, { method, params }: Asked): Promise<{ result?: unknown; error?: { code: number; message: string } }> {
  switch (method) {
    case "eth_requestAccounts":
      return { result: [wallet.address.toLowerCase()] };
    case "eth_chainId":
      return { result: `0x${state.chain.toString(16)}` };
    case "wallet_switchEthereumChain": {
      const wanted = Number(params[0].chainId);
      if (!state.knows.includes(wanted)) return { error: { code: 4902, message: "Unrecognized chain ID." } };
      state.chain = wanted;
      return { result: null };
    }
    case "wallet_addEthereumChain":
      state.knows.push(Number(params[0].chainId));
      return { result: null };
    case "eth_signTypedData_v4":
      return { result: await sign(wallet, params) };
    default:
      return { error: { code: 4200, message: `${method} is not supported` } };
  }
}

/** Signs what the JSON says, and nothing that it assumes itself; the wallet's own account only. */
async function sign(wallet: Wallet, [by, json]: [string, string]): Promise<string> {
  if (by.toLowerCase() !== wallet.address.toLowerCase()) throw new Error(`${by} is no account of this wallet`);
  const { domain, types, primaryType, message } = JSON.parse(json);
  const { EIP712Domain, ...own } = types;
  if (!EIP712Domain) throw new Error("a wallet wants the domain's type, too");
  const numbers = own[primaryType].filter(({ type }: { type: string }) => type.startsWith("uint")).map(({ name }: { name: string }) => name);
  for (const name of numbers) message[name] = BigInt(message[name]);
  return await wallet.account.signTypedData({ domain, types: own, primaryType, message });
}
