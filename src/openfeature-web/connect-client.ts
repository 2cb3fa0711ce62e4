import { CallError, messageOf, parseCallError } from "./call-error.js";
import { readEnvelopes, toEnvelope } from "./envelopes.js";

/** As much of `fetch` as is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** How to reach the server. */
export interface ConnectClientOptions {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  /** The page's origin, where the server's is another. */
  readonly foreignOrigin: string | undefined;
  readonly token: string | undefined;
  readonly fetch: Fetch;
}

const SERVICE = "flagwire.v1.EvaluationService";
/** The flags of the envelope that ends a stream, and of one that is compressed, which nobody asked for. */
const END_STREAM = 2;
const COMPRESSED = 1;

/**
 * The two calls that this provider makes, by the Connect protocol in JSON: https://connectrpc.com/docs/protocol. A client of
 * Connect's with the descriptors of our messages would be most of what a page has to load.
 */
export class ConnectClient {
  readonly #options: ConnectClientOptions;

  constructor(options: ConnectClientOptions) {
    this.#options = options;
  }

  /** Rejects with a `CallError`. */
  async bulkEvaluate(request: object, signal: AbortSignal): Promise<unknown> {
    try {
      const response = await this.#post("BulkEvaluate", "application/json", JSON.stringify(request), signal);
      return await response.json();
    } catch (thrown) {
      throw toCallError(thrown);
    }
  }

  /**
   * The messages of a stream; `onBytes` is told of each part that comes. Throws a `CallError` where it does not end with OK,
   * which it never does by itself.
   */
  async *watchEvaluations(
    request: object,
    signal: AbortSignal,
    onBytes: () => void,
  ): AsyncGenerator<unknown, void, undefined> {
    try {
      const body = toEnvelope(JSON.stringify(request));
      const response = await this.#post("WatchEvaluations", "application/connect+json", body, signal);
      if (response.body === null) throw notConnect(response);
      for await (const { flags, text } of readEnvelopes(response.body, onBytes)) {
        if ((flags & COMPRESSED) !== 0) throw notConnect(response);
        const json: unknown = JSON.parse(text);
        if ((flags & END_STREAM) === 0) yield json;
        else throw parseCallError((json as { error?: unknown } | null)?.error) ?? cutOff();
      }
      throw cutOff();
    } catch (thrown) {
      throw toCallError(thrown);
    }
  }

  async #post(
    method: string,
    type: string,
    body: string | Uint8Array<ArrayBuffer>,
    signal: AbortSignal,
  ): Promise<Response> {
    const { baseUrl, token } = this.#options;
    const headers: Record<string, string> = { "content-type": type, "connect-protocol-version": "1" };
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    const response = await this.#fetch(`${baseUrl}/${SERVICE}/${method}`, { method: "POST", headers, body, signal });
    if (response.ok && response.headers.get("content-type")?.startsWith(type)) return response;
    const error = response.ok ? undefined : parseCallError(await response.json().catch(() => undefined));
    throw error ?? notConnect(response);
  }

  /** A browser tells no page whether a server of another origin is gone or does not permit it. */
  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const { foreignOrigin, fetch } = this.#options;
    try {
      return await fetch(url, init);
    } catch (thrown) {
      if (foreignOrigin === undefined || !(thrown instanceof TypeError)) throw thrown;
      const why = `no server is there, or it does not permit pages of ${foreignOrigin} (--cors-origins)`;
      throw new CallError("unavailable", `${thrown.message}: ${why}`);
    }
  }
}

function notConnect({ status }: Response): CallError {
  // What proxies say of a server that they cannot reach.
  const isGone = status === 502 || status === 503 || status === 504;
  return new CallError(
    isGone ? "unavailable" : "not-connect",
    `what answered with HTTP ${status} is no Flagwire server`,
  );
}

function cutOff(): CallError {
  return new CallError("cut-off", "the stream was cut off");
}

/** `fetch` rejects with a `TypeError` for whatever goes wrong with the network. */
function toCallError(thrown: unknown): CallError {
  return thrown instanceof CallError ? thrown : new CallError("unavailable", messageOf(thrown));
}
