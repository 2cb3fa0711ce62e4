import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that get a process of their own. */
const ALONE = [
  // These start and kill processes for long.
  "test/{processes,cluster,simulation,examples}/**/*.test.ts",
  "test/server/{durability,slow-consumers}.test.ts",
  "test/store/processes.test.ts",
  // These look at the whole of their own process: what keeps it alive, what nobody caught, how often its globals are called.
  "test/client/{bad-proxies,grpc-transport,mirror}.test.ts",
  "test/engine/literal-operators.test.ts",
  "test/server/{grpc-request-frame,transport-listener}.test.ts",
];

/**
 * A clean checkout does not know how long files take: the two that wait for a minute begin, and files that share a process end,
 * because a process is shared as long as such files come next.
 */
class AloneFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId, project }: TestSpecification) => {
      if (/\/(pause-processes|cluster\/workers)\.test\.ts$/.test(moduleId)) return 0;
      if (/\/test\/(processes|cluster|simulation|examples)\//.test(moduleId)) return 1;
      return project.name === "alone" ? 2 : 3;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    // Against what hangs. A machine that does much else makes a test take ten times its time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Nobody should fail because the machine was busy.
    setupFiles: ["test/support/patient-waits.ts"],
    expect: { poll: { timeout: 30_000, interval: 5 } },
    // Tests that start processes are bound by the machine, not by each other.
    pool: "forks",
    // Many wait for other processes most of the time.
    maxWorkers: availableParallelism() + 2,
    sequence: { sequencer: AloneFirst },
    projects: [
      { extends: true, test: { name: "alone", include: ALONE } },
      // To load the sources for each file costs more than most files' tests.
      { extends: true, test: { name: "shared", include: ["test/**/*.test.ts"], exclude: ALONE, isolate: false } },
    ],
  },
});
