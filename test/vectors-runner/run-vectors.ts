import { Code, ConnectError } from "@connectrpc/connect";
import { isConnectionLost } from "../../src/cli/remote.js";
import { bulkWay, evaluateWay, jsonWay, type Way } from "./ask.js";
import { type Difference, differencesOf } from "./differences.js";
import { parseOptions, type RunOptions, UsageProblem, usage } from "./options.js";
import { expectedOfStrict, NotVectors, readVectors, type Vectors } from "./read-vectors.js";
import { type FileReport, isAlike, type Report, toLines, toSummary } from "./report.js";
import { openServer, type Server } from "./server.js";
import { ENVIRONMENT, makeRoom, takeOver } from "./take-over.js";

/** 0 all alike, 1 differences, 2 usage, 3 the server cannot be reached or refuses. */
export type ExitCode = 0 | 1 | 2 | 3;

/** Where a run writes. */
export interface RunOutput {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}

/** Has a running server take files of vectors over and answer their cases. Never rejects. */
export async function runVectors(args: readonly string[], output: RunOutput): Promise<ExitCode> {
  try {
    const options = parseOptions(args);
    if (options !== undefined) return await run(options, output);
    output.stdout(usage);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageProblem || error instanceof NotVectors)) throw error;
    output.stderr(`${error.message.trimEnd()}\n`);
    return 2;
  }
}

async function run(options: RunOptions, output: RunOutput): Promise<ExitCode> {
  const files = options.files.map(readVectors);
  const server = openServer(options.baseUrl, options.token);
  try {
    return await compare(server, options, files, output);
  } catch (error) {
    if (error instanceof UsageProblem) throw error;
    output.stderr(`${describe(error, options.baseUrl).replace(/\s+/g, " ")}\n`);
    return 3;
  } finally {
    server.close();
  }
}

async function compare(
  server: Server,
  { baseUrl, json }: RunOptions,
  files: readonly Vectors[],
  { stdout }: RunOutput,
): Promise<ExitCode> {
  await makeRoom(server.admin, files);
  const ways: readonly Way[] = [
    evaluateWay("Evaluate over gRPC", server.evaluation, ENVIRONMENT),
    jsonWay("Evaluate as JSON", server.post, ENVIRONMENT),
    bulkWay("BulkEvaluate", server.evaluation, ENVIRONMENT),
  ];
  const reports: FileReport[] = [];
  for (const vectors of files) {
    const report = await compareFile(server, vectors, ways);
    reports.push(report);
    if (!json) stdout(toLines(report));
  }
  const names = ways.map(({ name }) => name);
  const report: Report = { address: baseUrl, ways: names, files: reports, alike: reports.every(isAlike) };
  stdout(json ? `${JSON.stringify(report, null, 1)}\n` : toSummary(report));
  return report.alike ? 0 : 1;
}

async function compareFile(server: Server, vectors: Vectors, ways: readonly Way[]): Promise<FileReport> {
  const { name, refused, cases } = vectors;
  const wrong = await takeOver(server.admin, vectors);
  const differences: Difference[] = [];
  for (const way of ways) differences.push(...(await differencesOf(cases, way, expectedOfStrict(vectors))));
  return { name, cases: cases.length, refused: refused.flags.length + refused.segments.length, wrong, differences };
}

/** Why the server could not be asked, or not to the end. */
function describe(reason: unknown, baseUrl: string): string {
  const lost = `the connection to ${baseUrl} was lost`;
  // So `fetch` fails, whatever the cause.
  if (reason instanceof TypeError && reason.cause instanceof Error) {
    return `${lost}: ${reason.cause.message}; nothing more was asked`;
  }
  const error = ConnectError.from(reason);
  const said = error.rawMessage;
  if (isConnectionLost(error)) return `${lost}; nothing more was asked`;
  switch (error.code) {
    case Code.Unavailable:
      return `cannot reach the server: ${said}; name it with --address`;
    case Code.DeadlineExceeded:
      return `no answer from ${baseUrl} in time; nothing more was asked`;
    case Code.Unauthenticated:
    case Code.PermissionDenied:
      return `the server refuses: ${said}; pass the token of an admin with --token`;
    default:
      return `the server cannot be asked: ${error.message}`;
  }
}
