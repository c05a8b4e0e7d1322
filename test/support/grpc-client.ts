/** The harness's gRPC client, where tests look for it. */
export { frameOf, GrpcClient, GrpcStream } from "../../jepsen-style/processes/grpc-client.js";
export type { GrpcOutcome } from "../../jepsen-style/processes/grpc-client.js";
