// Clients that speak MPP: the stock mppx client, and, for tests that must send a credential by hand, the credentials that the
// same package makes. Nothing here knows how the gate works.
import { Challenge, Credential, Receipt } from "mppx";
import { Mppx, evm, tempo as tempoMethods } from "mppx/client";
import type { Method, SessionManager, SessionMethod } from "mppx/client";
import type { Wallet } from "./chain.ts";
import { poor, served } from "./answers.ts";
import type { Fetch } from "./clients.ts";
import type { Gate } from "./gate.ts";
import { ESCROW } from "./tempo.ts";
import type { Tempo } from "./tempo.ts";

export type { SessionMethod };

/** The stock mppx client around `fetch`, which pays with USDC. */
export function payingMpp(fetch: Fetch, wallet: Wallet): Fetch {
  return client(fetch, [charging(wallet)]);
}

/** The stock mppx client around `fetch`, which proves its wallet, and cannot pay. */
export function provingMpp(fetch: Fetch, wallet: Wallet): Fetch {
  return client(fetch, [proving(wallet)]);
}

/** The stock mppx client around `fetch`, which proves its wallet or pays: whichever the server asks for first. */
export function eitherMpp(fetch: Fetch, wallet: Wallet): Fetch {
  return client(fetch, [proving(wallet), charging(wallet)]);
}

/** The stock client's way to answer session challenges; a deposit of one dollar. */
export function sessionMethod(tempo: Tempo, payer: Wallet): SessionMethod {
  const { account } = payer;
  return tempoMethods.sessionLegacy.method({ account, getClient: () => tempo.client(), maxDeposit: "1", escrowContract: ESCROW });
}

/** The stock session client around `fetch`. */
export function sessionManager(tempo: Tempo, payer: Wallet, fetch: Fetch): SessionManager {
  const { account } = payer;
  return tempoMethods.sessionLegacy({ account, getClient: () => tempo.client(), maxDeposit: "1", escrowContract: ESCROW, fetch });
}

/** The session challenge of a 402. */
export const asked = (denied: Response): Challenge => challenges(denied).find(({ intent }) => intent === "session")!;

/** A channel of a new payer with a first voucher, opened at the gate; and the client that it was opened from. */
export async function openSession(gate: Gate, tempo: Tempo, payer: Wallet = tempo.payer()) {
  const { client, denied } = await poor(gate);
  const method = sessionMethod(tempo, payer);
  const sent = await method.createCredential({ challenge: asked(denied) });
  const answer = await served(await client("/cpu", authorization(sent)));
  return { client, method, channel: receipt(answer)["channelId"] as string, answer, denied };
}

/** A credential with a voucher of that amount in all. */
export async function voucher(method: SessionMethod, denied: Response, channel: string, cumulative: bigint, action = "voucher"): Promise<string> {
  return await method.createCredential({
    challenge: asked(denied),
    context: { action, channelId: channel, cumulativeAmountRaw: String(cumulative) },
  });
}

function client(fetch: Fetch, methods: Method[]): Fetch {
  return Mppx.create({ methods, fetch, polyfill: false }).fetch;
}

const charging = (wallet: Wallet) => evm.charge({ account: wallet.account, currencies: [evm.assets.baseSepolia.USDC] });
const proving = (wallet: Wallet) => tempoMethods.charge({ account: wallet.account });

/** The challenges of a 402, as mppx reads them. */
export function challenges(response: Response): Challenge[] {
  return Challenge.fromResponseList(response);
}

/** The one challenge of that method. */
export function challengeOf(response: Response, method: "evm" | "tempo"): Challenge {
  const [challenge, ...others] = challenges(response).filter((challenge) => challenge.method === method);
  if (challenge === undefined || others.length > 0) throw new Error(`${others.length} challenges of ${method}`);
  return challenge;
}

/** The credential that the stock client sends for a 402, as it stands in `Authorization`: taken from its second request. */
export async function answerOf(wallet: Wallet, denied: Response, method: "evm" | "tempo"): Promise<string> {
  let sent: string | null = null;
  const asked = denied.clone();
  const fetch: Fetch = async (_, init) => {
    const headers = new Headers(init?.headers);
    sent = headers.get("authorization") ?? headers.get("payment-authorization");
    return sent === null ? asked : new Response(null);
  };
  await client(fetch, [method === "evm" ? charging(wallet) : proving(wallet)])(denied.url);
  if (sent === null) throw new Error("the client sent no credential");
  return sent;
}

/** A credential with changes to it, as it stands in `Authorization`. */
export function altered(sent: string, change: (credential: Credential) => void): string {
  const credential = structuredClone(Credential.deserialize(sent));
  change(credential);
  return Credential.serialize(credential);
}

export const authorization = (sent: string) => ({ headers: { Authorization: sent } });

/** MPP's receipt of an answer. */
export function receipt(response: Response): { [member: string]: any } {
  const field = response.headers.get("payment-receipt");
  if (field === null) throw new Error(`no Payment-Receipt in the ${response.status}`);
  return Receipt.deserialize(field);
}
