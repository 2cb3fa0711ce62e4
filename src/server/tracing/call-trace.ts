import { type Attributes, ROOT_CONTEXT, type Span, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import type { Outcome, Snapshot } from "../../engine/index.js";

/**
 * What is recorded of one call. The names are OpenTelemetry's, of its semantic conventions 1.45.0. Whatever comes from the client's
 * context, its targeting key above all, stays out.
 */
export class CallTrace {
  readonly #tracer: Tracer;
  readonly #span: Span;

  constructor(tracer: Tracer, span: Span) {
    this.#tracer = tracer;
    this.#span = span;
  }

  get traceId(): string {
    return this.#span.spanContext().traceId;
  }

  /** Which environment is watched. */
  watched(environment: string): void {
    this.#span.setAttribute("feature_flag.set.id", environment);
  }

  /** Which flags were asked: those of an environment at a revision. */
  asked({ environment, position }: Pick<Snapshot, "environment" | "position">): void {
    this.#span.setAttributes({
      "feature_flag.set.id": environment,
      "feature_flag.version": String(position.revision),
    });
  }

  /** How one of them was answered. */
  evaluated({ flagKey, variant, reason }: Outcome, snapshot: Snapshot): void {
    this.asked(snapshot);
    this.#span.setAttributes({
      "feature_flag.key": flagKey,
      "feature_flag.provider.name": "flagwire",
      "feature_flag.result.reason": reason.toLowerCase(),
      ...(variant !== undefined && { "feature_flag.result.variant": variant }),
    });
  }

  /** Records a part of the call as a span of its own. */
  async during<T>(name: string, action: () => Promise<T>, describe: (result: T) => Attributes): Promise<T> {
    const span = this.#tracer.startSpan(name, {}, trace.setSpan(ROOT_CONTEXT, this.#span));
    try {
      const result = await action();
      span.setAttributes(describe(result));
      return result;
    } catch (thrown) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw thrown;
    } finally {
      span.end();
    }
  }

  /** Nothing is recorded after it. */
  end(attributes: Attributes, hasFailed: boolean): void {
    this.#span.setAttributes(attributes);
    if (hasFailed) this.#span.setStatus({ code: SpanStatusCode.ERROR });
    this.#span.end();
  }
}
