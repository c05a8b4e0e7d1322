/** The file that each worker thread runs: jobs of a store, on the real disk. */
import { nodeDisk } from "../env/node/node-disk.js";
import { serveJobs } from "../env/node/node-jobs.js";
import type { CheckJob, StoreJob } from "./jobs.js";
import { runStoreJob } from "./jobs.js";

serveJobs((job) => runStoreJob(nodeDisk, job as StoreJob | CheckJob));
