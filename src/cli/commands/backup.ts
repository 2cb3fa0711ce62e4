import { resolve } from "node:path";
import type { Command } from "commander";
import type { CommandRunner } from "../command-runner.js";
import { dataDirectory, defaultDataDirectory } from "../data-directory.js";
import type { Session } from "../session.js";
import { toStoreFailure } from "../store-failure.js";
import { describeContent } from "./verify.js";

interface BackupOptions {
  readonly data?: string;
}

export function addBackupCommand(program: Command, run: CommandRunner): void {
  program
    .command("backup")
    .description(
      "copy a data directory as it is at one moment, offline or beside a running server, and verify the copy",
    )
    .argument("<dir>", "where the backup goes: missing or empty")
    .option("--data <dir>", `the data directory (FLAGWIRE_DATA; default ${defaultDataDirectory})`)
    .action(run(backUp))
    .addHelpText(
      "after",
      `
The backup is a data directory itself: verify, dump and restore read it. One that
was cut short holds no data and can be made again in the same place. Exit code 1:
the data is damaged, and there is no backup; 3: the directory is not empty, in use
or lacks space.`,
    );
}

async function backUp(session: Session, dir: string, options: BackupOptions): Promise<void> {
  const data = dataDirectory(options.data, session.io.env);
  // Loads the store's engine, which no other client command needs.
  const { backUpStore, isStoreProblem } = await import("../../store/index.js");
  const { clock } = session.io;
  const startMs = clock.monotonicMs();
  const report = await backUpStore({ from: data, to: dir, clock, signal: session.signal });
  if (isStoreProblem(report)) throw toStoreFailure(report);
  const tookMs = Math.round(clock.monotonicMs() - startMs);
  if (!session.output.json) {
    const size = `${(report.sizeBytes / 2 ** 20).toFixed(1)} MiB`;
    const line = `${dir} is a backup of ${data}: ${describeContent(report)}, ${size}, epoch ${report.epoch}`;
    return session.output.line(`${line}; verified, ${(tookMs / 1_000).toFixed(1)} s`);
  }
  await session.output.document({
    directory: resolve(dir),
    epoch: report.epoch,
    backupTime: report.backupTime,
    revision: String(report.headRevision),
    recordCount: report.recordCount,
    historyCount: report.historyCount,
    historyBytes: report.historyBytes,
    sizeBytes: report.sizeBytes,
    idempotencyKeyCount: report.idempotencyKeyCount,
    tookMs,
  });
}
