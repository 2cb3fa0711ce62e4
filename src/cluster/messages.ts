import type {
  ClientListing,
  ClientQuery,
  HourlyListing,
  HourlyQuery,
  KeptContext,
  KeptContexts,
  KeyMaterial,
  OtlpSettings,
  ProcessReport,
  ServiceSettings,
  UsageListing,
  UsageQuery,
  UsageReceipt,
  UsageReport,
} from "../server/index.js";
import type { CommitResult, HistoryEdges, PackedTransaction } from "../store/index.js";

/*
 * All that a supervisor and its workers say to each other. They are always of one version: the supervisor starts its
 * workers from its own installation. Messages are copied as `structuredClone` would, so bigints and bytes travel as they are.
 * To ask something new, add a kind to `question` and its answer to `answers`; the compiler then names who has to answer.
 */

/** What a supervisor says. */
export interface SupervisorSpeech {
  readonly notice: /** The first message. */
    | { readonly kind: "start"; readonly settings: WorkerSettings }
    /** What is durable has moved. */
    | { readonly kind: "durable"; readonly edges: HistoryEdges }
    /** See Store.failed. A `drain` follows. */
    | { readonly kind: "store-failed"; readonly message: string }
    /** Comes with a socket. */
    | { readonly kind: "connection" }
    /** What to speak TLS with from now on. */
    | { readonly kind: "key-material"; readonly material: KeyMaterial }
    /** The first flags are there: report readiness. */
    | { readonly kind: "announce" }
    /** Report that the service is not ready, and go on answering. */
    | { readonly kind: "retire" }
    /** End so many streams early, so that their clients come back elsewhere. */
    | { readonly kind: "recycle"; readonly count: number }
    /** Say goodbye, let calls finish for `deadlineMs`, exit. */
    | { readonly kind: "drain"; readonly deadlineMs: number };
  readonly question:
    | { readonly kind: "overview" }
    /** Who has a stream of changes open at this worker. */
    | { readonly kind: "own-clients"; readonly query: ClientQuery }
    /** What the worker counts. */
    | { readonly kind: "own-metrics" };
  readonly answers: {
    readonly overview: Overview;
    readonly "own-clients": ClientListing;
    /** Undefined as long as it does not serve. */
    readonly "own-metrics": ProcessReport | undefined;
  };
}

/** What a worker says. */
export interface WorkerSpeech {
  readonly notice: /** It has the connection, or what is left of it: the next one may come. */
    | { readonly kind: "taken" }
    /** It takes connections and answers calls, with this revision. */
    | { readonly kind: "opened"; readonly revision: bigint }
    /** It answers with this revision, or a later one, from now on. */
    | { readonly kind: "shows"; readonly revision: bigint }
    /** It reports readiness. */
    | { readonly kind: "ready" }
    /** How it is; also a sign of life. */
    | { readonly kind: "report"; readonly report: WorkerReport }
    /** Why it will exit. */
    | { readonly kind: "problem"; readonly message: string };
  readonly question:
    | { readonly kind: "commit"; readonly transaction: PackedTransaction }
    /** See StoreOwner. */
    | { readonly kind: "seen-by-all"; readonly revision: bigint }
    /** See UsageLedger. */
    | { readonly kind: "record-usage"; readonly report: UsageReport }
    | { readonly kind: "list-usage"; readonly query: UsageQuery }
    | { readonly kind: "list-hourly-usage"; readonly query: HourlyQuery }
    /** See KeptContexts. */
    | {
        readonly kind: "keep-contexts";
        readonly environment: string;
        readonly contexts: Parameters<KeptContexts["keep"]>[1];
        readonly sinceMs: number | undefined;
      }
    | { readonly kind: "list-contexts"; readonly environment: string }
    | { readonly kind: "count-contexts"; readonly environment: string }
    /** Who has a stream of changes open at any worker. */
    | { readonly kind: "list-clients"; readonly query: ClientQuery }
    /** What every process of the service counts. */
    | { readonly kind: "gather-metrics" };
  readonly answers: {
    readonly commit: CommitResult;
    readonly "seen-by-all": undefined;
    readonly "record-usage": UsageReceipt;
    readonly "list-usage": UsageListing;
    readonly "list-hourly-usage": HourlyListing;
    readonly "keep-contexts": undefined;
    readonly "list-contexts": readonly KeptContext[];
    readonly "count-contexts": number;
    readonly "list-clients": ClientListing;
    readonly "gather-metrics": readonly ProcessReport[];
  };
}

export interface WorkerSettings {
  /** From 1. Stays with the place when its process is replaced. */
  readonly number: number;
  /** The data directory, absolute. */
  readonly directory: string;
  /** Where the supervisor listens. */
  readonly address: { readonly host: string; readonly port: number };
  /** The host that was asked for. */
  readonly host: string;
  /** What to speak TLS with, until told otherwise. Undefined: clear text. */
  readonly keyMaterial: KeyMaterial | undefined;
  /** Where telemetry goes. Undefined: nowhere. */
  readonly otlp: OtlpSettings | undefined;
  readonly service: ServiceSettings;
  /** Of its log. */
  readonly logLevel: string;
}

export interface WorkerReport {
  /** How many sockets have come so far. */
  readonly received: number;
  /** Open connections. */
  readonly connections: number;
  /** Open streams of changes. */
  readonly watchers: number;
}

/** What a service holds. */
export interface Overview {
  readonly revision: bigint;
  readonly flagCount: number;
  /** The first one, in the order of keys. */
  readonly firstFlagKey: string | undefined;
  readonly hasTokens: boolean;
}
