import { Link } from "../../../src/cluster/link.js";
import type { SupervisorSpeech, WorkerSpeech } from "../../../src/cluster/messages.js";
import { type Port, toPort } from "../../../src/cluster/port.js";
import { createStoreOwner, isStoreProblem, openLmdbStore } from "../../../src/store/index.js";
import { channelOf, type OwnerCommand } from "../owner-channel.js";

// Owns any number of data directories for followers in the process that forked it, each over a channel of its own.
process.setMaxListeners(0);
const line = toPort(process);
const owned = new Map<number, () => Promise<void>>();

line.onMessage((message) => {
  const command = message as OwnerCommand;
  if (command.kind === "own") void own(command);
  if (command.kind === "let-go") void letGo(command.channel);
});
line.onClosed(() => process.exit());

async function own({ channel, path, options }: Extract<OwnerCommand, { kind: "own" }>): Promise<void> {
  const port: Port = channelOf(line, channel);
  const store = await openLmdbStore({ path, ...options });
  if (isStoreProblem(store)) throw new Error(store.message);
  const owner = createStoreOwner(store, async () => undefined);
  const link = new Link<SupervisorSpeech, WorkerSpeech>(port, {
    notice: () => undefined,
    answer: async (question) => {
      if (question.kind !== "commit") throw new Error(`nobody answers ${question.kind} here`);
      return owner.commit(question.transaction);
    },
    closed: () => undefined,
  });
  owner.follow((edges) => link.notify({ kind: "durable", edges }));
  owned.set(channel, () => store.close());
  line.post({ kind: "owned", channel });
}

async function letGo(channel: number): Promise<void> {
  await owned.get(channel)?.();
  line.post({ kind: "gone", channel });
}
