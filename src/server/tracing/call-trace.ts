import { type Attributes, ROOT_CONTEXT, type Span, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import { attempt } from "../../base/index.js";
import type { Outcome, Snapshot } from "../../engine/index.js";

/**
 * What is recorded of one call. The names are OpenTelemetry's, of its semantic conventions 1.45.0. Whatever comes from the client's
 * context, its targeting key above all, stays out.
 *
 * What an SDK's processors throw must not fail the call, and a commit that is durable above all: then less is recorded.
 */
export class CallTrace {
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly traceId: string;

  constructor(tracer: Tracer, span: Span) {
    this.#tracer = tracer;
    this.#span = span;
    this.traceId = span.spanContext().traceId;
  }

  /** Which environment is watched. */
  watched(environment: string): void {
    this.#describe({ "feature_flag.set.id": environment });
  }

  /** Which flags were asked: those of an environment at a revision. */
  asked({ environment, position }: Pick<Snapshot, "environment" | "position">): void {
    this.#describe({
      "feature_flag.set.id": environment,
      "feature_flag.version": String(position.revision),
    });
  }

  /** How one of them was answered. */
  evaluated({ flagKey, variant, reason }: Outcome, snapshot: Snapshot): void {
    this.asked(snapshot);
    this.#describe({
      "feature_flag.key": flagKey,
      "feature_flag.provider.name": "flagwire",
      "feature_flag.result.reason": reason.toLowerCase(),
      ...(variant !== undefined && { "feature_flag.result.variant": variant }),
    });
  }

  /** Records a part of the call as a span of its own. */
  async during<T>(name: string, action: () => Promise<T>, describe: (result: T) => Attributes): Promise<T> {
    const span = attempt(() => this.#tracer.startSpan(name, {}, trace.setSpan(ROOT_CONTEXT, this.#span)));
    try {
      const result = await action();
      attempt(() => span?.setAttributes(describe(result)));
      return result;
    } catch (thrown) {
      attempt(() => span?.setStatus({ code: SpanStatusCode.ERROR }));
      throw thrown;
    } finally {
      attempt(() => span?.end());
    }
  }

  /** Nothing is recorded after it. */
  end(attributes: Attributes, hasFailed: boolean): void {
    this.#describe(attributes);
    if (hasFailed) attempt(() => this.#span.setStatus({ code: SpanStatusCode.ERROR }));
    attempt(() => this.#span.end());
  }

  #describe(attributes: Attributes): void {
    attempt(() => this.#span.setAttributes(attributes));
  }
}
