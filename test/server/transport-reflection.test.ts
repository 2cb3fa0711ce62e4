import { create, createFileRegistry, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ServerReflection, type ServerReflectionRequestSchema } from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { openTestServer, type TestServer } from "./transport-support.js";

type Question = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]>;

let server: TestServer;
let sessions: Http2SessionManager;

beforeEach(async () => {
  server = await openTestServer();
  sessions = new Http2SessionManager(server.url);
});
afterEach(async () => {
  sessions.abort();
  await server.listener.stop(0);
});

function importsFirst(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const sorted = new Set<FileDescriptorProto>();
  const add = (file: FileDescriptorProto) => {
    for (const name of file.dependency) for (const other of files) if (other.name === name) add(other);
    sorted.add(file);
  };
  for (const file of files) add(file);
  return [...sorted];
}

describe.each([
  ["v1", ServerReflection],
  ["v1alpha", ServerReflectionAlpha as unknown as typeof ServerReflection],
])("reflection %s", (_, service) => {
  async function ask(...questions: Question[]) {
    const client = createClient(service, createGrpcTransport({ baseUrl: server.url, sessionManager: sessions }));
    const requests = async function* () {
      for (const messageRequest of questions) yield { host: "h", messageRequest };
    };
    const answers = [];
    for await (const answer of client.serverReflectionInfo(requests())) answers.push(answer);
    return answers;
  }

  async function filesOf(question: Question): Promise<FileDescriptorProto[]> {
    const [answer] = await ask(question);
    if (answer?.messageResponse.case !== "fileDescriptorResponse") throw new Error("no files");
    return answer.messageResponse.value.fileDescriptorProto.map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );
  }

  it("lists every service, its own included", async () => {
    const [answer] = await ask({ case: "listServices", value: "" });
    expect(answer?.messageResponse).toMatchObject({
      value: {
        service: [
          { name: "flagwire.v1.AdminService" },
          { name: "flagwire.v1.EvaluationService" },
          { name: "grpc.health.v1.Health" },
          { name: "grpc.reflection.v1.ServerReflection" },
          { name: "grpc.reflection.v1alpha.ServerReflection" },
        ],
      },
    });
  });

  it.each([
    ["a service", "flagwire.v1.EvaluationService", "flagwire/v1/evaluation_service.proto"],
    ["a method", "flagwire.v1.AdminService.Import", "flagwire/v1/admin_service.proto"],
    ["a message", "flagwire.v1.Context", "flagwire/v1/evaluation_service.proto"],
    ["a field", "flagwire.v1.Context.targeting_key", "flagwire/v1/evaluation_service.proto"],
    ["a oneof", "flagwire.v1.WatchItem.kind", "flagwire/v1/watch.proto"],
    ["an enum", "flagwire.v1.UpdateKind", "flagwire/v1/watch.proto"],
    ["an enum's value", "flagwire.v1.UPDATE_KIND_FULL", "flagwire/v1/watch.proto"],
    ["a nested enum", "grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto"],
    ["a nested enum's value", "grpc.health.v1.HealthCheckResponse.SERVING", "grpc/health/v1/health.proto"],
    ["a well-known type", "google.protobuf.Struct", "google/protobuf/struct.proto"],
    ["the entry of a map", "google.protobuf.Struct.FieldsEntry", "google/protobuf/struct.proto"],
  ])("finds the file that declares %s", async (_kind, value, name) => {
    expect((await filesOf({ case: "fileContainingSymbol", value }))[0]?.name).toBe(name);
  });

  it("answers files that are complete: a client can build every type of them", async () => {
    const file = await filesOf({ case: "fileByFilename", value: "flagwire/v1/admin_service.proto" });
    expect(file[0]?.name).toBe("flagwire/v1/admin_service.proto");
    const names = new Set(file.map(({ name }) => name));
    expect(names.size).toBe(file.length);
    for (const { dependency } of file) for (const name of dependency) expect(names).toContain(name);
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: importsFirst(file) }));
    expect(registry.getService("flagwire.v1.AdminService")?.methods.length).toBeGreaterThan(20);
    expect(registry.getMessage("google.protobuf.Struct")).toBeDefined();
  });

  it("tells the extensions of a message", async () => {
    const [answer] = await ask({ case: "allExtensionNumbersOfType", value: "flagwire.v1.Context" });
    expect(answer?.messageResponse).toMatchObject({
      case: "allExtensionNumbersResponse",
      value: { baseTypeName: "flagwire.v1.Context", extensionNumber: [] },
    });
  });

  it("answers what it does not know inside the stream, and goes on", async () => {
    const answers = await ask(
      { case: "fileByFilename", value: "nobody.proto" },
      { case: "fileContainingSymbol", value: "nobody.Message" },
      { case: "fileContainingExtension", value: { containingType: "flagwire.v1.Context", extensionNumber: 5 } },
      { case: "allExtensionNumbersOfType", value: "nobody.Message" },
      { case: "fileByFilename", value: "flagwire/v1/flag.proto" },
    );
    const codes = answers.map(({ messageResponse: { case: name, value } }) =>
      name === "errorResponse" ? value.errorCode : name,
    );
    expect(codes).toEqual([5, 5, 5, 5, "fileDescriptorResponse"]);
    expect(answers[0]).toMatchObject({
      validHost: "h",
      originalRequest: { messageRequest: { value: "nobody.proto" } },
    });
  });
});
