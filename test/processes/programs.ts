import { buildProgram } from "../support/build-program.js";

/** The programs that a run starts, as commands without their arguments. */
export interface Programs {
  readonly flagwire: readonly string[];
  readonly mirror: readonly string[];
  remove(): Promise<void>;
}

/** Compiles the command line, as bin/flagwire.js starts it, and the mirror, once for all the runs of a file. */
export async function buildPrograms(): Promise<Programs> {
  const mirrorSource = "test/processes/children/mirror.ts";
  const [cli, mirror] = await Promise.all([buildProgram("src/cli"), buildProgram(mirrorSource)]);
  return {
    flagwire: [process.execPath, cli.compiled("src/cli/main.ts")],
    mirror: [process.execPath, mirror.compiled(mirrorSource)],
    async remove() {
      await Promise.all([cli.remove(), mirror.remove()]);
    },
  };
}
