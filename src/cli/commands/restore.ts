import { resolve } from "node:path";
import type { Command } from "commander";
import type { RestoreReport } from "../../store/index.js";
import type { CommandRunner } from "../command-runner.js";
import { dataDirectory, defaultDataDirectory } from "../data-directory.js";
import type { Session } from "../session.js";
import { toStoreFailure } from "../store-failure.js";
import { describeContent } from "./verify.js";

interface RestoreOptions {
  readonly data?: string;
  readonly replace?: boolean;
  readonly dryRun?: boolean;
}

export function addRestoreCommand(program: Command, run: CommandRunner): void {
  program
    .command("restore")
    .description("fill a data directory that no server uses from a backup, as a new epoch")
    .argument("<dir>", "the backup, or any data directory")
    .option("--data <dir>", `the data directory to fill (FLAGWIRE_DATA; default ${defaultDataDirectory})`)
    .option("--replace", "although it holds data: that is kept in a directory within, replaced-TIME, never deleted")
    .option("--dry-run", "check the backup and the data directory, and change nothing")
    .action(run(restore))
    .addHelpText(
      "after",
      `
Revisions, history and idempotency keys stay; mirrors get everything anew, because
the epoch is another. Killed at any moment, the data directory holds either what it
held or all of the backup. Exit code 1: the backup is damaged; 3: the data directory
is in use, holds data, or lacks space. Nothing is changed then.`,
    );
}

async function restore(session: Session, dir: string, options: RestoreOptions): Promise<void> {
  // Loads the store's engine, which no other client command needs.
  const { isStoreProblem, restoreStore } = await import("../../store/index.js");
  const { clock } = session.io;
  const { replace, dryRun = false } = options;
  const data = dataDirectory(options.data, session.io.env);
  const startMs = clock.monotonicMs();
  const report = await restoreStore({ from: dir, path: data, replace, dryRun, clock, signal: session.signal });
  if (isStoreProblem(report)) throw toStoreFailure(report);
  const tookMs = Math.round(clock.monotonicMs() - startMs);
  if (!session.output.json) return session.output.line(describeRestore(dir, data, report));
  const { source, epoch, replaced } = report;
  await session.output.document({
    directory: resolve(data),
    dryRun,
    epoch,
    sourceEpoch: source.epoch,
    revision: String(source.headRevision),
    recordCount: source.recordCount,
    historyCount: source.historyCount,
    historyBytes: source.historyBytes,
    idempotencyKeyCount: source.idempotencyKeyCount,
    replaced,
    tookMs,
  });
}

function describeRestore(dir: string, data: string, { source, epoch, replaced }: RestoreReport): string {
  const content = `${describeContent(source)}, epoch ${source.epoch}`;
  if (epoch === undefined) {
    const effect = replaced === undefined ? "" : ", and what that holds would be kept within";
    return `${dir} is sound and would be restored into ${data}${effect}: ${content}; nothing was changed`;
  }
  const kept = replaced === undefined ? "" : `; what was there before is kept in ${replaced}`;
  return `${data} is restored from ${dir}: ${content}, now epoch ${epoch}${kept}`;
}
