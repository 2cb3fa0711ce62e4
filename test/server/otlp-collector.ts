import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A batch of spans as a collector gets it. */
export interface Received {
  readonly path: string | undefined;
  readonly authorization: string | undefined;
  /** Of who sent it. */
  readonly resource: Readonly<Record<string, unknown>>;
  readonly names: readonly string[];
}

export interface Collector extends AsyncDisposable {
  readonly url: string;
  readonly received: readonly Received[];
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface Body {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly { readonly name: string }[] }[];
  }[];
}

/** An endpoint of OTLP over HTTP in JSON, on a port of its own. `answer` says what becomes of a batch; default: it is taken. */
export async function openCollector(answer = take): Promise<Collector> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (part) => {
      text += part;
    });
    request.on("end", () => {
      const { resourceSpans }: Body = JSON.parse(text);
      for (const { resource, scopeSpans } of resourceSpans) {
        received.push({
          path: request.url,
          authorization: request.headers.authorization,
          resource: Object.fromEntries(resource.attributes.map(({ key, value }) => [key, Object.values(value)[0]])),
          names: scopeSpans.flatMap(({ spans }) => spans.map(({ name }) => name)),
        });
      }
      answer(response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function take(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "application/json" }).end("{}");
}
