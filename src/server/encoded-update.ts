import { create } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  EvaluationUpdateSchema,
  type WatchEvaluationsResponse,
  WatchEvaluationsResponseSchema,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { EncodedAnswer } from "./encoded-answer.js";
import type { Encoded } from "./handlers.js";

/** What one stream is told of one revision. */
export interface UpdateParts {
  readonly full: boolean;
  readonly answers: readonly EncodedAnswer[];
  readonly removed: readonly string[];
  readonly revision: bigint;
}

const UPDATE_NUMBER = WatchEvaluationsResponseSchema.field.update.number;
const {
  full: FULL,
  evaluations: EVALUATIONS,
  removedFlagKeys: REMOVED,
  revision: REVISION,
} = EvaluationUpdateSchema.field;

/** An update of a stream of answers: the answers are joined as they are encoded already. */
export class EncodedUpdate implements Encoded<WatchEvaluationsResponse> {
  readonly #parts: UpdateParts;

  constructor(parts: UpdateParts) {
    this.#parts = parts;
  }

  get message(): WatchEvaluationsResponse {
    const { full, answers, removed, revision } = this.#parts;
    const evaluations = answers.map(({ message }) => message);
    const value = create(EvaluationUpdateSchema, { full, evaluations, removedFlagKeys: [...removed], revision });
    return create(WatchEvaluationsResponseSchema, { kind: { case: "update", value } });
  }

  get bytes(): Uint8Array {
    const { full, answers, removed, revision } = this.#parts;
    const writer = new BinaryWriter().tag(UPDATE_NUMBER, WireType.LengthDelimited).fork();
    if (full) writer.tag(FULL.number, WireType.Varint).bool(full);
    for (const { bytes } of answers) writer.tag(EVALUATIONS.number, WireType.LengthDelimited).bytes(bytes);
    for (const key of removed) writer.tag(REMOVED.number, WireType.LengthDelimited).string(key);
    writer.tag(REVISION.number, WireType.Varint).uint64(revision);
    return writer.join().finish();
  }
}
