// etcd's own client for Go, through its public interface, against the endpoints that are given.
// Each check prints a line: its name alone, or with what went wrong behind a tab.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/clientv3util"
	"go.etcd.io/etcd/clientv3/concurrency"
	"go.etcd.io/etcd/clientv3/leasing"
	"go.etcd.io/etcd/clientv3/mirror"
	"go.etcd.io/etcd/clientv3/namespace"
	"go.etcd.io/etcd/clientv3/ordering"
	"go.etcd.io/etcd/etcdserver/api/v3rpc/rpctypes"
)

var endpoints = strings.Split(os.Args[1], ",")

func connect() *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 5 * time.Second})
	must(err)
	return client
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func want(is bool, what string, seen ...interface{}) {
	if !is {
		panic(fmt.Errorf("%s: %v", what, seen))
	}
}

func values(ctx context.Context, c *clientv3.Client) {
	first, err := c.Put(ctx, "v/a", "1")
	must(err)
	second, err := c.Put(ctx, "v/a", "2", clientv3.WithPrevKV())
	must(err)
	want(string(second.PrevKv.Value) == "1", "the value before", second)
	want(second.Header.Revision == first.Header.Revision+1, "dense revisions", second.Header)
	got, err := c.Get(ctx, "v/a")
	must(err)
	kv := got.Kvs[0]
	want(string(kv.Value) == "2" && kv.Version == 2 && kv.CreateRevision == first.Header.Revision, "the pair", kv)
	old, err := c.Get(ctx, "v/a", clientv3.WithRev(first.Header.Revision))
	must(err)
	want(string(old.Kvs[0].Value) == "1", "the past", old)
	_, err = c.Put(ctx, "v/none", "", clientv3.WithIgnoreValue())
	want(err == rpctypes.ErrKeyNotFound, "no value to keep", err)
	_, err = c.Put(ctx, "", "x")
	want(err == rpctypes.ErrEmptyKey, "an empty key", err)
	_, err = c.Get(ctx, "v/a", clientv3.WithRev(1<<40))
	want(err == rpctypes.ErrFutureRev, "the future", err)
	gone, err := c.Delete(ctx, "v/a", clientv3.WithPrevKV())
	must(err)
	want(gone.Deleted == 1 && string(gone.PrevKvs[0].Value) == "2", "what was deleted", gone)
}

func ranges(ctx context.Context, c *clientv3.Client) {
	for i := 0; i < 25; i++ {
		_, err := c.Put(ctx, fmt.Sprintf("r/%02d", i), fmt.Sprint(99-i))
		must(err)
	}
	page, err := c.Get(ctx, "r/", clientv3.WithPrefix(), clientv3.WithLimit(10))
	must(err)
	want(len(page.Kvs) == 10 && page.More && page.Count == 25, "a page", page.Count)
	down, err := c.Get(ctx, "r/", clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByValue, clientv3.SortDescend), clientv3.WithKeysOnly())
	must(err)
	want(string(down.Kvs[0].Key) == "r/00" && down.Kvs[0].Value == nil, "by value", down.Kvs[0])
	count, err := c.Get(ctx, "r/", clientv3.WithFromKey(), clientv3.WithCountOnly())
	must(err)
	want(count.Count >= 25 && len(count.Kvs) == 0, "a count", count)
	first, err := c.Get(ctx, "r/", clientv3.WithFirstCreate()...)
	must(err)
	want(string(first.Kvs[0].Key) == "r/00", "the first", first)
	last, err := c.Get(ctx, "r/", clientv3.WithLastRev()...)
	must(err)
	want(string(last.Kvs[0].Key) == "r/24", "the last", last)
	stale, err := c.Get(ctx, "r/00", clientv3.WithSerializable())
	must(err)
	want(len(stale.Kvs) == 1, "a serializable read", stale)
	gone, err := c.Delete(ctx, "r/", clientv3.WithPrefix())
	must(err)
	want(gone.Deleted == 25, "a prefix deleted", gone.Deleted)
}

