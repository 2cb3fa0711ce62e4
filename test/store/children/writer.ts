import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { FlagSchema } from "../../../gen/flagwire/v1/flag_pb.js";
import { RecordSchema } from "../../../gen/flagwire/v1/history_pb.js";
import { type CommitResult, flagId, isStoreProblem, openLmdbStore } from "../../../src/store/index.js";

// Commits in `writers` endless loops, and prints a line of JSON for each acknowledged commit, as soon as it is; ends when a
// commit is refused. With no writers it commits twice, one after the other, at each SIGUSR2. Arguments: directory, name of
// this run, writers, size of a flag in bytes.
const [path = "", run = "", writers = "1", sizeBytes = "0"] = process.argv.slice(2);

const print = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
process.on("unhandledRejection", (cause) => print({ unhandled: String(cause) }));

const store = await openLmdbStore({ path, history: { maxEntries: 500 } });
if (isStoreProblem(store)) {
  print({ problem: store.kind, message: store.message });
} else {
  // Until somebody waits for it, it would end the process.
  process.on("SIGUSR2", () => undefined);
  print({ opened: String(store.edges().newest) });
  void store.failed.then(({ message }) => print({ failed: message }));
  if (writers === "0") await obey();
  else await Promise.all(Array.from({ length: Number(writers) }, (_, writer) => write(writer)));
  print({ after: await commit("after", "after") });
  await store.close();
  print({ closed: true });
}

async function write(writer: number): Promise<void> {
  for (let i = 0; await writeOnce(writer, i); i++);
}

async function obey(): Promise<void> {
  const awake = setInterval(() => undefined, 2 ** 30);
  for (let i = 0; ; i += 2) {
    await once(process, "SIGUSR2");
    if (!((await writeOnce(0, i)) && (await writeOnce(0, i + 1)))) break;
  }
  clearInterval(awake);
}

async function writeOnce(writer: number, i: number): Promise<boolean> {
  const key = `flag-${writer}-${i % 7}`;
  const name = `${run}-${writer}-${i}`;
  const result = await commit(key, name);
  if (result?.kind === "committed") print({ revision: String(result.revision), key, name });
  else print({ refused: result });
  return result?.kind === "committed";
}

async function commit(key: string, name: string): Promise<CommitResult | undefined> {
  if (isStoreProblem(store)) return undefined;
  const flag = create(FlagSchema, { key, description: name, owner: "x".repeat(Number(sizeBytes)) });
  const after = create(RecordSchema, { kind: { case: "flag", value: flag } });
  const idempotency = { key: name, fingerprint: name };
  const change = { id: flagId(key), after };
  return store.commit({ timeMs: 0, author: run, comment: name, changes: [change], preconditions: [], idempotency });
}
