import { Child, type Exit } from "./child.js";
import { until } from "./pause.js";

export interface ServerCommand {
  /** The command line's program. */
  readonly flagwire: readonly string[];
  readonly data: string;
  /** Further options of `serve`. */
  readonly options?: readonly string[] | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
}

/** `flagwire serve` on one port and one directory, however often it is killed and started again. */
export class ServerProcess {
  starts = 0;
  #child: Child | undefined;
  #port = 0;

  constructor(readonly command: ServerCommand) {}

  /** The same from the first start on. */
  get port(): number {
    return this.#port;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get errors(): string {
    return this.#child?.errors ?? "";
  }

  get hasEnded(): boolean {
    return this.#child?.hasEnded ?? true;
  }

  /** Resolves when it serves. */
  async start(env: NodeJS.ProcessEnv = this.command.env ?? {}): Promise<void> {
    const { flagwire, data, options = [] } = this.command;
    const serve = ["serve", "--json", "--data", data, "--listen", `127.0.0.1:${this.#port}`, ...options];
    let address: string | undefined;
    const child = new Child(
      [...flagwire, ...serve],
      (line) => {
        address ??= (JSON.parse(line) as { readonly address?: string }).address;
      },
      env,
    );
    this.#child = child;
    this.starts++;
    await until("the server serves", () => address !== undefined || child.hasEnded);
    if (address === undefined) throw new Error(`the server did not start: ${child.errors}`);
    this.#port = Number(address.split(":").at(-1));
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.signal(name);
  }

  async ended(): Promise<Exit> {
    return (await this.#child?.ended) ?? null;
  }

  async kill(): Promise<void> {
    await this.#child?.kill();
  }

  /** Orderly; a stopped process first has to go on. */
  async stop(): Promise<Exit> {
    this.signal("SIGCONT");
    this.signal("SIGTERM");
    return this.ended();
  }
}
