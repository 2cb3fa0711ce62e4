import { type Command, Option } from "commander";
import { defaultAddress, toBaseUrl } from "./address.js";
import { usageFailure } from "./failure.js";

/** Options that every command takes, before or after its name, or from the environment. */
export interface GlobalOptions {
  readonly address: string;
  readonly environment: string;
  /** Whether the environment was named, rather than being the default. */
  readonly environmentNamed: boolean;
  /** Whether it was named by the option, for this command. */
  readonly environmentGiven: boolean;
  readonly token: string | undefined;
  /** Files, where the address is https. */
  readonly ca: string | undefined;
  readonly clientCert: string | undefined;
  readonly clientKey: string | undefined;
  readonly json: boolean;
}

// The defaults are not given to commander: it would not tell an option from its default, and its `env()` reads the process.
export function addGlobalOptions(program: Command): void {
  program
    .option("--address <host:port>", `the server (FLAGWIRE_ADDRESS; default ${defaultAddress})`)
    .option("--env <name>", "the environment (FLAGWIRE_ENV; default production)")
    .option("--token <token>", "an access token (FLAGWIRE_TOKEN)")
    .option("--ca <file>", "who may have signed the server's certificate, in PEM (FLAGWIRE_CA)")
    .option("--client-cert <file>", "your own certificate, where the server asks for one (FLAGWIRE_CLIENT_CERT)")
    .option("--client-key <file>", "its private key (FLAGWIRE_CLIENT_KEY)")
    .addOption(new Option("--json", "print JSON, and nothing else, on standard output"));
}

interface Given {
  readonly address?: string;
  readonly env?: string;
  readonly token?: string;
  readonly ca?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
  readonly json?: boolean;
}

/** Resolves them once: option, else environment variable, else default. An empty variable counts as unset. */
export function resolveGlobalOptions(
  program: Command,
  env: Readonly<Record<string, string | undefined>>,
): GlobalOptions {
  const given: Given = program.opts();
  if (given.env === "") throw usageFailure("--env is empty; name an environment, such as production, or leave it out");
  const environment = given.env ?? (env.FLAGWIRE_ENV || undefined);
  const address = given.address ?? (env.FLAGWIRE_ADDRESS || defaultAddress);
  toBaseUrl(address);
  const token = given.token ?? (env.FLAGWIRE_TOKEN || undefined);
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw usageFailure("the token has characters that no token has; pass it whole and without spaces");
  }
  return {
    address,
    environment: environment ?? "production",
    environmentNamed: environment !== undefined,
    environmentGiven: given.env !== undefined,
    token,
    ca: given.ca ?? (env.FLAGWIRE_CA || undefined),
    ...resolveClientCertificate(given, env),
    json: given.json ?? false,
  };
}

function resolveClientCertificate(given: Given, env: Readonly<Record<string, string | undefined>>) {
  const clientCert = given.clientCert ?? (env.FLAGWIRE_CLIENT_CERT || undefined);
  const clientKey = given.clientKey ?? (env.FLAGWIRE_CLIENT_KEY || undefined);
  if ((clientCert === undefined) !== (clientKey === undefined)) {
    throw usageFailure("--client-cert and --client-key belong together; give both or neither");
  }
  return { clientCert, clientKey };
}
