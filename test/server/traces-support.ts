import { AsyncLocalStorage } from "node:async_hooks";
import {
  type Attributes,
  type Context,
  type ContextManager,
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type TextMapPropagator,
  trace,
} from "@opentelemetry/api";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { traceContext } from "../../src/server/telemetry/trace-context.js";

/** A span as it would be exported, with ids as names. */
export interface SeenSpan {
  readonly name: string;
  readonly kind: string | undefined;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | undefined;
  readonly attributes: Attributes;
  readonly isError: boolean;
}

/** An SDK with an exporter in memory. `root` decides of traces that begin here; default all. */
export class SpanRecorder {
  readonly provider: BasicTracerProvider;
  readonly #exporter = new InMemorySpanExporter();

  constructor(root?: Sampler) {
    this.provider = new BasicTracerProvider({
      spanProcessors: [new SimpleSpanProcessor(this.#exporter)],
      ...(root !== undefined && { sampler: new ParentBasedSampler({ root }) }),
    });
  }

  /** Everything that has ended. */
  get spans(): readonly SeenSpan[] {
    return this.#exporter.getFinishedSpans().map(toSeen);
  }

  /** Those that have ended with this name and kind. */
  named(name: string, kind: keyof typeof SpanKind = "SERVER"): readonly SeenSpan[] {
    return this.spans.filter((span) => span.name === name && span.kind === kind);
  }

  /** Does something within a span, which it gives the id of. */
  async within(action: () => Promise<void>): Promise<string> {
    const span = this.provider.getTracer("test").startSpan("request");
    await context.with(trace.setSpan(ROOT_CONTEXT, span), action);
    span.end();
    return span.spanContext().spanId;
  }

  reset(): void {
    this.#exporter.reset();
  }

  /** The tracing of a server of its own, which nothing else knows of. */
  get tracing() {
    return { tracer: this.provider.getTracer("flagwire"), propagator: traceContext };
  }

  /** Makes it the SDK of this process. */
  register(): void {
    trace.setGlobalTracerProvider(this.provider);
    propagation.setGlobalPropagator(w3c);
    context.setGlobalContextManager(contexts);
  }

  unregister(): void {
    trace.disable();
    propagation.disable();
    context.disable();
  }
}

/** The propagator of SDKs comes in a package of its own. */
const w3c: TextMapPropagator = {
  ...traceContext,
  inject(context, carrier, setter) {
    const span = trace.getSpanContext(context);
    if (span === undefined) return;
    setter.set(carrier, "traceparent", `00-${span.traceId}-${span.spanId}-0${span.traceFlags}`);
  },
  fields: () => ["traceparent", "tracestate"],
};

/** That of SDKs comes in a package of its own, too. */
class FollowingContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    action: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(active, () => action.apply(thisArg, args));
  }

  bind<T>(_context: Context, target: T): T {
    return target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    this.#storage.disable();
    return this;
  }
}

const contexts = new FollowingContexts();

function toSeen(span: ReadableSpan): SeenSpan {
  const { traceId, spanId } = span.spanContext();
  return {
    name: span.name,
    kind: SpanKind[span.kind],
    traceId,
    spanId,
    parentId: span.parentSpanContext?.spanId,
    attributes: span.attributes,
    isError: span.status.code === SpanStatusCode.ERROR,
  };
}
