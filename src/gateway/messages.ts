/**
 * etcd's messages: every field with its number, in the notation of `schema.ts`. The numbers are the
 * wire format: DO NOT CHANGE. The same is said in `proto/`, for people and other programs; a test
 * holds one against the other.
 */
import { Schema } from "./schema.js";

const ENUMS: Readonly<Record<string, string>> = {
  "mvccpb.Event.EventType": "PUT DELETE",
  "etcdserverpb.RangeRequest.SortOrder": "NONE ASCEND DESCEND",
  "etcdserverpb.RangeRequest.SortTarget": "KEY VERSION CREATE MOD VALUE",
  "etcdserverpb.Compare.CompareResult": "EQUAL GREATER LESS NOT_EQUAL",
  "etcdserverpb.Compare.CompareTarget": "VERSION CREATE MOD VALUE LEASE",
  "etcdserverpb.WatchCreateRequest.FilterType": "NOPUT NODELETE",
  "etcdserverpb.AlarmType": "NONE NOSPACE CORRUPT",
  "etcdserverpb.AlarmRequest.AlarmAction": "GET ACTIVATE DEACTIVATE",
  "etcdserverpb.DowngradeRequest.DowngradeAction": "VALIDATE ENABLE CANCEL",
  "grpc.health.v1.HealthCheckResponse.ServingStatus": "UNKNOWN SERVING NOT_SERVING SERVICE_UNKNOWN",
};

const H = "header=1 etcdserverpb.ResponseHeader";

const DATA: Readonly<Record<string, string>> = {
  "mvccpb.KeyValue":
    "key=1 bytes, create_revision=2 int64, mod_revision=3 int64, version=4 int64, value=5 bytes, " +
    "lease=6 int64",
  "mvccpb.Event": "type=1 mvccpb.Event.EventType, kv=2 mvccpb.KeyValue, prev_kv=3 mvccpb.KeyValue",
  "etcdserverpb.ResponseHeader":
    "cluster_id=1 uint64, member_id=2 uint64, revision=3 int64, raft_term=4 uint64",
  "etcdserverpb.RangeRequest":
    "key=1 bytes, range_end=2 bytes, limit=3 int64, revision=4 int64, " +
    "sort_order=5 etcdserverpb.RangeRequest.SortOrder, " +
    "sort_target=6 etcdserverpb.RangeRequest.SortTarget, serializable=7 bool, keys_only=8 bool, " +
    "count_only=9 bool, min_mod_revision=10 int64, max_mod_revision=11 int64, " +
    "min_create_revision=12 int64, max_create_revision=13 int64",
  "etcdserverpb.RangeResponse": `${H}, kvs=2 *mvccpb.KeyValue, more=3 bool, count=4 int64`,
  "etcdserverpb.RangeStreamResponse": "range_response=1 etcdserverpb.RangeResponse",
  "etcdserverpb.PutRequest":
    "key=1 bytes, value=2 bytes, lease=3 int64, prev_kv=4 bool, ignore_value=5 bool, " +
    "ignore_lease=6 bool",
  "etcdserverpb.PutResponse": `${H}, prev_kv=2 mvccpb.KeyValue`,
  "etcdserverpb.DeleteRangeRequest": "key=1 bytes, range_end=2 bytes, prev_kv=3 bool",
  "etcdserverpb.DeleteRangeResponse": `${H}, deleted=2 int64, prev_kvs=3 *mvccpb.KeyValue`,
  "etcdserverpb.RequestOp":
    "|request_range=1 etcdserverpb.RangeRequest, |request_put=2 etcdserverpb.PutRequest, " +
    "|request_delete_range=3 etcdserverpb.DeleteRangeRequest, " +
    "|request_txn=4 etcdserverpb.TxnRequest",
  "etcdserverpb.ResponseOp":
    "|response_range=1 etcdserverpb.RangeResponse, |response_put=2 etcdserverpb.PutResponse, " +
    "|response_delete_range=3 etcdserverpb.DeleteRangeResponse, " +
    "|response_txn=4 etcdserverpb.TxnResponse",
  "etcdserverpb.Compare":
    "result=1 etcdserverpb.Compare.CompareResult, target=2 etcdserverpb.Compare.CompareTarget, " +
    "key=3 bytes, |version=4 int64, |create_revision=5 int64, |mod_revision=6 int64, " +
    "|value=7 bytes, |lease=8 int64, range_end=64 bytes",
  "etcdserverpb.TxnRequest":
    "compare=1 *etcdserverpb.Compare, success=2 *etcdserverpb.RequestOp, " +
    "failure=3 *etcdserverpb.RequestOp",
  "etcdserverpb.TxnResponse": `${H}, succeeded=2 bool, responses=3 *etcdserverpb.ResponseOp`,
  "etcdserverpb.CompactionRequest": "revision=1 int64, physical=2 bool",
  "etcdserverpb.CompactionResponse": H,
};

