/** The file that each worker thread runs: a store's jobs, on the real disk, at the store's pace. */
import { nodeDisk } from "../env/node/node-disk.js";
import { serveJobs } from "../env/node/node-jobs.js";
import type { CheckJob, Paced, StoreJob } from "./jobs.js";
import { runStoreJob } from "./jobs.js";
import { pacedDisk } from "./paced-disk.js";

serveJobs((job) => {
  const paced = job as Paced<StoreJob | CheckJob>;
  const disk = paced.pace === undefined ? nodeDisk : pacedDisk(nodeDisk, paced.pace);
  return runStoreJob(disk, paced);
});
