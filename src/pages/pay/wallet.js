// @ts-check
// Wallets in the browser: which there are (EIP-6963, else `window.ethereum`), and what they are asked (EIP-1193).

/** @typedef {{request: (call: {method: string, params?: unknown}) => Promise<any>}} Provider */
/** @typedef {{id: string, name: string, icon: string, provider: Provider}} Wallet */
/** @typedef {{chainId: string, chainName?: string}} Chain */

/** The person declined in the wallet. */
class Declined extends Error {}

/** Something that the person can do something about, in words for them. */
class Told extends Error {}

/**
 * Finds the wallets, and tells of each further one.
 * @param {(wallets: Wallet[]) => void} tell
 */
function findWallets(tell) {
  /** @type {Map<string, Wallet>} */
  const wallets = new Map();
  window.addEventListener("eip6963:announceProvider", (event) => {
    const { info, provider } = /** @type {CustomEvent} */ (event).detail;
    const icon = String(info.icon).startsWith("data:image/") ? info.icon : "";
    wallets.set(info.rdns ?? info.uuid, { id: info.rdns ?? info.uuid, name: String(info.name), icon, provider });
    tell([...wallets.values()]);
  });
  window.dispatchEvent(new Event("eip6963:requestProvider"));
  // One that does not announce itself may come late, too.
  const old = () => {
    const provider = /** @type {{ethereum?: Provider}} */ (window).ethereum;
    if (wallets.size > 0) return;
    tell(provider ? [{ id: "window.ethereum", name: "your wallet", icon: "", provider }] : []);
  };
  window.addEventListener("ethereum#initialized", old, { once: true });
  setTimeout(old, "ethereum" in window ? 0 : 300);
}

/**
 * Asks a wallet. What the person declines is no error.
 * @param {Wallet} wallet @param {string} method @param {unknown} [params]
 */
async function ask(wallet, method, params) {
  try {
    return await wallet.provider.request(params === undefined ? { method } : { method, params });
  } catch (thrown) {
    const error = /** @type {{code?: unknown, message?: unknown, data?: {originalError?: {code?: unknown}}}} */ (thrown ?? {});
    const code = error.data?.originalError?.code ?? error.code;
    if (code === 4001 || code === "ACTION_REJECTED") throw new Declined();
    if (code === -32002) throw new Told(`${wallet.name} is still waiting for an answer to an earlier question. Open it, answer there, and try again.`);
    throw Object.assign(new Told(`${wallet.name} says: ${error.message ?? thrown}`), { code });
  }
}

/**
 * The account that pays, with the wallet on the chain that is paid on.
 * @param {Wallet} wallet @param {Chain} chain @param {string} network
 * @returns {Promise<string>}
 */
async function connect(wallet, chain, network) {
  const [account] = await ask(wallet, "eth_requestAccounts");
  if (typeof account !== "string") throw new Told(`${wallet.name} gave no account. Unlock it, or allow this page, and try again.`);
  const isThere = async () => BigInt(await ask(wallet, "eth_chainId")) === BigInt(chain.chainId);
  if (await isThere()) return account;
  try {
    await ask(wallet, "wallet_switchEthereumChain", [{ chainId: chain.chainId }]);
  } catch (error) {
    // EIP-3326: a chain that the wallet does not know has to be added first.
    if (/** @type {{code?: unknown}} */ (error).code !== 4902 || !chain.chainName) throw error;
    await ask(wallet, "wallet_addEthereumChain", [chain]);
    if (!await isThere()) await ask(wallet, "wallet_switchEthereumChain", [{ chainId: chain.chainId }]);
  }
  if (!await isThere()) throw new Told(`${wallet.name} is still on another network. Choose ${network} there, and try again.`);
  return account;
}

const TRANSFER = "from:address to:address value:uint256 validAfter:uint256 validBefore:uint256 nonce:bytes32";
const DOMAIN = "name:string version:string chainId:uint256 verifyingContract:address";

/** @param {string} text */
const fields = (text) => text.split(" ").map((field) => field.split(":")).map(([name, type]) => ({ name, type }));

/**
 * Has the wallet sign a transfer that the token checks (EIP-3009), as the stock x402 client does.
 * @param {Wallet} wallet @param {string} from @param {Requirements} accepted @param {number} now in unix seconds
 */
async function sign(wallet, from, accepted, now) {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  const authorization = {
    from,
    to: accepted.payTo,
    value: accepted.amount,
    validAfter: "0",
    validBefore: String(now + accepted.maxTimeoutSeconds),
    nonce: `0x${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`,
  };
  const typed = {
    types: { EIP712Domain: fields(DOMAIN), TransferWithAuthorization: fields(TRANSFER) },
    primaryType: "TransferWithAuthorization",
    domain: {
      name: accepted.extra.name,
      version: accepted.extra.version,
      chainId: Number(accepted.network.split(":")[1]),
      verifyingContract: accepted.asset,
    },
    message: authorization,
  };
  const signature = await ask(wallet, "eth_signTypedData_v4", [from, JSON.stringify(typed)]);
  return { signature: canonical(String(signature)), authorization };
}

/** Some hardware wallets end a plain signature with 0 or 1, where the token wants 27 or 28. @param {string} signature */
function canonical(signature) {
  const last = /^0x[0-9a-f]{128}(0[01])$/i.exec(signature)?.[1];
  return last === undefined ? signature : signature.slice(0, -2) + (last === "00" ? "1b" : "1c");
}