const STREAMS: Readonly<Record<string, string>> = {
  "etcdserverpb.WatchRequest":
    "|create_request=1 etcdserverpb.WatchCreateRequest, " +
    "|cancel_request=2 etcdserverpb.WatchCancelRequest, " +
    "|progress_request=3 etcdserverpb.WatchProgressRequest",
  "etcdserverpb.WatchCreateRequest":
    "key=1 bytes, range_end=2 bytes, start_revision=3 int64, progress_notify=4 bool, " +
    "filters=5 *etcdserverpb.WatchCreateRequest.FilterType, prev_kv=6 bool, watch_id=7 int64, " +
    "fragment=8 bool",
  "etcdserverpb.WatchCancelRequest": "watch_id=1 int64",
  "etcdserverpb.WatchProgressRequest": "",
  "etcdserverpb.WatchResponse":
    `${H}, watch_id=2 int64, created=3 bool, canceled=4 bool, compact_revision=5 int64, ` +
    "cancel_reason=6 string, fragment=7 bool, events=11 *mvccpb.Event",
};

const LEASES: Readonly<Record<string, string>> = {
  "etcdserverpb.LeaseGrantRequest": "TTL=1 int64, ID=2 int64",
  "etcdserverpb.LeaseGrantResponse": `${H}, ID=2 int64, TTL=3 int64, error=4 string`,
  "etcdserverpb.LeaseRevokeRequest": "ID=1 int64",
  "etcdserverpb.LeaseRevokeResponse": H,
  "etcdserverpb.LeaseKeepAliveRequest": "ID=1 int64",
  "etcdserverpb.LeaseKeepAliveResponse": `${H}, ID=2 int64, TTL=3 int64`,
  "etcdserverpb.LeaseTimeToLiveRequest": "ID=1 int64, keys=2 bool",
  "etcdserverpb.LeaseTimeToLiveResponse":
    `${H}, ID=2 int64, TTL=3 int64, grantedTTL=4 int64, ` + "keys=5 *bytes",
  "etcdserverpb.LeaseLeasesRequest": "",
  "etcdserverpb.LeaseStatus": "ID=1 int64",
  "etcdserverpb.LeaseLeasesResponse": `${H}, leases=2 *etcdserverpb.LeaseStatus`,
};

const LOCKS: Readonly<Record<string, string>> = {
  "v3lockpb.LockRequest": "name=1 bytes, lease=2 int64",
  "v3lockpb.LockResponse": `${H}, key=2 bytes`,
  "v3lockpb.UnlockRequest": "key=1 bytes",
  "v3lockpb.UnlockResponse": H,
  "v3electionpb.LeaderKey": "name=1 bytes, key=2 bytes, rev=3 int64, lease=4 int64",
  "v3electionpb.CampaignRequest": "name=1 bytes, lease=2 int64, value=3 bytes",
  "v3electionpb.CampaignResponse": `${H}, leader=2 v3electionpb.LeaderKey`,
  "v3electionpb.ProclaimRequest": "leader=1 v3electionpb.LeaderKey, value=2 bytes",
  "v3electionpb.ProclaimResponse": H,
  "v3electionpb.LeaderRequest": "name=1 bytes",
  "v3electionpb.LeaderResponse": `${H}, kv=2 mvccpb.KeyValue`,
  "v3electionpb.ResignRequest": "leader=1 v3electionpb.LeaderKey",
  "v3electionpb.ResignResponse": H,
};