func transactions(ctx context.Context, c *clientv3.Client) {
	created, err := c.Txn(ctx).If(clientv3util.KeyMissing("t/a")).
		Then(clientv3.OpPut("t/a", "1"), clientv3.OpGet("t/a")).Else(clientv3.OpGet("t/a")).Commit()
	must(err)
	want(created.Succeeded && string(created.Responses[1].GetResponseRange().Kvs[0].Value) == "1", "created", created)
	nested, err := c.Txn(ctx).If(clientv3.Compare(clientv3.Value("t/a"), "=", "1"), clientv3.Compare(clientv3.Version("t/a"), ">", 0)).
		Then(clientv3.OpTxn([]clientv3.Cmp{clientv3util.KeyExists("t/a")}, []clientv3.Op{clientv3.OpDelete("t/a")}, nil)).Commit()
	must(err)
	want(nested.Succeeded && nested.Responses[0].GetResponseTxn().Responses[0].GetResponseDeleteRange().Deleted == 1, "nested", nested)
	_, err = c.Txn(ctx).Then(clientv3.OpPut("t/b", "1"), clientv3.OpPut("t/b", "2")).Commit()
	want(err == rpctypes.ErrDuplicateKey, "the same key twice", err)
	ops := []clientv3.Op{}
	for i := 0; i < 129; i++ {
		ops = append(ops, clientv3.OpPut(fmt.Sprintf("t/%d", i), ""))
	}
	_, err = c.Txn(ctx).Then(ops...).Commit()
	want(err == rpctypes.ErrTooManyOps, "too many operations", err)
}

func watches(ctx context.Context, c *clientv3.Client) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	begun, err := c.Put(ctx, "w/a", "0")
	must(err)
	now := c.Watch(ctx, "w/", clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithCreatedNotify())
	answer := <-now
	want(answer.Created, "created", answer)
	for i := 1; i <= 3; i++ {
		_, err = c.Put(ctx, "w/a", fmt.Sprint(i))
		must(err)
	}
	_, err = c.Delete(ctx, "w/a")
	must(err)
	events := collect(now, 4)
	want(string(events[2].PrevKv.Value) == "2" && events[3].Type == clientv3.EventTypeDelete, "events", events)
	past := c.Watch(ctx, "w/a", clientv3.WithRev(begun.Header.Revision), clientv3.WithFilterDelete())
	want(len(collect(past, 4)) == 4, "the past")
	fragments := c.Watch(ctx, "w/", clientv3.WithPrefix(), clientv3.WithRev(begun.Header.Revision), clientv3.WithFragment())
	want(len(collect(fragments, 5)) == 5, "in fragments")
	must(c.RequestProgress(ctx))
	for answer := range now {
		if answer.IsProgressNotify() {
			break
		}
	}
	compacted, err := c.Compact(ctx, begun.Header.Revision+2)
	must(err)
	want(compacted.Header != nil, "compacted")
	late := <-c.Watch(ctx, "w/a", clientv3.WithRev(begun.Header.Revision))
	want(late.CompactRevision == begun.Header.Revision+2 && late.Err() == rpctypes.ErrCompacted, "too late", late)
	_, err = c.Compact(ctx, begun.Header.Revision+2)
	want(err == rpctypes.ErrCompacted, "compacted twice", err)
	cancel()
	for range now {
	}
}

func collect(events clientv3.WatchChan, count int) []*clientv3.Event {
	seen := []*clientv3.Event{}
	for len(seen) < count {
		answer, open := <-events
		want(open, "the watch ended")
		must(answer.Err())
		seen = append(seen, answer.Events...)
	}
	return seen
}

