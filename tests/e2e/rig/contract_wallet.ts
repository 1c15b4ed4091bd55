// A wallet that is a contract (EIP-1271): it takes the signatures of its one owner for its own.
import type { PaymentPayload, PaymentRequired } from "@x402/core/types";
import { concat, getAddress } from "viem";
import type { Address, Hex } from "viem";
import { authorization, signTransfer } from "./by_hand.ts";
import type { Chain, Wallet } from "./chain.ts";

/** x402's proxy for `exact`, as the official client has it. */
export const PERMIT2 = { exactProxy: getAddress("0x402085c248EeA27D92E8b30b2C58ed07f9E20001") };

/**
 * `isValidSignature(bytes32 hash, bytes signature)`: `ecrecover` over the call's own words, answered with the magic value
 * 0x1626ba7e if it is the owner, else with nothing of worth. Written by hand, as no compiler is at hand:
 *
 *   mem[00] = hash; mem[20] = v (the byte after r and s, shifted down); mem[40..80] = r, s
 *   staticcall(gas, 1, 00, 80, 80, 20); mstore(00, (mem[80] == owner) * magic); return(00, 20)
 *
 * The call data: selector, hash at 04, the offset at 24, the length at 44, r at 64, s at 84, v at a4.
 */
function runtime(owner: Address): Hex {
  return concat([
    "0x600435600052", // mstore(00, calldataload(04))
    "0x60a43560f81c602052", // mstore(20, shr(f8, calldataload(a4)))
    "0x606435604052", // mstore(40, calldataload(64))
    "0x608435606052", // mstore(60, calldataload(84))
    "0x602060806080600060015afa50", // pop(staticcall(gas, 1, 00, 80, 80, 20))
    "0x608051", // mload(80)
    concat(["0x73", owner]), // push20 owner
    "0x14", // eq
    "0x631626ba7e60e01b", // shl(e0, 1626ba7e)
    "0x02", // mul
    "0x60005260206000f3", // mstore(00, ·) return(00, 20)
  ]);
}

/** A contract wallet of that owner, with a dollar. */
export async function deployContractWallet(chain: Chain, owner: Address): Promise<Address> {
  const address = (await chain.wallet()).address;
  await chain.client.setCode({ address, bytecode: runtime(owner) });
  return address;
}

/** A payment of the first offer from the contract's money, signed by a wallet. */
export async function signForContract(signer: Wallet, contract: Address, challenge: PaymentRequired): Promise<PaymentPayload> {
  const accepted = challenge.accepts[0]!;
  const message = authorization(signer, getAddress(accepted.payTo), accepted.amount, { from: contract });
  const signature = await signTransfer(signer, message);
  return { x402Version: 2, resource: challenge.resource, accepted, payload: { signature, authorization: message } } as unknown as PaymentPayload;
}

/** Makes a plain wallet one that delegates to such a contract, of which it is the owner (EIP-7702). */
export async function delegate(chain: Chain, wallet: Wallet): Promise<void> {
  const implementation = await deployContractWallet(chain, wallet.address);
  await chain.client.setCode({ address: wallet.address, bytecode: concat(["0xef0100", implementation]) });
}