const CLUSTER: Readonly<Record<string, string>> = {
  "etcdserverpb.Member":
    "ID=1 uint64, name=2 string, peerURLs=3 *string, clientURLs=4 *string, isLearner=5 bool",
  "etcdserverpb.MemberAddRequest": "peerURLs=1 *string, isLearner=2 bool",
  "etcdserverpb.MemberAddResponse":
    `${H}, member=2 etcdserverpb.Member, ` + "members=3 *etcdserverpb.Member",
  "etcdserverpb.MemberRemoveRequest": "ID=1 uint64",
  "etcdserverpb.MemberRemoveResponse": `${H}, members=2 *etcdserverpb.Member`,
  "etcdserverpb.MemberUpdateRequest": "ID=1 uint64, peerURLs=2 *string",
  "etcdserverpb.MemberUpdateResponse": `${H}, members=2 *etcdserverpb.Member`,
  "etcdserverpb.MemberListRequest": "linearizable=1 bool",
  "etcdserverpb.MemberListResponse": `${H}, members=2 *etcdserverpb.Member`,
  "etcdserverpb.MemberPromoteRequest": "ID=1 uint64",
  "etcdserverpb.MemberPromoteResponse": `${H}, members=2 *etcdserverpb.Member`,
};

const MAINTENANCE: Readonly<Record<string, string>> = {
  "etcdserverpb.AlarmRequest":
    "action=1 etcdserverpb.AlarmRequest.AlarmAction, memberID=2 uint64, " +
    "alarm=3 etcdserverpb.AlarmType",
  "etcdserverpb.AlarmMember": "memberID=1 uint64, alarm=2 etcdserverpb.AlarmType",
  "etcdserverpb.AlarmResponse": `${H}, alarms=2 *etcdserverpb.AlarmMember`,
  "etcdserverpb.StatusRequest": "",
  "etcdserverpb.StatusResponse":
    `${H}, version=2 string, dbSize=3 int64, leader=4 uint64, raftIndex=5 uint64, ` +
    "raftTerm=6 uint64, raftAppliedIndex=7 uint64, errors=8 *string, dbSizeInUse=9 int64, " +
    "isLearner=10 bool, storageVersion=11 string, dbSizeQuota=12 int64, " +
    "downgradeInfo=13 etcdserverpb.DowngradeInfo",
  "etcdserverpb.DowngradeInfo": "enabled=1 bool, targetVersion=2 string",
  "etcdserverpb.DowngradeRequest":
    "action=1 etcdserverpb.DowngradeRequest.DowngradeAction, version=2 string",
  "etcdserverpb.DowngradeResponse": `${H}, version=2 string`,
  "etcdserverpb.DefragmentRequest": "",
  "etcdserverpb.DefragmentResponse": H,
  "etcdserverpb.HashRequest": "",
  "etcdserverpb.HashResponse": `${H}, hash=2 uint32`,
  "etcdserverpb.HashKVRequest": "revision=1 int64",
  "etcdserverpb.HashKVResponse":
    `${H}, hash=2 uint32, compact_revision=3 int64, ` + "hash_revision=4 int64",
  "etcdserverpb.SnapshotRequest": "",
  "etcdserverpb.SnapshotResponse": `${H}, remaining_bytes=2 uint64, blob=3 bytes, version=4 string`,
  "etcdserverpb.MoveLeaderRequest": "targetID=1 uint64",
  "etcdserverpb.MoveLeaderResponse": H,
};

const HEALTH: Readonly<Record<string, string>> = {
  "grpc.health.v1.HealthCheckRequest": "service=1 string",
  "grpc.health.v1.HealthCheckResponse": "status=1 grpc.health.v1.HealthCheckResponse.ServingStatus",
};

export const ETCD: Schema = new Schema(ENUMS, {
  ...DATA,
  ...STREAMS,
  ...LEASES,
  ...LOCKS,
  ...CLUSTER,
  ...MAINTENANCE,
  ...HEALTH,
});
