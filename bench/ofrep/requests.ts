/** What is asked, and how: OFREP's plain route, Connect's JSON for the same, or a server that sends back what it got. */
export type QuestionKind = "ofrep" | "connect" | "echo";

export const flagKey = "two-conditions";
const PATHS: Readonly<Record<QuestionKind, string>> = {
  ofrep: `/ofrep/v1/evaluate/flags/${flagKey}`,
  connect: "/flagwire.v1.EvaluationService/Evaluate",
  echo: "/",
};

/** Whole HTTP/1.1 requests, made ahead of time: callers with three attributes each, as the unary bench has them. */
export function encodeRequests(kind: QuestionKind, address: string, count: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => {
    const body = JSON.stringify(toQuestion(kind, index));
    const head = [
      `POST ${PATHS[kind]} HTTP/1.1`,
      `host: ${address}`,
      "content-type: application/json",
      `content-length: ${Buffer.byteLength(body)}`,
    ];
    return Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`);
  });
}

function toQuestion(kind: QuestionKind, index: number): object {
  const targetingKey = `user-${index}`;
  const attributes = { country: index % 2 === 0 ? "DE" : "US", plan: "pro", age: 18 + (index % 60) };
  if (kind === "connect") return { flagKey, context: { targetingKey, attributes } };
  return { context: { targetingKey, ...attributes } };
}

/** Whether a body is the answer to the n-th of `encodeRequests`. */
export function isRightAnswer(kind: QuestionKind, body: string, index: number): boolean {
  const answer = JSON.parse(body) as Readonly<Record<string, unknown>>;
  if (kind === "echo") return "context" in answer;
  // Connect's JSON leaves out what is false in messages, but not in a value.
  return answer.value === (index % 2 === 0);
}
