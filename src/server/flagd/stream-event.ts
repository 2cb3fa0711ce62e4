import { create, type DescMessage, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import { EncodedMessage } from "./encoded-message.js";

export type StreamEventType = "provider_ready" | "configuration_change" | "keep_alive" | "provider_shutdown";

/** An event of flagd's EventStream, which many streams of all packages are sent. */
export class StreamEvent {
  readonly #encoded = new Map<DescMessage, EncodedMessage>();

  constructor(
    readonly type: StreamEventType,
    readonly data?: JsonObject,
  ) {}

  /** As the message of one package. */
  as(schema: DescMessage): EncodedMessage {
    const known = this.#encoded.get(schema);
    if (known !== undefined) return known;
    const { type, data } = this;
    const made = new EncodedMessage(schema, create(schema, { type, data } as MessageInitShape<DescMessage>));
    this.#encoded.set(schema, made);
    return made;
  }
}
