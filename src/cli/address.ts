import { usageFailure } from "./failure.js";

/** Where the server listens unless told otherwise: flagd's port, so that its clients find it. */
export const defaultAddress = "127.0.0.1:8013";
const defaultPort = 8013;

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Reads `host`, `host:port`, `:port`, `[::1]:port`. `what` names the option in a complaint. */
export function parseHostPort(text: string, what: string): HostPort {
  refuseNumber(text.replace(/:\d*$/, ""), text, what);
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]/\s]*))(?::(\d{1,5}))?$/.exec(text);
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (match === null || text === "" || port > 65535) {
    throw usageFailure(`${what} ${JSON.stringify(text)} is not HOST:PORT, such as ${defaultAddress} or [::1]:8013`);
  }
  return { host: match[1] ?? (match[2] || "127.0.0.1"), port };
}

/** A number alone would be taken for an IPv4 address: 8013 is 0.0.31.77 to a resolver, which is another machine. */
function refuseNumber(host: string, text: string, what: string): void {
  if (!/^(\d+|0x[\da-f]+)$/i.test(host)) return;
  const hint =
    host === text ? `is a port; write 127.0.0.1:${text}` : `has a number as its host; write ${defaultAddress}`;
  throw usageFailure(`${what} ${JSON.stringify(text)} ${hint}`);
}

export function toHostPort({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The server's base address for a client: `HOST:PORT` speaks cleartext; an `https://` URL speaks TLS. */
export function toBaseUrl(address: string): string {
  if (!/^https?:/.test(address)) return `http://${toHostPort(parseHostPort(address, "--address"))}`;
  refuseNumber(address.replace(/^https?:\/*/, "").replace(/(:\d*)?\/?$/, ""), address, "--address");
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || url.pathname !== "/" || url.search !== "" || url.username !== "") {
    throw usageFailure(`--address ${JSON.stringify(address)} is not HOST:PORT or https://HOST:PORT`);
  }
  return url.origin;
}
