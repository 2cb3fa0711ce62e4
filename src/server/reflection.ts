import { create, type DescFile, type DescService } from "@bufbuild/protobuf";
import {
  ServerReflection,
  type ServerReflectionRequest,
  ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import {
  ServerReflection as ServerReflectionAlpha,
  ServerReflectionResponseSchema as ServerReflectionResponseAlphaSchema,
} from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { createDescriptorIndex, type DescriptorIndex } from "./grpc/descriptor-index.js";
import { type ServedService, serveService } from "./handlers.js";
import { toStatusNumber } from "./status.js";

type Question = ServerReflectionRequest["messageRequest"];
type Reply =
  | { case: "listServicesResponse"; value: { service: { name: string }[] } }
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: "allExtensionNumbersResponse"; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: "errorResponse"; value: { errorCode: number; errorMessage: string } };

/**
 * `grpc.reflection.v1.ServerReflection` and its older twin `v1alpha`, about these services and about themselves.
 * The two differ in their package only; grpcurl and buf ask one or the other.
 */
export function createReflectionServices(services: readonly DescService[]): ServedService[] {
  const index = createDescriptorIndex([...services, ServerReflection, ServerReflectionAlpha]);
  return [
    serveService(ServerReflection, {
      async *serverReflectionInfo(requests) {
        for await (const request of requests) {
          yield create(ServerReflectionResponseSchema, {
            validHost: request.host,
            originalRequest: request,
            messageResponse: reply(request.messageRequest, index),
          });
        }
      },
    }),
    serveService(ServerReflectionAlpha, {
      async *serverReflectionInfo(requests) {
        for await (const request of requests) {
          yield create(ServerReflectionResponseAlphaSchema, {
            validHost: request.host,
            originalRequest: request,
            messageResponse: reply(request.messageRequest as Question, index),
          });
        }
      },
    }),
  ];
}

function reply(question: Question, index: DescriptorIndex): Reply {
  switch (question.case) {
    case "listServices":
      return { case: "listServicesResponse", value: { service: index.serviceNames.map((name) => ({ name })) } };
    case "fileByFilename":
      return fileReply(index.fileByName(question.value), `file ${question.value}`, index);
    case "fileContainingSymbol":
      return fileReply(index.fileBySymbol(question.value), `symbol ${question.value}`, index);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = question.value;
      const file = index.fileByExtension(containingType, extensionNumber);
      return fileReply(file, `extension ${extensionNumber} of ${containingType}`, index);
    }
    case "allExtensionNumbersOfType": {
      const numbers = index.extensionNumbers(question.value);
      if (numbers === undefined) return errorReply("NOT_FOUND", `message ${question.value} is not known`);
      const value = { baseTypeName: question.value, extensionNumber: numbers };
      return { case: "allExtensionNumbersResponse", value };
    }
    case undefined:
      return errorReply("INVALID_ARGUMENT", "the request asks nothing that this server knows");
  }
}

function fileReply(file: DescFile | undefined, sought: string, index: DescriptorIndex): Reply {
  if (file === undefined) return errorReply("NOT_FOUND", `${sought} is not known`);
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto: index.closure(file) } };
}

function errorReply(code: "NOT_FOUND" | "INVALID_ARGUMENT", errorMessage: string): Reply {
  return { case: "errorResponse", value: { errorCode: toStatusNumber(code), errorMessage } };
}
