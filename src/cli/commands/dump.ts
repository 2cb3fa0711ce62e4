import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { HistoryEntrySchema, RecordSchema } from "../../../gen/flagwire/v1/history_pb.js";
import type { DumpItem } from "../../store/index.js";
import type { CommandRunner } from "../command-runner.js";
import { dataDirectory, defaultDataDirectory } from "../data-directory.js";
import { ExitCode, usageFailure } from "../failure.js";
import type { Session } from "../session.js";
import { toStoreFailure } from "../store-failure.js";
import { counted } from "../text.js";

interface DumpOptions {
  readonly data?: string;
  readonly records?: boolean;
  readonly history?: boolean;
  readonly from?: string;
}

export function addDumpCommand(program: Command, run: CommandRunner): void {
  program
    .command("dump")
    .description("print everything in a data directory as lines of JSON, offline or beside a running server")
    .option("--data <dir>", `the data directory, or a backup (FLAGWIRE_DATA; default ${defaultDataDirectory})`)
    .option("--records", "the records only: what is true now")
    .option("--history", "history only, with its idempotency keys")
    .option("--from <revision>", "history from this revision on, without idempotency keys")
    .action(run(dump))
    .addHelpText(
      "after",
      `
The first line is {"header": …}, then {"record": …}, {"history": …} from the oldest
on, and {"idempotency": …}, with messages in protobuf's JSON form. What cannot be
read is told on standard error, the rest is printed all the same, and the exit code
is 1.`,
    );
}

async function dump(session: Session, options: DumpOptions): Promise<ExitCode> {
  const { records = false, history = false } = options;
  const data = dataDirectory(options.data, session.io.env);
  const all = records === history;
  const from = options.from === undefined ? undefined : parseRevision(options.from);
  // Loads the store's engine, which no other client command needs.
  const { dumpStore } = await import("../../store/index.js");
  const { signal } = session;
  let damaged = 0;
  try {
    for await (const item of dumpStore(data, {
      records: all || records,
      history: all || history,
      from,
      signal,
    })) {
      const printed = toPrinted(item);
      if (typeof printed === "string") {
        damaged++;
        session.output.note(printed);
      } else {
        await session.output.jsonLine(printed);
      }
    }
  } catch (error) {
    // Nobody reads any more: an ordinary end.
    if (!signal.aborted || session.io.signal.aborted) throw error;
  }
  if (damaged === 0) return ExitCode.done;
  session.output.note(`${counted(damaged, "part")} of ${data} cannot be read`);
  return ExitCode.no;
}

/** What is printed of an item; a text is what to say of damage. */
function toPrinted(item: DumpItem): object | string {
  switch (item.kind) {
    case "problem":
      throw toStoreFailure(item.problem);
    case "damage":
      return item.description;
    case "header":
      return { header: item.header };
    case "record":
      return toLine("record", RecordSchema, item.record, `a record of ${item.record.kind.case}`);
    case "history":
      return toLine("history", HistoryEntrySchema, item.entry, `history entry ${item.entry.revision}`);
    case "idempotency": {
      const { key, fingerprint, revision } = item.write;
      return { idempotency: { key, fingerprint, revision: String(revision) } };
    }
  }
}

/** Not every message that can be decoded has a JSON form: a time may be out of range. */
function toLine<T extends DescMessage>(name: string, schema: T, message: MessageShape<T>, place: string) {
  try {
    return { [name]: toJson(schema, message) };
  } catch (error) {
    return `${place} has no JSON form: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function parseRevision(text: string): bigint {
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  throw usageFailure(`--from ${text} is no revision; give a number such as 12`);
}
