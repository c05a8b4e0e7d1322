/** What the harness takes; in a file of its own, to be shown without loading the product. */
export const RUN_USAGE: string = `--workload A,B --nemesis A,B [options]: real processes, faults
  --list                   workloads and nemeses
  --nodes 5 --time 60 --seed 1 --rate 200 --clients 10
                           rate of all workloads together, clients of each
  --links proxies|namespaces
                           default: namespaces, where the machine gives them
                           and no nemesis asks for what only proxies can do
  --all                    each workload under each mix of nemeses, four workloads a run
  --short                  two runs of 12 s
  --minutes 120            again and again, by the next seeds, for so long
  --api sdk|grpc|json      what the clients speak; grpc and json are etcd's API
  --mutant NAME            nodes and clients with a known bug, as the simulator has them
  --endpoints A,B          a cluster that somebody else started; no faults, keys of its own
  --out DIRECTORY          where the reports go
  Exit code: valid 0, invalid 1, unknown 2; of many runs 1 if one was invalid or broke off.`;
