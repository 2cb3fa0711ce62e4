import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ImportRequestSchema, ImportResponse } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { FlagFile } from "../../../gen/flagwire/v1/history_pb.js";
import type { OutputStream } from "../cli-io.js";
import type { Remote } from "../remote.js";
import { toFileParts, toImportRequests } from "./import-parts.js";
import { createProgress } from "./progress.js";

/** A large file takes long to check and to write. That the server can be reached is made sure of before. */
const importBudgetMs = 600_000;

export type ImportSettings = Omit<MessageInitShape<typeof ImportRequestSchema>, "file" | "$typeName">;

/** Imports a file in one transaction, with progress where `stderr` is a terminal. Rejects with `ConnectError`. */
export async function sendFlagFile(
  remote: Remote,
  stderr: OutputStream,
  file: FlagFile,
  settings: ImportSettings,
): Promise<ImportResponse> {
  await remote.reach();
  const parts = [...toFileParts(file)];
  const total = parts.at(-1)?.itemsSoFar ?? 0;
  const progress = createProgress(stderr);
  const sent = (items: number) =>
    progress.show(items < total ? `importing ${items} of ${total}` : `importing ${total}: waiting for the commit`);
  try {
    return await remote.call(
      (options) => remote.admin.import(toImportRequests(parts, settings, sent), options),
      importBudgetMs,
    );
  } finally {
    progress.clear();
  }
}
