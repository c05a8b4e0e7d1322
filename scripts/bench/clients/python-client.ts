/** Python's `etcd3gw`, the client of the JSON gateway, through its public interface. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { linesReport } from "./report.js";
import type { Report } from "./report.js";

const run = promisify(execFile);
/** The system's Python has the packages of the system. */
const PYTHONS = ["python3", "/usr/bin/python3"];
const RUN_MS = 60_000;

/** Each check prints a line: its name alone, or with what went wrong behind a tab. */
const CHECKS = `
import sys, threading, time
from etcd3gw.client import Etcd3Client
from etcd3gw import exceptions
host, port = sys.argv[1].split(":")
def connected():
    return Etcd3Client(host=host, port=int(port), api_path="/v3/", timeout=10)
etcd = connected()

def values():
    assert etcd.put("k0", "v0") and etcd.put("k1", 2001) and etcd.put("k2", b"v2")
    assert etcd.get("k0") == [b"v0"] and etcd.get("k1") == [b"2001"] and etcd.get("none") == []
    ((value, meta),) = etcd.get("k0", metadata=True)
    assert value == b"v0" and meta["key"] == b"k0" and meta["version"] == "1"
    assert etcd.delete("k0") and not etcd.delete("k0")

def ranges():
    for n in (2, 0, 1):
        etcd.put("r/%d" % n, str(9 - n))
    assert [v for v, _ in etcd.get_prefix("r/")] == [b"9", b"8", b"7"]
    down = etcd.get_prefix("r/", sort_order="descend", sort_target="key")
    assert [m["key"] for _, m in down] == [b"r/2", b"r/1", b"r/0"]
    by_value = etcd.get_prefix("r/", sort_order="ascend", sort_target="value")
    assert [v for v, _ in by_value] == [b"7", b"8", b"9"]
    assert len(etcd.get_all(sort_order="ascend", sort_target="mod")) >= 3
    assert etcd.delete_prefix("r/") and etcd.get_prefix("r/") == []

def transactions():
    assert etcd.create("c", "1") and not etcd.create("c", "2")
    assert etcd.replace("c", "1", "3") and not etcd.replace("c", "1", "4")
    assert etcd.get("c") == [b"3"]
    try:
        etcd.transaction({"success": [{}]})
    except exceptions.Etcd3Exception:
        return
    raise AssertionError("an operation of no kind")

def status():
    assert etcd.status()["version"].startswith("3.")
    for member in etcd.members():
        assert member["clientURLs"] and member["peerURLs"]

def watch():
    def write():
        time.sleep(0.5)
        other = connected()
        for n in range(3):
            other.put("w/key", "v%d" % n)
        other.delete("w/key")
    writer = threading.Thread(target=write)
    events, cancel = etcd.watch_prefix("w/")
    writer.start()
    seen = []
    for event in events:
        seen.append(event.get("type", event["kv"].get("value")))
        if len(seen) == 4:
            cancel()
    writer.join()
    assert seen == [b"v0", b"v1", b"v2", "DELETE"], seen

def watch_once():
    threading.Timer(0.5, lambda: connected().put("once", "now")).start()
    assert etcd.watch_once("once", timeout=10)["kv"]["value"] == b"now"
    try:
        etcd.watch_once("never", timeout=1)
    except exceptions.WatchTimedOut:
        return
    raise AssertionError("nothing was to be seen")

def lease():
    granted = etcd.lease(ttl=60)
    assert etcd.put("leased", "1", granted) and etcd.create("leased too", "2", granted)
    assert sorted(granted.keys()) == [b"leased", b"leased too"]
    assert 55 < granted.ttl() <= 60 and granted.refresh() == 60
    ((_, meta),) = etcd.get("leased", metadata=True)
    assert int(meta["lease"]) == granted.id
    assert granted.revoke() and etcd.get("leased") == []

def lease_runs_out():
    granted = etcd.lease(ttl=2)
    etcd.put("soon", "gone", granted)
    time.sleep(5)
    assert etcd.get("soon") == [] and granted.ttl() == -1

def lock():
    with etcd.lock("door", ttl=60) as held:
        assert held.is_acquired() and held.refresh() == 60
        assert not connected().lock("door", ttl=60).acquire()
    assert not held.is_acquired()
    again = etcd.lock("door", ttl=60)
    assert again.acquire() and again.release()

for check in (values, ranges, transactions, status, watch, watch_once, lease, lease_runs_out, lock):
    try:
        check()
        print(check.__name__, flush=True)
    except BaseException as error:
        print(check.__name__, repr(error), sep="\\t", flush=True)
`;

export async function checkPython(address: string): Promise<Report> {
  const client = "Python etcd3gw";
  const python = await pythonWithPackage();
  if (python === undefined) {
    return { client, passed: [], failed: [], missing: "not installed: left out" };
  }
  const { stdout } = await run(python, ["-c", CHECKS, address], { timeout: RUN_MS });
  return linesReport(client, stdout);
}

async function pythonWithPackage(): Promise<string | undefined> {
  for (const python of PYTHONS) {
    const found = await run(python, ["-c", "import etcd3gw"]).then(
      () => true,
      () => false,
    );
    if (found) return python;
  }
  return undefined;
}
