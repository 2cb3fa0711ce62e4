import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

/** What a run is to do. */
export interface RunOptions {
  /** The server's base address. */
  readonly baseUrl: string;
  readonly token: string | undefined;
  readonly json: boolean;
  /** Paths of the files, at least one. */
  readonly files: readonly string[];
}

/** Something that a person has to mend before anything can be asked. */
export class UsageProblem extends Error {
  override readonly name = "UsageProblem";
}

const FRESH = "npx flagwire serve --listen 127.0.0.1:8014 --data /tmp/flagwire-vectors";

export const usage = `usage: npm run vectors -- --address HOST:PORT [--token TOKEN] [--json] [FILE ...]

  --address  the server: HOST:PORT, or https://HOST:PORT for TLS
  --token    a token whose role is admin
  --json     one JSON document instead of lines
  --help     print this
  FILE       files of vectors (all of test/vectors)

A run leaves flags of its own in the server that it asks, so let that be a fresh one, in another terminal:
  ${FRESH}

Exit codes: 0 every answer is as expected, 1 some are not, 2 usage, 3 the server cannot be reached or refuses.
`;

const FOLDER = join("test", "vectors");

/** Reads the arguments; undefined where the usage is asked for. Throws UsageProblem. */
export function parseOptions(args: readonly string[]): RunOptions | undefined {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  if (values.address === undefined) {
    const danger = "a run leaves flags of its own in the server that it asks";
    throw new UsageProblem(`--address is required: ${danger}. Give a fresh one: ${FRESH}`);
  }
  return {
    baseUrl: toBaseUrl(values.address),
    token: values.token,
    json: values.json,
    files: positionals.length > 0 ? positionals : allFiles(),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        address: { type: "string" },
        help: { type: "boolean", default: false },
        token: { type: "string" },
        json: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new UsageProblem(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  }
}

function toBaseUrl(address: string): string {
  const text = /^https?:\/\//.test(address) ? address : `http://${address}`;
  const isHost = /^https?:\/\/(?:\[[\da-f:.]+\]|[^/\s:@?#]+):\d+\/?$/i.test(text);
  if (isHost && URL.canParse(text)) return text.replace(/\/$/, "");
  throw new UsageProblem(`--address ${JSON.stringify(address)} is not HOST:PORT or https://HOST:PORT`);
}

function allFiles(): string[] {
  try {
    const names = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
    return names.sort().map((name) => join(FOLDER, name));
  } catch {
    throw new UsageProblem(`there is no folder ${FOLDER} here; name the files`);
  }
}
