/** A receipt (version 1.0 or 1.1). */
export interface Receipt {
  /** `rcpt_` and hexadecimal digits. */
  id: string;
  version: "1.0" | "1.1";
  /** RFC 3339, UTC. */
  timestamp: string;
  payment: {
    payer: string;
    recipient: string;
    /** In whole tokens. */
    amount: string;
    token: string;
    chainId: number;
    nonce: string;
    /** From here on in version 1.1 only. */
    method?: string;
    network?: string;
    transaction?: string;
  };
  service: {
    endpoint: string;
    /** `sha256:` and the hash of the raw body of the request. */
    request_hash: string;
    /** Of the answer, likewise. */
    response_hash: string;
  };
}

/** A receipt as a gate gives it: in `X-402-Receipt` (base64 of JSON), or from `/receipts/{id}` (with a `status`). */
export interface SignedReceipt {
  receipt: Receipt;
  /** `0x` and r ‖ s ‖ v, v 0 or 1. */
  signature: string;
  /** The key that it says it is signed with. Never trusted. */
  server_public_key: string;
  status?: string;
}

/** The key that you trust, from elsewhere than the receipt: `0x04…` uncompressed, or its address. */
export type PinnedKey = { publicKey: string; address?: undefined } | { address: string; publicKey?: undefined };

export type Reason = "malformed-receipt" | "malformed-signature" | "wrong-signer" | "wrong-public-key";

/** Why a receipt proves nothing. */
export class ReceiptError extends Error {
  readonly reason: Reason;
}

/**
 * Whether the pinned key signed this receipt: an object, its JSON, or the value of the header `X-402-Receipt`.
 *
 * @throws TypeError if `pinned` is no key.
 */
export function verifyReceipt(signed: SignedReceipt | string | unknown, pinned: PinnedKey): boolean;

/**
 * The receipt, if the pinned key signed it.
 *
 * @throws ReceiptError that says why not. TypeError if `pinned` is no key.
 */
export function verifiedReceipt(signed: SignedReceipt | string | unknown, pinned: PinnedKey): Receipt;

/**
 * The text that is signed: compact JSON, the fields in their one order.
 *
 * @throws ReceiptError if it is no receipt of version 1.0 or 1.1.
 */
export function canonicalReceipt(receipt: Receipt | unknown): string;