func leases(ctx context.Context, c *clientv3.Client) {
	granted, err := c.Grant(ctx, 60)
	must(err)
	_, err = c.Put(ctx, "l/a", "1", clientv3.WithLease(granted.ID))
	must(err)
	asked, err := c.TimeToLive(ctx, granted.ID, clientv3.WithAttachedKeys())
	must(err)
	want(asked.GrantedTTL == 60 && asked.TTL > 50 && string(asked.Keys[0]) == "l/a", "a lease", asked)
	all, err := c.Leases(ctx)
	must(err)
	want(len(all.Leases) >= 1, "all leases", all)
	once, err := c.KeepAliveOnce(ctx, granted.ID)
	must(err)
	want(once.TTL == 60, "kept alive", once)
	_, err = c.Revoke(ctx, granted.ID)
	must(err)
	_, err = c.Revoke(ctx, granted.ID)
	want(err == rpctypes.ErrLeaseNotFound, "revoked twice", err)
	_, err = c.KeepAliveOnce(ctx, granted.ID)
	want(err == rpctypes.ErrLeaseNotFound, "kept alive too late", err)
	_, err = c.Put(ctx, "l/b", "1", clientv3.WithLease(granted.ID))
	want(err == rpctypes.ErrLeaseNotFound, "put too late", err)
	_, err = c.Grant(ctx, 9000000001)
	want(err == rpctypes.ErrLeaseTTLTooLarge, "too long", err)
	got, err := c.Get(ctx, "l/", clientv3.WithPrefix())
	must(err)
	want(got.Count == 0, "keys of a lease that ended", got)
	short, err := c.Grant(ctx, 2)
	must(err)
	kept, err := c.KeepAlive(ctx, short.ID)
	must(err)
	for i := 0; i < 3; i++ {
		_, open := <-kept
		want(open, "no longer kept alive")
	}
	must(c.Lease.Close())
	_, err = c.Put(context.Background(), "l/c", "1", clientv3.WithLease(short.ID))
	must(err)
	watched := <-c.Watch(ctx, "l/c", clientv3.WithFilterPut())
	want(len(watched.Events) == 1, "a lease that ran out", watched)
}

func locks(ctx context.Context, c *clientv3.Client) {
	held := 0
	var wait sync.WaitGroup
	for i := 0; i < 4; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			session, err := concurrency.NewSession(c, concurrency.WithTTL(10))
			must(err)
			defer session.Close()
			mutex := concurrency.NewMutex(session, "lock/")
			for n := 0; n < 5; n++ {
				must(mutex.Lock(ctx))
				held++
				must(mutex.Unlock(ctx))
			}
		}()
	}
	wait.Wait()
	want(held == 20, "each held it", held)
	one, err := concurrency.NewSession(c)
	must(err)
	other, err := concurrency.NewSession(c)
	must(err)
	mutex := concurrency.NewMutex(one, "lock/")
	must(mutex.Lock(ctx))
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	want(concurrency.NewMutex(other, "lock/").Lock(short) == context.DeadlineExceeded, "it is locked")
	must(one.Close())
	must(concurrency.NewMutex(other, "lock/").Lock(ctx))
	must(other.Close())
}

func elections(ctx context.Context, c *clientv3.Client) {
	one, err := concurrency.NewSession(c)
	must(err)
	other, err := concurrency.NewSession(c)
	must(err)
	first, second := concurrency.NewElection(one, "e/"), concurrency.NewElection(other, "e/")
	must(first.Campaign(ctx, "one"))
	observed := second.Observe(ctx)
	seen := <-observed
	want(string(seen.Kvs[0].Value) == "one", "the leader", seen)
	done := make(chan error)
	go func() { done <- second.Campaign(ctx, "two") }()
	must(first.Proclaim(ctx, "still one"))
	must(first.Resign(ctx))
	must(<-done)
	leader, err := first.Leader(ctx)
	must(err)
	want(string(leader.Kvs[0].Value) == "two", "the next leader", leader)
	must(one.Close())
	must(other.Close())
}

func software(ctx context.Context, c *clientv3.Client) {
	for _, account := range []string{"s/a", "s/b"} {
		_, err := c.Put(ctx, account, "100")
		must(err)
	}
	var wait sync.WaitGroup
	for i := 0; i < 8; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			_, err := concurrency.NewSTM(c, func(stm concurrency.STM) error {
				var a, b int
				fmt.Sscan(stm.Get("s/a"), &a)
				fmt.Sscan(stm.Get("s/b"), &b)
				stm.Put("s/a", fmt.Sprint(a-5))
				stm.Put("s/b", fmt.Sprint(b+5))
				return nil
			})
			must(err)
		}()
	}
	wait.Wait()
	got, err := c.Get(ctx, "s/", clientv3.WithPrefix())
	must(err)
	want(string(got.Kvs[0].Value) == "60" && string(got.Kvs[1].Value) == "140", "the sums", got.Kvs)
}

