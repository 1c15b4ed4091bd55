// Checks a Tollgate receipt: that a key which you know from elsewhere signed exactly what the receipt says. The key that a
// receipt brings with it is never trusted.
//
//   import { verifyReceipt } from "./verify-receipt.mjs";
//   verifyReceipt(receipt, { publicKey: "0x04…" })     // or { address: "0x…" }: true or false
//
// Runs as it is in Node, Deno, Bun, Workers and browsers (there with a bundler or an import map). Needs @noble/curves and
// @noble/hashes, versions 1.x. Pin the key once, from the gate's /_tollgate/receipt-key, and not at each check.
import { secp256k1 } from "@noble/curves/secp256k1";
import { keccak_256 } from "@noble/hashes/sha3";
import { bytesToHex, hexToBytes, utf8ToBytes } from "@noble/hashes/utils";

/** The fields in the order in which they are signed; version 1.0 has no settlement. */
const RECEIPT = ["id", "version", "timestamp", "payment", "service"];
const PAYMENT = ["payer", "recipient", "amount", "token", "chainId", "nonce"];
const SETTLEMENT = ["method", "network", "transaction"];
const SERVICE = ["endpoint", "request_hash", "response_hash"];

/** Why a receipt proves nothing. */
export class ReceiptError extends Error {
  /** @param {string} reason @param {string} message */
  constructor(reason, message) {
    super(message);
    this.name = "ReceiptError";
    this.reason = reason;
  }
}

/** Whether the pinned key signed this receipt. */
export function verifyReceipt(signed, pinned) {
  const isPinned = matcher(pinned);
  try {
    check(signed, isPinned);
    return true;
  } catch (error) {
    if (error instanceof ReceiptError) return false;
    throw error;
  }
}

/** The receipt, if the pinned key signed it; otherwise a ReceiptError is thrown that says why not. */
export function verifiedReceipt(signed, pinned) {
  return check(signed, matcher(pinned));
}

/** The text that is signed: compact JSON, the fields in their one order. */
export function canonicalReceipt(receipt) {
  const { id, version, timestamp, payment, service } = fields(receipt, RECEIPT, "receipt");
  const names = version === "1.1" ? [...PAYMENT, ...SETTLEMENT] : PAYMENT;
  if (version !== "1.0" && version !== "1.1") throw malformed("the version must be 1.0 or 1.1");
  const paid = fields(payment, names, "payment");
  const { chainId, ...texts } = paid;
  if (!Number.isSafeInteger(chainId) || chainId < 0 || Object.is(chainId, -0)) throw malformed("chainId is not a whole number");
  const served = fields(service, SERVICE, "service");
  for (const text of [id, timestamp, ...Object.values(texts), ...Object.values(served)]) {
    if (typeof text !== "string" || !isWellFormed(text)) throw malformed("a field is not a text");
  }
  return JSON.stringify({ id, version, timestamp, payment: paid, service: served });
}

function check(signed, isPinned) {
  const { receipt, signature, server_public_key: named } = read(signed);
  const text = canonicalReceipt(receipt);
  const signer = recover(keccak_256(utf8ToBytes(text)), signature);
  if (signer === undefined || !isPinned(signer)) {
    throw new ReceiptError("wrong-signer", "the receipt was not signed by the pinned key, or was changed afterwards");
  }
  if (named !== signer) {
    throw new ReceiptError("wrong-public-key", "the receipt names another key than the one that signed it");
  }
  return JSON.parse(text);
}

/** A signed receipt: an object, its JSON, or the value of the header X-402-Receipt. */
function read(signed) {
  const object = typeof signed === "string" ? parse(signed) : signed;
  const { status, ...members } = plain(object, "signed receipt");
  if (status !== undefined && typeof status !== "string") throw malformed("the status is not a text");
  return fields(members, ["receipt", "signature", "server_public_key"], "signed receipt");
}

function parse(text) {
  try {
    const json = text.trimStart().startsWith("{") ? text : new TextDecoder().decode(Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0)));
    return JSON.parse(json);
  } catch {
    throw malformed("the text is neither JSON nor the base64 of it");
  }
}

/** Exactly these members of an object, in this order. */
function fields(object, names, what) {
  const members = plain(object, what);
  const unknown = Object.keys(members).find((name) => !names.includes(name));
  if (unknown !== undefined) throw malformed(`the ${what} has a field too many: ${unknown}`);
  return Object.fromEntries(names.map((name) => {
    if (!Object.hasOwn(members, name)) throw malformed(`the ${what} has no ${name}`);
    return [name, members[name]];
  }));
}

function plain(object, what) {
  if (typeof object !== "object" || object === null || Array.isArray(object)) throw malformed(`the ${what} is no object`);
  return object;
}

function malformed(message) {
  return new ReceiptError("malformed-receipt", message);
}

/** No lone surrogates: they have no UTF-8. */
function isWellFormed(text) {
  return !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);
}

/** The public key that made a signature: r ‖ s ‖ v with low s and v 0 or 1, in lower-case hexadecimal and no other form. */
function recover(digest, signature) {
  if (typeof signature !== "string" || !/^0x[0-9a-f]{128}0[01]$/.test(signature)) throw notCanonical();
  let parsed;
  try {
    parsed = secp256k1.Signature.fromCompact(signature.slice(2, 130));
  } catch {
    throw notCanonical();
  }
  if (parsed.hasHighS()) throw notCanonical();
  try {
    return `0x${parsed.addRecoveryBit(Number(signature.slice(-1))).recoverPublicKey(digest).toHex(false)}`;
  } catch {
    return undefined;
  }
}

function notCanonical() {
  return new ReceiptError("malformed-signature", "the signature is not in its canonical form");
}

/** Whether a public key is the pinned one. What is pinned must be a key: anything else is a mistake of the caller's. */
function matcher(pinned) {
  const { publicKey, address } = pinned ?? {};
  if ((publicKey === undefined) === (address === undefined)) throw new TypeError("pin either a publicKey or an address");
  if (publicKey !== undefined) {
    if (!/^0x04[0-9a-fA-F]{128}$/.test(publicKey)) throw new TypeError("publicKey must be 0x04 and 128 hexadecimal digits");
    return (key) => key === publicKey.toLowerCase();
  }
  if (!/^0x[0-9a-fA-F]{40}$/.test(address)) throw new TypeError("address must be 0x and 40 hexadecimal digits");
  if (!hasChecksum(address)) throw new TypeError("address has the wrong checksum: is a digit mistyped?");
  return (key) => addressOf(key) === address.toLowerCase();
}

/** The last 20 bytes of the hash of the point. */
function addressOf(key) {
  return `0x${bytesToHex(keccak_256(hexToBytes(key.slice(4)))).slice(24)}`;
}

/** EIP-55, where the digits are of mixed case. */
function hasChecksum(address) {
  const digits = address.slice(2);
  const lower = digits.toLowerCase();
  if (digits === lower || digits === digits.toUpperCase()) return true;
  const hash = bytesToHex(keccak_256(utf8ToBytes(lower)));
  return [...lower].every((digit, at) => digits[at] === (hash[at] >= "8" ? digit.toUpperCase() : digit));
}
