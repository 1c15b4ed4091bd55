// A facilitator from the official packages, over HTTP: it verifies payments and settles them on the local chain, for x402 v2
// (`eip155:84532`) and for the v1 network names. It counts what it was asked.
import type { IncomingMessage, ServerResponse } from "node:http";
import { x402Facilitator } from "@x402/core/facilitator";
import { toFacilitatorEvmSigner } from "@x402/evm";
import { registerExactEvmScheme } from "@x402/evm/exact/facilitator";
import { NETWORK } from "./chain.ts";
import type { Chain } from "./chain.ts";
import { hold, release } from "./lifetime.ts";
import { readBody, serve } from "./server.ts";

export type Facilitator = Awaited<ReturnType<typeof startFacilitator>>;

export async function startFacilitator(chain: Chain) {
  const client = chain.facilitatorClient();
  const signer = toFacilitatorEvmSigner({ ...client, address: client.account.address } as never);
  const facilitator = new x402Facilitator();
  registerExactEvmScheme(facilitator, { signer, networks: NETWORK });
  const calls = { verify: 0, settle: 0, supported: 0 };

  // One wallet sends all transactions: two at once would take the same nonce, and the chain would refuse one of them.
  let last: Promise<unknown> = Promise.resolve();
  function inTurn<T>(call: () => Promise<T>): Promise<T> {
    const next = last.then(call, call);
    last = next;
    return next;
  }

  async function answer(request: IncomingMessage): Promise<unknown> {
    switch (`${request.method} ${request.url}`) {
      case "GET /supported":
        calls.supported += 1;
        return facilitator.getSupported();
      case "POST /verify":
      case "POST /settle": {
        const verb = request.url === "/verify" ? "verify" : "settle";
        calls[verb] += 1;
        const { paymentPayload, paymentRequirements } = JSON.parse((await readBody(request)).toString("utf8"));
        const call = async (): Promise<unknown> => await facilitator[verb](paymentPayload, paymentRequirements);
        return await (verb === "settle" ? inTurn(call) : call());
      }
      default:
        return undefined;
    }
  }

  const server = await serve((request, response) => {
    answer(request).then(
      (body) => body === undefined ? reply(response, 404, { error: "not found" }) : reply(response, 200, body),
      (error: unknown) => reply(response, 500, { error: error instanceof Error ? error.message : String(error) }),
    );
  });
  const part = {
    url: server.url,
    address: client.account.address,
    calls,
    async stop(): Promise<void> {
      release(part);
      await server.stop();
    },
  };
  return hold(part);
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}
