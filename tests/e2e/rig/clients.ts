// Clients that pay: the stock x402 clients of both versions, and, for tests that must send a payment by hand, the payment
// headers that those same packages make. Nothing here knows how the gate works.
import { x402Client, x402HTTPClient } from "@x402/core/client";
import { decodePaymentRequiredHeader, decodePaymentResponseHeader, encodePaymentSignatureHeader } from "@x402/core/http";
import type { PaymentPayload, PaymentRequired } from "@x402/core/types";
import { registerExactEvmScheme } from "@x402/evm/exact/client";
import { createSIWxClientExtension, createSIWxPayload, encodeSIWxHeader } from "@x402/extensions/sign-in-with-x";
import type { CompleteSIWxInfo, SIWxExtension, SIWxPayload } from "@x402/extensions/sign-in-with-x";
import { wrapFetchWithPayment as wrapV2 } from "@x402/fetch";
import { createPaymentHeader } from "x402/client";
import { decodeXPaymentResponse, wrapFetchWithPayment as wrapV1 } from "x402-fetch";
import type { Wallet } from "./chain.ts";

export type Fetch = typeof globalThis.fetch;

/** The stock x402 v2 client (`@x402/fetch`) around `fetch`. */
export function payingV2(fetch: Fetch, wallet: Wallet): Fetch {
  return wrapV2(fetch, client(wallet)) as Fetch;
}

/** The stock x402 v2 client with the official extension that signs in with the wallet before it pays. */
export function signingIn(fetch: Fetch, wallet: Wallet): Fetch {
  const extension = createSIWxClientExtension({ signers: [wallet.account] });
  return wrapV2(fetch, client(wallet).registerExtension(extension)) as Fetch;
}

/** The stock x402 v1 client (`x402-fetch`) around `fetch`. */
export function payingV1(fetch: Fetch, wallet: Wallet): Fetch {
  return wrapV1(fetch, wallet.account as never) as Fetch;
}

/** A signed payment in any token: an owner of a wallet must allow what is not among the client's own assets. */
export async function signAnyV2(wallet: Wallet, offer: PaymentRequired): Promise<PaymentPayload> {
  return await new x402HTTPClient(client(wallet).setSpendControls(false)).createPaymentPayload(offer);
}

function client(wallet: Wallet): x402Client {
  const client = new x402Client();
  registerExactEvmScheme(client, { signer: wallet.account });
  return client;
}

/** The offer of a 402, as a v2 client reads it. */
export function offerV2(response: Response): PaymentRequired {
  const header = response.headers.get("payment-required");
  if (header === null) throw new Error(`no PAYMENT-REQUIRED header in the ${response.status}`);
  return decodePaymentRequiredHeader(header);
}

/** The sign-in that a 402 asks for, with changes to what is signed, as the official client makes it. */
export async function signIn(wallet: Wallet, offer: PaymentRequired, changes: Partial<CompleteSIWxInfo> = {}): Promise<SIWxPayload> {
  const { info, supportedChains } = offer.extensions!["sign-in-with-x"] as SIWxExtension;
  const whole = { ...info, ...supportedChains[0]!, ...changes } as CompleteSIWxInfo;
  // The client refuses to sign for another site than it asked; what asked here is the site that the text names.
  return await createSIWxPayload(whole, wallet.account, `${new URL(whole.uri).protocol}//${whole.domain}/`);
}

export function signInHeader(payload: SIWxPayload): Record<string, string> {
  return { "SIGN-IN-WITH-X": encodeSIWxHeader(payload) };
}

/** A signed payment for an offer, as the v2 client would send it. */
export async function signV2(wallet: Wallet, offer: PaymentRequired): Promise<PaymentPayload> {
  return await new x402HTTPClient(client(wallet)).createPaymentPayload(offer);
}

export function headerV2(payment: PaymentPayload): Record<string, string> {
  return { "PAYMENT-SIGNATURE": encodePaymentSignatureHeader(payment) };
}

/** A signed payment for a v1 requirement, as the header the v1 client would send. */
export async function headerV1(wallet: Wallet, requirement: unknown): Promise<Record<string, string>> {
  return { "X-PAYMENT": await createPaymentHeader(wallet.account as never, 1, requirement as never) };
}

/** What a paid answer says about the settlement, in either version's header. */
export function settlement(response: Response): { success: boolean; transaction: string; network: string; payer?: string } {
  const v2 = response.headers.get("payment-response");
  if (v2 !== null) return decodePaymentResponseHeader(v2) as never;
  const v1 = response.headers.get("x-payment-response");
  if (v1 !== null) return decodeXPaymentResponse(v1) as never;
  throw new Error(`no PAYMENT-RESPONSE header in the ${response.status}`);
}
