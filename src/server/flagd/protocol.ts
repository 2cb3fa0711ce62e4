import type { DescService } from "@bufbuild/protobuf";

/** One of flagd's packages of the evaluation service, as far as it differs from the others. */
export interface FlagdProtocol {
  readonly service: DescService;
  /**
   * Whether an answer can be without a value. Where it cannot, a flag that has none is NOT_FOUND: some clients take whatever
   * stands in the place of a value, and NOT_FOUND makes all of them use the caller's default.
   */
  readonly hasOptionalValues: boolean;
}
