import { clone, create } from "@bufbuild/protobuf";
import {
  type ReportUsageRequest,
  ReportUsageRequestSchema,
  type ReportUsageResponse,
  ReportUsageResponseSchema,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { HubTransport } from "../support/hub-transport.js";

/** A server that counts reports, and may be away in several ways. */
export class CountingTransport extends HubTransport {
  readonly reports: ReportUsageRequest[] = [];
  /** What becomes of a report; it is noted in any case. */
  answer: (signal: AbortSignal) => Promise<void> = async () => {};
  isClosedAtLastReport = false;
  /** What it answers with. */
  wantedContexts = 0;

  async reportUsage(request: ReportUsageRequest, signal: AbortSignal): Promise<ReportUsageResponse> {
    this.reports.push(clone(ReportUsageRequestSchema, request));
    this.isClosedAtLastReport = this.isClosed;
    await this.answer(signal);
    return create(ReportUsageResponseSchema, { wantedContexts: this.wantedContexts });
  }

  /** The reports as `flag variant count @ revision`, the counts of one report joined. */
  get told(): string[] {
    return this.reports.map(({ counts }) =>
      counts
        .map(({ flagKey, variant, count, revision }) => `${flagKey} ${variant || "-"} ${count} @ ${revision}`)
        .join(", "),
    );
  }
}
