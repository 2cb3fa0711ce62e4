import { isStoreProblem, openLmdbStore } from "../../../src/store/index.js";

// Opens a data directory for reading again and again, and prints a line of JSON for each time. Arguments: directory, times.
const [path = "", times = "1"] = process.argv.slice(2);

const print = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

for (let time = 0; time < Number(times); time++) {
  const store = await openLmdbStore({ path, readOnly: true });
  if (isStoreProblem(store)) {
    print({ problem: store.kind, message: store.message });
    break;
  }
  print({ head: String((await store.load()).revision) });
  await store.close();
}
print({ done: true });
