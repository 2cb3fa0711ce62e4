import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { onTestFinished } from "vitest";
import { Link } from "../../src/cluster/link.js";
import type { SupervisorSpeech, WorkerSpeech } from "../../src/cluster/messages.js";
import { toPort } from "../../src/cluster/port.js";
import { createRemoteOwner } from "../../src/cluster/remote-owner.js";
import { type BoundsOptions, isStoreProblem, openFollowerStore, type Store } from "../../src/store/index.js";
import { type Build, buildProgram } from "../support/build-program.js";
import { temporaryDirectory } from "./fixtures.js";
import { channelOf, type OwnerCommand } from "./owner-channel.js";

/**
 * A process that owns data directories. LMDB must not open one twice in a process, so owner and follower are in two, and
 * speak as a supervisor and a worker do.
 */
export class OwnerProcess {
  readonly #build: Build;
  readonly child: ChildProcess;
  #channels = 0;

  private constructor(build: Build) {
    this.#build = build;
    this.child = fork(build.compiled("test/store/children/owner.ts"), { serialization: "advanced" });
    this.child.setMaxListeners(0);
  }

  static async start(): Promise<OwnerProcess> {
    return new OwnerProcess(await buildProgram("test/store/children/owner.ts"));
  }

  /** A follower of a fresh store, closed with the test. */
  async follow(options: BoundsOptions = {}): Promise<Store> {
    const path = await temporaryDirectory();
    const channel = ++this.#channels;
    const line = toPort(this.child);
    const owner = createRemoteOwner(() => link);
    const link: Link<WorkerSpeech, SupervisorSpeech> = new Link(channelOf(line, channel), {
      notice: (notice) => void owner.hear(notice),
      answer: () => Promise.reject(new Error("nothing is asked here")),
      closed: () => undefined,
    });
    await this.#command({ kind: "own", channel, path, options }, "owned");
    const store = await openFollowerStore({ path, owner });
    if (isStoreProblem(store)) throw new Error(store.message);
    onTestFinished(async () => {
      await store.close();
      if (this.child.connected) await this.#command({ kind: "let-go", channel }, "gone");
    });
    return store;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const exited = once(this.child, "exit");
      this.child.kill("SIGKILL");
      await exited;
    }
    await this.#build.remove();
  }

  #command(command: Extract<OwnerCommand, { kind: "own" | "let-go" }>, done: OwnerCommand["kind"]): Promise<void> {
    return new Promise((resolve) => {
      const listener = (message: unknown) => {
        const { kind, channel } = message as OwnerCommand;
        if (kind !== done || channel !== command.channel) return;
        this.child.off("message", listener);
        resolve();
      };
      this.child.on("message", listener);
      this.child.send(command);
    });
  }
}
