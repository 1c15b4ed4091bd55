// Gives a new wallet $1 on the demo's chain; argument: the chain's URL, which the demo prints.
import { createWalletClient, http, parseAbi } from "viem";
import { generatePrivateKey, mnemonicToAccount, privateKeyToAddress } from "viem/accounts";
import { baseSepolia } from "viem/chains";

const owner = mnemonicToAccount("test test test test test test test test test test test junk");
const chain = createWalletClient({ account: owner, chain: baseSepolia, transport: http(process.argv[2]) });
const key = generatePrivateKey();
await chain.writeContract({
  address: "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
  abi: parseAbi(["function mint(address to, uint256 amount) returns (bool)"]),
  functionName: "mint",
  args: [privateKeyToAddress(key), 1_000_000n],
});
console.log(key);