func wrappers(ctx context.Context, c *clientv3.Client) {
	spaced := namespace.NewKV(c.KV, "n/")
	_, err := spaced.Put(ctx, "a", "1")
	must(err)
	got, err := c.Get(ctx, "n/a")
	must(err)
	want(got.Count == 1, "a namespace", got)
	ordered := ordering.NewKV(c.KV, ordering.NewOrderViolationSwitchEndpointClosure(c))
	_, err = ordered.Get(ctx, "n/a", clientv3.WithSerializable())
	must(err)
	leased, closeLeased, err := leasing.NewKV(c, "leasing/")
	must(err)
	for i := 0; i < 3; i++ {
		got, err = leased.Get(ctx, "n/a")
		must(err)
		want(got.Count == 1, "a leased read", got)
	}
	_, err = c.Put(ctx, "n/b", "2")
	must(err)
	_, err = leased.Put(ctx, "n/a", "3")
	must(err)
	closeLeased()
	syncer := mirror.NewSyncer(c, "n/", 0)
	answers, errs := syncer.SyncBase(ctx)
	count := 0
	for answer := range answers {
		count += len(answer.Kvs)
	}
	must(<-errs)
	want(count == 2, "a mirror", count)
}

func maintenance(ctx context.Context, c *clientv3.Client) {
	members, err := c.MemberList(ctx)
	must(err)
	want(len(members.Members) > 0 && len(members.Members[0].ClientURLs) > 0, "members", members)
	for _, endpoint := range endpoints {
		status, err := c.Status(ctx, endpoint)
		must(err)
		want(status.Leader != 0 && status.Version != "" && status.DbSize > 0, "status", status)
		hash, err := c.HashKV(ctx, endpoint, 0)
		must(err)
		want(hash.Hash != 0, "a hash", hash)
		_, err = c.Defragment(ctx, endpoint)
		must(err)
	}
	alarms, err := c.AlarmList(ctx)
	must(err)
	want(len(alarms.Alarms) == 0, "alarms", alarms)
	reader, err := c.Snapshot(ctx)
	must(err)
	snapshot := bytes.Buffer{}
	_, err = io.Copy(&snapshot, reader)
	must(err)
	want(snapshot.Len() > 0, "a snapshot")
	_, err = c.RoleList(ctx)
	want(err == nil || err == rpctypes.ErrAuthNotEnabled, "no authentication", err)
	_, err = c.MoveLeader(ctx, 12345)
	want(err == rpctypes.ErrBadLeaderTransferee || errors.Is(err, rpctypes.ErrNotLeader), "no such member", err)
	_, err = c.MemberRemove(ctx, 12345)
	want(err == rpctypes.ErrMemberNotFound, "no such member", err)
}

func deadlines(_ context.Context, c *clientv3.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	_, err := c.Get(ctx, "a")
	want(err == context.DeadlineExceeded, "a deadline", err)
}

func main() {
	checks := []struct {
		name string
		run  func(context.Context, *clientv3.Client)
	}{
		{"values", values}, {"ranges", ranges}, {"transactions", transactions}, {"watches", watches},
		{"leases", leases}, {"locks", locks}, {"elections", elections}, {"software transactions", software},
		{"wrappers", wrappers}, {"maintenance", maintenance}, {"deadlines", deadlines},
	}
	for _, check := range checks {
		if len(os.Args) > 2 && strings.Contains(","+os.Args[2]+",", ","+check.name+",") {
			continue
		}
		fmt.Print(check.name)
		func() {
			defer func() {
				if failure := recover(); failure != nil {
					fmt.Printf("\t%v", failure)
				}
			}()
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			client := connect()
			defer client.Close()
			check.run(ctx, client)
		}()
		fmt.Println()
	}
}
