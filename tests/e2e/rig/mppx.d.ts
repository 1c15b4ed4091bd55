// The few members of npm mppx 0.11 that the rig uses. Its own types bring in a schema library and every wallet it knows, and
// take longer to check than all of the rest together.
declare module "mppx/client" {
  import type { PrivateKeyAccount } from "viem/accounts";

  export interface Method {
    readonly name: string;
    readonly intent: string;
  }

  export const evm: {
    charge(parameters: { account: PrivateKeyAccount; currencies: readonly unknown[] }): Method;
    assets: { baseSepolia: { USDC: unknown } };
  };

  export const tempo: {
    charge(parameters: { account: PrivateKeyAccount }): Method;
    sessionLegacy: {
      (parameters: SessionParameters & { fetch: typeof globalThis.fetch }): SessionManager;
      method(parameters: SessionParameters): SessionMethod;
    };
  };

  interface SessionParameters {
    account: PrivateKeyAccount;
    getClient: () => unknown;
    maxDeposit: string;
    escrowContract: `0x${string}`;
  }

  export interface SessionMethod extends Method {
    createCredential(parameters: { challenge: unknown; context?: { [member: string]: string } }): Promise<string>;
  }

  export interface SessionReceipt {
    channelId: string;
    acceptedCumulative: string;
    spent: string;
  }

  export interface SessionManager {
    readonly channelId: string | undefined;
    fetch(input: string, init?: RequestInit): Promise<Response & { receipt: SessionReceipt | null; channelId: string | null }>;
    sse(input: string, init?: { onReceipt?: (receipt: SessionReceipt) => void }): Promise<AsyncIterable<string>>;
    close(): Promise<SessionReceipt | undefined>;
  }

  export const Mppx: {
    create(config: { methods: readonly Method[]; fetch: typeof globalThis.fetch; polyfill: false }): {
      fetch: typeof globalThis.fetch;
    };
  };
}

declare module "mppx" {
  export interface Challenge {
    id: string;
    realm: string;
    method: string;
    intent: string;
    expires?: string;
    digest?: string;
    header?: string;
    opaque?: string;
    request: { [member: string]: any };
  }

  export interface Credential {
    challenge: Challenge;
    payload: { [member: string]: any };
    source?: string;
  }

  export const Challenge: {
    fromResponseList(response: Response): Challenge[];
  };

  export const Credential: {
    serialize(credential: Credential): string;
    deserialize(value: string): Credential;
  };

  export const BodyDigest: {
    compute(body: string): string;
  };

  export const Receipt: {
    deserialize(field: string): { [member: string]: any };
  };
}
