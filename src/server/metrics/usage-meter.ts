import type { UsageLedger } from "../usage/usage-ledger.js";
import { intercept } from "./intercept.js";
import { toLabelled, toSingle } from "./metric-definitions.js";
import type { MetricFamily } from "./metric-report.js";

/** Counts the reports that a ledger takes. */
export class UsageMeter {
  #counted = 0;
  #repeated = 0;
  #evaluations = 0;

  /** The same ledger, counted. */
  wrap(ledger: UsageLedger): UsageLedger {
    return intercept(ledger, "record", async (report) => {
      const receipt = await ledger.record(report);
      if (receipt.alreadyCounted) this.#repeated++;
      else {
        this.#counted++;
        for (const { count } of report.counts) this.#evaluations += count;
      }
      return receipt;
    });
  }

  families(): MetricFamily[] {
    return [
      toLabelled("flagwire_usage_reports_total", "result", [
        ["counted", this.#counted],
        ["repeated", this.#repeated],
      ]),
      toSingle("flagwire_usage_evaluations_total", this.#evaluations),
    ];
  }
}
